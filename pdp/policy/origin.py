"""Where the policy comes from: folders, checked and built here, or one bundle that was built elsewhere.

A bundle is checked here as if it had been written here: a signature says who, not that it is safe, and whoever built
it may have run another release. With verification keys only a bundle that one of them signed is loaded.
"""

import dataclasses
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from ..errors import Fault
from .archive import keep, read_archive, refused, write_archive
from .bundle import DATA, MANIFEST, Content, read_content
from .keys import read_keys
from .pack import CAPABILITIES, Pack, assemble, build_pack, config_schema, default_pack_dir
from .sign import SIGNATURES, Signed, verify
from .sources import Found
from .values import values_of


@dataclasses.dataclass(frozen=True, kw_only=True)
class Origin:
    """The places that settings name: `policy_dir` and `org_dir`, or `bundle`; `keys` are those that may sign it."""

    policy_dir: Path | None = None
    org_dir: Path | None = None
    bundle: Path | None = None
    keys: Path | None = None

    @property
    def places(self) -> list[Path]:
        """Return every file or folder whose change may change the policy."""
        if self.bundle is not None:
            return [self.bundle, *([self.keys] if self.keys else [])]
        return [self.policy_dir or default_pack_dir(), *([self.org_dir] if self.org_dir else [])]


def load(origin: Origin, opa: Path, target: Path, now: datetime, *, wasm: bool = False) -> Pack:
    """Return the pack that comes from `origin`, checked with the binary `opa`, its bundle built in `target`.

    With `wasm` the bundle also holds the rules compiled for the engine in process.
    Takes about half a second and runs processes: call it off the event loop. Raises `PackRefused` with every problem,
    and `Fault` when OPA cannot be used or the settings contradict each other.
    """
    _must_be_one_place(origin)
    if origin.bundle is None:
        return build_pack(opa, origin.policy_dir or default_pack_dir(), origin.org_dir, target, wasm=wasm)
    files = read_archive(origin.bundle)
    signed = _signed(files, origin.bundle, origin.keys, now)
    content = read_content(files, origin.bundle)
    _must_be_text(files, content, origin.bundle)
    pack = check_again(opa, content, origin.bundle, target, wasm=wasm)
    return dataclasses.replace(pack, signed=signed, signed_bundle=_kept(files, pack, signed) if signed else None)


def check_again(opa: Path, content: Content, bundle: Path, target: Path, *, wasm: bool = False) -> Pack:
    """Check and build what a bundle holds as if it had been written here, by this release's own schemas.

    Raises `PackRefused` when a rule breaks one of our laws, or when the same content makes another policy here.
    """
    ours = default_pack_dir()
    values = values_of(content.config, config_schema(ours), content.sources, str(bundle))
    found = Found(content.sources, [], content.cases)
    pack = assemble(opa, found, values, ours / CAPABILITIES, target, wasm=wasm)
    if pack.revision != content.revision:
        what = f"Built here from the same rules it is another policy, {pack.revision}: its manifest is not their own."
        raise refused(bundle, what, "Build it with `pdp policy build` of this release.")
    return pack


def _must_be_one_place(origin: Origin) -> None:
    if origin.bundle is not None and (origin.policy_dir or origin.org_dir):
        raise Fault(
            "PDP_POLICY_BUNDLE holds the whole policy, and PDP_POLICY_DIR or PDP_ORG_DIR is set too: "
            "build them into the bundle (`pdp policy build`) and unset them."
        )
    if origin.bundle is None and origin.keys is not None:
        raise Fault(
            "PDP_POLICY_KEYS is set, so only a signed bundle is loaded: "
            "build one with `pdp policy build --sign` and name it with PDP_POLICY_BUNDLE."
        )


def _must_be_text(files: Mapping[str, bytes], content: Content, bundle: Path) -> None:
    """What can be checked is text: a compiled module may do other than the rules beside it, and is made here."""
    texts = {source.path for source in content.sources} | {MANIFEST, DATA, SIGNATURES}
    for name in sorted(files.keys() - texts):
        raise refused(bundle, f"{name} in it cannot be checked.", "Leave it out: what an engine needs is made here.")


def _signed(files: Mapping[str, bytes], bundle: Path, keys: Path | None, now: datetime) -> Signed | None:
    if keys is not None:
        return verify(files, bundle, read_keys(keys), now)
    if SIGNATURES in files:  # OPA refuses it too: a signature that nobody checks only looks like safety
        what = "It is signed, and nobody here checks that."
        raise refused(bundle, what, "Set PDP_POLICY_KEYS, or build it without --sign.")
    return None


def _kept(files: Mapping[str, bytes], pack: Pack, signed: Signed) -> Path:
    """Keep what was signed beside what was built here, under a name of its own: the file at its origin may change."""
    name = f"{pack.bundle.name.partition('.')[0]}.{signed.content[7:23]}.signed.tar.gz"
    return keep(write_archive(files), pack.bundle.with_name(name))
