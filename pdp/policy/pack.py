"""A policy pack, from files to a bundle that OPA runs: checked, listed, digested, built, and probed before it is used.

collect   every file has its place, or the pack is refused                      sources.py
check     OPA: types, misspelt fields, allowed built-ins                        compiler.py, schema.py, values.py
form      rules say what must be there, in a form that cannot hold on nothing   form.py
law       every rule has its words                                              law.py
manifest  built from what is there, never written; the only rules asked are the ones it lists
probe     on the empty input nothing applies, holds, is open or is owed
"""

import json
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..identity.risk import Weights, read_weights
from ..query import canonical, digest
from .archive import MODULE, write_archive
from .cases import Table, read_table
from .compiler import Annotated, Compiler, compiler_of
from .form import offences
from .law import Rule, read_rules
from .library import straying
from .probe import probe
from .problem import PackRefused, Problem
from .schema import input_schema
from .sign import Signed
from .sources import FOLDERS, SHARED, Found, Source, Text, collect, shared_texts
from .values import Values, read_values

__all__ = ["Pack", "PackRefused", "Rule", "build_pack", "default_pack_dir", "probe"]

# What the bundle owns in OPA's data: nobody else writes there.
ROOTS = sorted([*SHARED, *FOLDERS, "cases", "config", "manifest"])
LIB = "lib"  # the words that rules are written in
CAPABILITIES = "capabilities.json"
REVISION_TAG = "mcp-pdp/policy/v1"


@dataclass(frozen=True, kw_only=True)
class Pack:
    """A checked pack. `revision` is its digest, `bundle` what OPA loads, `rules` every rule of it by code.

    `shared`: the text of each file that rules are dispatched by and written in, by its path.
    `weights`: what its config.yaml says that evidence of risk weighs. `tables`: the decision tables of the pack and of
    the organisation, by file; they decide nothing, so the revision does not cover them. `signed`: who signed it, when
    it came as a signed bundle, and `signed_bundle` that bundle.
    """

    revision: str
    bundle: Path
    rules: dict[str, Rule] = field(repr=False)
    shared: dict[str, str] = field(repr=False)
    config: dict[str, Any] = field(repr=False)
    weights: Weights = field(repr=False)
    tables: dict[str, Table] = field(repr=False)
    signed: Signed | None = None
    signed_bundle: Path | None = None

    @property
    def served(self) -> Path:
        """Return the bundle for others to run: with its signature, if it has one, so that they can check it too."""
        return self.signed_bundle or self.bundle

    def codes(self, folder: str) -> list[str]:
        """Return the codes of the rules of one folder, sorted."""
        return sorted(code for code, rule in self.rules.items() if rule.folder == folder)


def default_pack_dir() -> Path:
    """Return the folder of the pack that comes with this package (in a checkout: `rego/`)."""
    return Path(__file__).parent.parent / "rego"


def build_pack(opa: Path, source: Path, org: Path | None, target: Path, *, wasm: bool = False) -> Pack:
    """Check the pack in `source` and the rules in `org` with the binary `opa`, and build the bundle in `target`.

    With `wasm` the bundle also holds the rules compiled for the engine in process (engine/wasm.py).
    Takes about half a second and runs processes: call it off the event loop. Raises `PackRefused` with the file, the
    line and what to do instead, and `Fault` when OPA or the folders cannot be used.
    """
    found, values = read_files(source, org)
    return assemble(opa, found, values, source / CAPABILITIES, target, wasm=wasm)


def read_files(source: Path, org: Path | None) -> tuple[Found, Values]:
    """Read what a pack and an org folder hold, as far as that needs no OPA. Raises `PackRefused`."""
    found = collect(source, org)
    values = read_values(found.configs, config_schema(source), found.sources)
    _must_match_this_pdp(source)
    return found, values


def assemble(opa: Path, found: Found, values: Values, capabilities: Path, target: Path, *, wasm: bool = False) -> Pack:
    """Check what was found with the binary `opa`, and build the bundle in `target`; see `build_pack`."""
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target, prefix=".building-") as folder:
        return _Build(compiler_of(opa), Path(folder), capabilities, wasm=wasm).pack(found, values, target)


class _Build:
    def __init__(self, compiler: Compiler, folder: Path, capabilities: Path, *, wasm: bool) -> None:
        self._compiler = compiler
        self._folder = folder
        self._rules = folder / "bundle"
        self._capabilities = capabilities.absolute()
        self._wasm = wasm

    def pack(self, found: Found, values: Values, target: Path) -> Pack:
        sources, tables = found.sources, read_tables(found.cases)
        self._write_rules(sources)
        self._write_laws(values)
        modules, annotations = self._ask(sources)
        _must_ask_nothing(sources, modules)
        rules = read_rules(sources, annotations)
        self._check_form(sources, modules, rules)
        manifest = manifest_of(rules)
        revision = revision_of(sources, manifest, values.config)
        cases = {case.file: case.text for case in found.cases}
        data = {"cases": cases, "config": values.config, "manifest": manifest | {"revision": revision}}
        return Pack(
            revision=revision,
            bundle=self._bundle(sources, data, revision, target),
            rules=rules,
            shared=shared_texts(sources),
            config=values.config,
            weights=read_weights(values.config),
            tables=tables,
        )

    def _write_rules(self, sources: list[Source]) -> None:
        for source in sources:
            path = self._rules / source.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source.text, "utf-8")

    def _write_laws(self, values: Values) -> None:
        """Give every root package the schemas of input and config, by an annotation that covers what is below it."""
        schemas, laws = self._folder / "schemas", self._folder / "laws"
        for folder in (schemas, laws):
            folder.mkdir()
        (schemas / "input.json").write_text(json.dumps(input_schema()))
        (schemas / "config.json").write_text(json.dumps(values.schema))
        for root in (*SHARED, *FOLDERS):
            (laws / f"{root}.rego").write_text(LAW.format(root=root))

    def _ask(self, sources: list[Source]) -> tuple[dict[str, Any], list[Annotated]]:
        """Let OPA check the types, and meanwhile parse the rules and inspect; what the check says is said first."""
        names, texts = {s.path: s.file for s in sources}, {s.path: s.text for s in sources if s.folder in FOLDERS}
        words = {s.path: s.text for s in sources if s.folder == LIB}
        (inspect_in := self._folder / "inspect").mkdir()
        with ThreadPoolExecutor(max_workers=2) as beside:
            parsed = beside.submit(self._compiler.parse, texts | words, self._folder)
            annotated = beside.submit(self._compiler.annotations, texts, inspect_in)
            self._compiler.check(self._folder, self._capabilities, names)
            return parsed.result(), annotated.result()

    def _check_form(self, sources: list[Source], modules: dict[str, Any], rules: dict[str, Rule]) -> None:
        problems = []
        for source in sources:
            if source.code in rules and offences(modules[source.path], source.folder, rules[source.code].stage):
                located = self._compiler.locate(self._rules / source.path)
                problems += [
                    Problem(source.file, *offence)
                    for offence in offences(located, source.folder, rules[source.code].stage)
                ]
        if problems:
            raise PackRefused(problems)

    def _bundle(self, sources: list[Source], data: dict[str, Any], revision: str, target: Path) -> Path:
        """Write what `opa build` would; it checks nothing that was not checked, and OPA compiles what it loads."""
        head = {"revision": revision, "roots": ROOTS, "rego_version": 1}
        files = {source.path: source.text.encode() for source in sources}
        built = self._folder / "bundle.tar.gz"
        if self._wasm:  # `.manifest` does not name it, so that OPA itself goes by the rules
            files[MODULE] = self._compiler.compile(self._rules, self._capabilities, self._folder / "compiled.tar.gz")
        built.write_bytes(write_archive(files | {"data.json": canonical(data), ".manifest": canonical(head)}))
        bundle = target / f"{revision.removeprefix('sha256:')}.tar.gz"
        built.replace(bundle)
        return bundle


LAW = """# METADATA
# scope: subpackages
# schemas:
#   - input: schema.input
#   - data.config: schema.config
package {root}
"""


def manifest_of(rules: dict[str, Rule]) -> dict[str, Any]:
    """Return `data.manifest`, without its revision: which rules are asked, which of them about the caller alone."""
    names = {folder: sorted(rule.name for rule in rules.values() if rule.folder == folder) for folder in FOLDERS}
    caller = {
        folder: sorted(rule.name for rule in rules.values() if rule.folder == folder and rule.stage == "caller")
        for folder in ("permits", "guards")
    }
    return names | {"caller": caller, "rules": {code: rules[code].words() for code in sorted(rules)}}


def revision_of(sources: list[Source], manifest: dict[str, Any], config: dict[str, Any]) -> str:
    """Return the digest of all that decides: every file, the manifest, and the values."""
    content = {"files": {source.path: source.text for source in sources}, "manifest": manifest, "config": config}
    return digest(REVISION_TAG, content)


def read_tables(cases: list[Text]) -> dict[str, Table]:
    """Read decision tables, by file. Raises `PackRefused` with the file and the member that is wrong."""
    return {case.file: read_table(case) for case in cases}


def _must_match_this_pdp(source: Path) -> None:
    """A pack written for another version of the input would be checked against fields that are not sent.

    Nor may it allow itself more of Rego than the pack that comes with this package: no clock, network or randomness.
    """
    if _json(source, "schemas/input.json") != input_schema():
        what = "The schema is not that of the input this PDP sends."
        instead = "Write it anew with `pdp policy schema`, and check the rules against it."
        raise PackRefused([Problem("schemas/input.json", 0, what, instead)])
    if _json(source, CAPABILITIES) != _json(default_pack_dir(), CAPABILITIES):
        what = "It is not the list of built-ins that this PDP allows."
        raise PackRefused([Problem(CAPABILITIES, 0, what, "Restore it from the package: every pack uses the same.")])


def _must_ask_nothing(sources: list[Source], modules: dict[str, Any]) -> None:
    """Words get what they look at from the rules, whose text alone says which facts they read."""
    words = [source for source in sources if source.folder == LIB]
    found = [problem for source in words for problem in straying(source, modules[source.path])]
    if found:
        raise PackRefused(found)


def config_schema(source: Path) -> dict[str, Any]:
    """Return the JSON schema that the config.yaml of a pack must fit. Raises `PackRefused`."""
    return _json(source, "schemas/config.json")


def _json(source: Path, name: str) -> dict[str, Any]:
    try:
        value: dict[str, Any] = json.loads((source / name).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise PackRefused([Problem(name, 0, f"It cannot be read ({error}).", "Restore it.")]) from None
    return value
