"""The default pack as it was compiled when the wheel was made. With PDP_ENGINE=wasm it needs no OPA.

It answers for the very files it was made from. Any other pack, and one with rules or values of an organisation's own,
has to be checked and compiled here.
"""

import dataclasses
from pathlib import Path

from .archive import keep
from .bundle import read_bundle
from .origin import Origin
from .pack import Pack, default_pack_dir, manifest_of, read_files, revision_of

READY = Path(__file__).parent.parent / "compiled" / "policy.tar.gz"  # made by `python -m pdp.dev.wheel`


def ready_made(origin: Origin, bundle: Path = READY) -> Pack | None:
    """Return the compiled pack when it is that of the files at `origin`, and None otherwise.

    Raises `PackRefused` when the files cannot be read, or `bundle` is damaged.
    """
    if origin.bundle or origin.keys or not bundle.is_file():
        return None
    found, values = read_files(origin.policy_dir or default_pack_dir(), origin.org_dir)
    pack = read_bundle(bundle)
    wanted = revision_of(found.sources, manifest_of(pack.rules), values.config)
    return pack if pack.revision == wanted else None


def kept(pack: Pack, archive: Path) -> Pack:
    """Keep a ready-made bundle where those that were built are (revisions.py): the next release brings another."""
    place = archive / f"{pack.revision.removeprefix('sha256:')}.tar.gz"
    return dataclasses.replace(pack, bundle=keep(pack.bundle.read_bytes(), place))
