"""The handbook of a policy: a page a rule, an index, and the words of lib/, from what the files say themselves.

`material` gathers it, with OPA as the parser; `pages` writes Markdown from it.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from .archive import read_archive
from .bundle import read_content
from .compiler import Annotated, Compiler
from .form import Ast
from .pack import Pack, build_pack
from .reads import Reads, reads_of
from .sources import Text, collect


class Word(NamedTuple):
    """A word of lib/: how it is called, and what it says of itself."""

    name: str
    arguments: tuple[str, ...]
    description: str


class Vocabulary(NamedTuple):
    """A file of lib/ with its words; `code` is `lib.number`."""

    code: str
    title: str
    description: str
    words: list[Word]


class Case(NamedTuple):
    """A row of a decision table, as its table names it, and the codes of the rules that it is about."""

    table: str
    name: str
    answer: str
    codes: frozenset[str]


class Material(NamedTuple):
    """All that the handbook says. `configs` are the files config.yaml, the pack's own first."""

    pack: Pack
    configs: list[Text]
    reads: dict[str, Reads]
    lib: list[Vocabulary]
    cases: list[Case]


def material(opa: Path, source: Path, org: Path | None) -> Material:
    """Read a pack and an org folder. Takes a second and runs processes. Raises `PackRefused` and `Fault`."""
    found = collect(source, org)
    with tempfile.TemporaryDirectory(prefix="pdp-") as folder:
        pack, compiler = build_pack(opa, source, org, Path(folder)), Compiler(opa)
        content = read_content(read_archive(pack.bundle), pack.bundle)
        texts = {source.code: source.text for source in content.sources}
        modules: dict[str, Ast] = compiler.parse(texts, Path(folder))
        said = compiler.annotations(_words(texts), Path(folder))
    return Material(
        pack=pack,
        configs=found.configs,
        reads={code: reads_of(code, modules) for code in pack.rules},
        lib=list(_vocabulary(said, modules)),
        cases=list(_cases(pack)),
    )


def _words(texts: dict[str, str]) -> dict[str, str]:
    return {f"words/{code}.rego": text for code, text in texts.items() if code.startswith("lib.")}


def _vocabulary(annotations: list[Annotated], modules: dict[str, Ast]) -> Iterator[Vocabulary]:
    said = {".".join(part["value"] for part in entry["path"][1:]): entry["annotations"] for entry in annotations}
    for code in sorted(code for code in modules if code.startswith("lib.")):
        words = []
        for name, arguments in _signatures(modules[code]).items():
            if (about := said.get(f"{code}.{name}")) is not None:
                words.append(Word(name, arguments, _flowing(about.get("description") or f"{about['title']}.")))
        whole = said.get(code, {})
        yield Vocabulary(code, whole.get("title", code), _flowing(whole.get("description", "")), words)


def _signatures(module: Ast) -> dict[str, tuple[str, ...]]:
    """Return the functions and rules of a file in its own order, each with the names of its arguments."""
    found: dict[str, tuple[str, ...]] = {}
    for rule in module.get("rules", []):
        head = rule["head"]
        names = tuple(
            str(part["value"]) if part["type"] == "var" else f'"{part["value"]}" ...' for part in head.get("args", [])
        )
        found.setdefault(str(head["ref"][0]["value"]), names)
    return found


def _cases(pack: Pack) -> Iterator[Case]:
    permits = frozenset(pack.codes("permits"))
    for file, table in pack.tables.items():
        for row in table.cases:
            named = frozenset(row.because) | frozenset(_owing(pack, row.duties))
            yield Case(file, row.case, row.expect, named | permits if "permits.none" in named else named)


def _owing(pack: Pack, kinds: list[str]) -> Iterator[str]:
    for code in pack.codes("duties"):
        if any(f'"type": "{kind}"' in pack.rules[code].text for kind in kinds):
            yield code


def _flowing(text: str) -> str:
    return " ".join(text.split())
