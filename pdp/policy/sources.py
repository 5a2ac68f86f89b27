"""The files of a policy pack: which there may be, where, and what each becomes.

A rule in a folder that nobody loads is a guard nobody asks. So a name we do not know is refused, never passed over.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from .advice import perhaps
from .problem import PackRefused, Problem

FOLDERS = ("permits", "guards", "gates", "duties")  # one question each (architecture, section 3)
SHARED = ("pdp", "lib", "approvals")  # what rules are dispatched by and written in; only the pack has these
TEST = "_test.rego"
BESIDE = {"README.md", "config.yaml", "cases"}  # in a pack or an org folder, beside its rules
BESIDE_PACK = BESIDE | {"schemas", "capabilities.json", "org"}
MAX_FILE_BYTES = 256 * 1024  # a rule is a page, a table a few; YAML of this size takes a second to read
MAX_DEPTH = 50  # brackets inside brackets; the deepest of the pack are 6
BRACKETS = re.compile(r"[(\[{}\])]")
NAME = re.compile(r"[a-z][a-z0-9_]*")
IGNORE = re.compile(r"#.*regal\W+ignore", re.IGNORECASE)  # wider than Regal reads it today
MARK = "\ufeff"
LOCK = ".#"  # how an editor's lock on a file begins: a link that leads nowhere


class Source(NamedTuple):
    """A policy file. `path` is its place in the bundle, `file` what its author calls it, `own` an org's own rule."""

    path: str
    file: str
    text: str
    own: bool

    @property
    def folder(self) -> str:
        """Return the first part of its path: permits, guards, gates, duties, pdp, lib or approvals."""
        return self.path.split("/")[0]

    @property
    def name(self) -> str:
        """Return the file's name without `.rego`, which is the last part of its package."""
        return self.path.split("/")[1].removesuffix(".rego")

    @property
    def code(self) -> str:
        """Return its package, which is the code of its rule: `guards.risk_ceiling`."""
        return f"{self.folder}.{self.name}"


class Text(NamedTuple):
    """A text and the name of the file it stands in."""

    file: str
    text: str


class Found(NamedTuple):
    """Everything a pack and an org folder hold: config.yaml files and decision tables, the pack's own first."""

    sources: list[Source]
    configs: list[Text]
    cases: list[Text]


def collect(pack: Path, org: Path | None) -> Found:
    """Read the pack and the org folder beside or inside it. Raises `PackRefused` naming every file out of place."""
    org = the_only_org(pack, org)
    reader = _Reader()
    sources = reader.rules(pack, "", (*SHARED, *FOLDERS), BESIDE_PACK)
    configs, cases = reader.config(pack, ""), reader.cases(pack, "")
    if org is not None:
        sources += reader.rules(org, "org/", FOLDERS, BESIDE)
        configs += reader.config(org, "org/")
        cases += reader.cases(org, "org/")
    problems = [*reader.problems, *misplaced(sources)]
    if problems:
        raise PackRefused(problems)
    return Found(sources, configs, cases)


def shared_texts(sources: list[Source]) -> dict[str, str]:
    """Return the texts of the files that rules are dispatched by and written in, by their path in the bundle."""
    return {source.path: source.text for source in sources if source.folder in SHARED}


def misplaced(sources: list[Source]) -> Iterator[Problem]:
    """Find what is wrong with the set of files, before anything reads what they say."""
    for wrong in (_misnamed, _unlinted, _nested, _twice, _lacking):
        yield from wrong(sources)


def own_tests(pack: Path, org: Path | None) -> list[Source]:
    """Read the tests in the org folder, which are never loaded. Raises `PackRefused` when one cannot be read."""
    org = the_only_org(pack, org)
    reader = _Reader()
    tests = reader.tests(org, "org/") if org is not None else []
    if reader.problems:
        raise PackRefused(reader.problems)
    return tests


def the_only_org(pack: Path, org: Path | None) -> Path | None:
    """Return the org folder: the one that is named, or the one inside the pack. Raises `PackRefused` for two."""
    for folder, setting in ((pack, "PDP_POLICY_DIR"), (org, "PDP_ORG_DIR")):
        if folder is not None and not folder.is_dir():
            raise PackRefused([Problem(str(folder), 0, "This is not a folder.", f"Correct {setting} or unset it.")])
    inside = pack / "org"
    if org is None or org.resolve() == inside.resolve():
        return inside if inside.is_dir() else None
    if inside.is_dir() and any(entry.name != "README.md" for entry in _visible(inside)):
        what = "There are rules, values or cases here, and PDP_ORG_DIR names another folder."
        raise PackRefused([Problem(str(inside), 0, what, "Keep everything of your own in one of the two.")])
    return org


class _Reader:
    """Reads files and keeps what is wrong with them, so that one run names everything."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def rules(self, root: Path, prefix: str, folders: tuple[str, ...], beside: set[str]) -> list[Source]:
        found: list[Source] = []
        for entry in _visible(root):
            if entry.name in folders and entry.is_dir():
                found += self._folder(entry, prefix)
            elif entry.name not in beside:
                instead = f"Rules belong in {', '.join(FOLDERS)}; remove or rename this."
                instead += perhaps(entry.name, (*FOLDERS, *BESIDE))
                self.problems.append(Problem(prefix + entry.name, 0, "Nothing here is ever loaded.", instead))
            elif not (entry.is_file() if entry.suffix else entry.is_dir()):  # values passed over are limits lost
                kind = "file" if entry.suffix else "folder"
                instead = f"Put a {kind} here, correct where the link leads, or remove this."
                self.problems.append(Problem(prefix + entry.name, 0, f"This is not a {kind}.", instead))
        return found

    def config(self, root: Path, prefix: str) -> list[Text]:
        file = root / "config.yaml"
        return [Text(prefix + file.name, self._text(file, prefix + file.name))] if file.is_file() else []

    def tests(self, root: Path, prefix: str) -> list[Source]:
        files = [file for folder in FOLDERS for file in sorted((root / folder).glob(f"[!.]*{TEST}"))]
        paths = {f"{file.parent.name}/{file.name}": file for file in files}
        return [Source(path, prefix + path, self._text(file, prefix + path), own=True) for path, file in paths.items()]

    def cases(self, root: Path, prefix: str) -> list[Text]:
        found = []
        for file in _visible(root / "cases") if (root / "cases").is_dir() else []:
            name = f"{prefix}cases/{file.name}"
            if file.is_file() and file.suffix == ".yaml":
                found.append(Text(name, self._text(file, name)))
            else:
                self.problems.append(Problem(name, 0, "Only decision tables (*.yaml) stand here.", "Remove this."))
        return found

    def _folder(self, folder: Path, prefix: str) -> list[Source]:
        found = []
        for file in _visible(folder):
            path = f"{folder.name}/{file.name}"
            complaint = _out_of_place(file)
            if complaint is not None:
                self.problems.append(Problem(prefix + path, 0, *complaint))
                continue
            text = self._text(file, prefix + path)
            source = Source(path, prefix + path, text, own=bool(prefix))
            if file.name.endswith(TEST):
                self.problems += _unlinted([source])
            else:
                found.append(source)
        return found

    def _text(self, file: Path, name: str) -> str:
        try:
            if file.stat().st_size > MAX_FILE_BYTES:
                instead = "Put some of it into another table, or remove what nobody reads."
                self.problems.append(Problem(name, 0, f"The file is larger than {MAX_FILE_BYTES} bytes.", instead))
                return ""
            text = file.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            self.problems.append(Problem(name, 0, f"The file cannot be read ({error}).", "Make it readable UTF-8."))
            return ""
        if text.startswith(MARK):
            self.problems.append(Problem(name, 1, "The file begins with a byte order mark.", "Save it as plain UTF-8."))
        return text.removeprefix(MARK)


def _visible(folder: Path) -> list[Path]:
    """Return what stands in a folder. What an editor or a mount hides is passed over, but a hidden rule is not."""
    return sorted(
        entry
        for entry in folder.iterdir()
        if not entry.name.startswith(".") or (entry.suffix == ".rego" and not entry.name.startswith(LOCK))
    )


def _out_of_place(file: Path) -> tuple[str, str] | None:
    if not file.is_file() or file.suffix != ".rego":
        instead = "A rule is a file right here, values are in config.yaml; move or remove this."
        return "Only rules and their tests stand here.", instead
    if not NAME.fullmatch(file.stem):
        return "The name cannot be a package.", "Use lower-case letters, digits and underscores."
    if file.stat().st_size > MAX_FILE_BYTES:
        return f"The file is larger than {MAX_FILE_BYTES} bytes.", "Keep values in config.yaml."
    if file.name.endswith(TEST) and not file.with_name(file.name.removesuffix(TEST) + ".rego").is_file():
        return "There is no rule beside this test, so nothing loads it.", "Write the rule, or rename this."
    return None


def _misnamed(sources: list[Source]) -> Iterator[Problem]:
    """Find files whose first statement is not their own package; a second file of one package would add to its rule."""
    for source in sources:
        statements = ((n, line.strip()) for n, line in enumerate(source.text.split("\n"), 1) if _says_something(line))
        number, statement = next(statements, (0, ""))
        if statement != f"package {source.code}":
            instead = f"Begin with `package {source.code}`: one file, one package, one code."
            yield Problem(source.file, number, "The file's place and its package are not the same.", instead)


def _unlinted(sources: list[Source]) -> Iterator[Problem]:
    for source in sources:
        for number, line in enumerate(source.text.split("\n"), 1):
            if IGNORE.search(line):
                instead = "Write the rule so that the linter is content with it."
                yield Problem(source.file, number, "A pack does not tell its linter to look away.", instead)


def _nested(sources: list[Source]) -> Iterator[Problem]:
    """Find files nested more deeply than a reader can follow; our own reading of OPA's parse would run out of stack."""
    for source in sources:
        deepest = depth = 0
        for bracket in BRACKETS.findall(source.text):
            depth = max(0, depth + (1 if bracket in "([{" else -1))
            deepest = max(deepest, depth)
        if deepest > MAX_DEPTH:
            yield Problem(source.file, 0, f"Brackets are nested {deepest} deep.", "Take it apart into named parts.")


def _says_something(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _twice(sources: list[Source]) -> Iterator[Problem]:
    first = {source.path for source in sources if not source.own}
    for source in sources:
        if source.own and source.path in first:
            yield Problem(source.file, 0, f"The pack already has {source.code}.", "Give your rule another name.")


def _lacking(sources: list[Source]) -> Iterator[Problem]:
    if all(source.path != "pdp/decision.rego" for source in sources):
        yield Problem("pdp/decision.rego", 0, "The entrypoint is missing.", "Restore it from the package.")
    for folder in ("permits", "guards"):
        if all(source.folder != folder for source in sources):
            yield Problem(folder, 0, "There is no rule, so every call would be denied.", "Add one.")
