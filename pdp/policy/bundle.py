"""A built bundle, read back into a `Pack`: without OPA, without the folders it was built from.

Everything in it is accounted for: a file that a bundle does not have, a rule the manifest does not list, or a digest
that is not that of the content refuses the whole. That finds accidents; `sign` finds intent, and `pack` checks rules.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

from ..identity.risk import read_weights
from .archive import MODULE, read_archive, read_part, refused
from .law import Rule
from .pack import ROOTS, Pack, manifest_of, read_tables, revision_of
from .problem import PackRefused
from .sign import SIGNATURES
from .sources import FOLDERS, NAME, SHARED, Source, Text, misplaced, shared_texts

MANIFEST = ".manifest"
DATA = "data.json"


class Words(Struct, frozen=True, forbid_unknown_fields=True):
    """What the manifest says about a rule; see `Rule.words`."""

    title: str
    description: str
    remedy: str
    owner: str
    severity: str
    stage: str
    file: str
    good: list[dict[str, Any]]
    bad: list[dict[str, Any]]


class Manifest(Struct, frozen=True, forbid_unknown_fields=True):
    """`data.manifest`; see `manifest_of`."""

    revision: str
    rules: dict[str, Words]
    permits: list[str]
    guards: list[str]
    gates: list[str]
    duties: list[str]
    caller: dict[str, list[str]]


class Data(Struct, frozen=True, forbid_unknown_fields=True):
    """The file `data.json` of a bundle."""

    cases: dict[str, str]
    config: dict[str, Any]
    manifest: Manifest


class Head(Struct, frozen=True, forbid_unknown_fields=True):
    """The file `.manifest` of a bundle, which is OPA's own."""

    revision: str
    roots: list[str]
    rego_version: Literal[1] = 1


@dataclass(frozen=True, kw_only=True)
class Content:
    """What a bundle holds: enough to build it again."""

    sources: list[Source]
    cases: list[Text]
    config: dict[str, Any]
    rules: dict[str, Rule]
    revision: str


def read_bundle(bundle: Path) -> Pack:
    """Return the pack in a bundle file. Raises `PackRefused` with what is wrong with the file.

    Its rules were checked by whoever built it, not here.
    """
    content = read_content(read_archive(bundle), bundle)
    try:
        weights = read_weights(content.config)
    except (msgspec.ValidationError, KeyError) as error:
        raise refused(bundle, f"config.risk in it cannot be read ({error}).") from None
    return Pack(
        revision=content.revision,
        bundle=bundle,
        rules=content.rules,
        shared=shared_texts(content.sources),
        config=content.config,
        weights=weights,
        tables=read_tables(content.cases),
    )


def read_content(files: Mapping[str, bytes], bundle: Path) -> Content:
    """Return what the `files` of a bundle say. Raises `PackRefused` when they are not exactly those of one bundle."""
    modules = {name: body for name, body in files.items() if _is_rule(name)}
    for name in (MANIFEST, DATA):
        if name not in files:
            raise refused(bundle, f"{name} is missing from it.")
    for name in files.keys() - modules.keys() - {MANIFEST, DATA, MODULE, SIGNATURES}:
        raise refused(bundle, f"{name!r} in it is not a file of a policy bundle.")
    head, data = read_part(files[MANIFEST], Head, bundle, MANIFEST), read_part(files[DATA], Data, bundle, DATA)
    sources = [_source(name, body, data.manifest.rules, bundle) for name, body in sorted(modules.items())]
    if problems := [*misplaced(sources)]:
        raise PackRefused(problems)
    content = Content(
        sources=sources,
        cases=[Text(file, text) for file, text in data.cases.items()],
        config=data.config,
        rules={source.code: _rule(source, data.manifest) for source in sources if source.folder in FOLDERS},
        revision=head.revision,
    )
    _must_agree(content, head, data.manifest, bundle)
    return content


def _is_rule(name: str) -> bool:
    folder, _, file = name.partition("/")
    return folder in (*SHARED, *FOLDERS) and file.endswith(".rego") and bool(NAME.fullmatch(file[: -len(".rego")]))


def _source(path: str, body: bytes, rules: dict[str, Words], bundle: Path) -> Source:
    code = path.removesuffix(".rego").replace("/", ".")
    asked = path.startswith(tuple(f"{folder}/" for folder in FOLDERS))
    if asked and code not in rules:
        raise refused(bundle, f"Its manifest does not list {code}, so nobody would ask that rule.")
    file = rules[code].file if asked else path
    if file not in {path, f"org/{path}"}:
        raise refused(bundle, f"Its manifest says that {path} is {file!r}.")
    try:
        return Source(path, file, body.decode(), own=file != path)
    except UnicodeDecodeError:
        raise refused(bundle, f"{path} in it is not UTF-8.") from None


def _rule(source: Source, manifest: Manifest) -> Rule:
    words = msgspec.structs.asdict(manifest.rules[source.code])
    words |= {"good": tuple(words["good"]), "bad": tuple(words["bad"])}
    return Rule(code=source.code, folder=source.folder, name=source.name, text=source.text, **words)


def _must_agree(content: Content, head: Head, manifest: Manifest, bundle: Path) -> None:
    """The manifest is what would be built from the rules, and the revision is the digest of it all."""
    said = msgspec.to_builtins(manifest)
    if said != manifest_of(content.rules) | {"revision": head.revision}:
        raise refused(bundle, "Its manifest is not that of the rules in it.")
    if sorted(head.roots) != ROOTS:
        raise refused(bundle, f"Its roots are not {', '.join(ROOTS)}.")
    if head.revision != revision_of(content.sources, manifest_of(content.rules), content.config):
        raise refused(bundle, "Its revision is not the digest of what is in it: it was changed after it was built.")
