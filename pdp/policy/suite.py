"""The tests an author wrote beside the rules, run by `opa test` on the built pack, as it would be loaded.

They run under our capabilities, with the values and the manifest of the pack and the org folder: what a test sees is
what a call would meet.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .archive import read_archive
from .compiler import Compiler
from .pack import Pack
from .problem import PackRefused, Problem
from .sources import TEST, Source


class Suite(NamedTuple):
    """How it went: `ran` tests, `covered` per cent of the own rules' lines, and the lines that no test reaches."""

    problems: list[Problem]
    ran: int = 0
    covered: float = 0.0
    unreached: Sequence[Problem] = ()
    readable: bool = True


def lay_out(pack: Pack, tests: list[Source], folder: Path) -> None:
    """Write the content of the bundle and the tests below `folder`, each file in its place."""
    written = {test.path: test.text.encode() for test in tests}
    for name, content in (read_archive(pack.bundle) | written).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def run_suite(compiler: Compiler, folder: Path, capabilities: Path, pack: Pack, tests: list[Source]) -> Suite:
    """Run `tests`, which stand in `folder` (see `lay_out`) beside the rules of the pack."""
    rules = {rule.code: rule.file for rule in pack.rules.values() if rule.own}
    problems = [*_untested(rules, tests), *_misnamed(tests)]
    if problems or not tests:
        return Suite(problems)
    names = {test.path: test.file for test in tests}
    try:
        results = compiler.test(folder, capabilities, names)
    except PackRefused as refused:
        return Suite([*refused.problems], readable=False)
    problems = sorted([*_empty(results, tests), *_failed(results, names)])  # tests run side by side, in any order
    if problems:
        return Suite(problems, len(results))
    covered, unreached = _coverage(compiler.coverage(folder, capabilities), rules)
    return Suite([], len(results), covered, unreached)


def _untested(rules: dict[str, str], tests: list[Source]) -> Iterator[Problem]:
    there = {test.file for test in tests}
    for file in rules.values():
        beside = file.removesuffix(".rego") + TEST
        if beside not in there:
            yield Problem(file, 0, "The rule has no test.", f"Write {beside}; `pdp policy new` shows how one looks.")


def _misnamed(tests: list[Source]) -> Iterator[Problem]:
    """A test in the package of its rule would be part of the rule while it is tested, and of nothing afterwards."""
    for test in tests:
        lines = ((number, line.strip()) for number, line in enumerate(test.text.split("\n"), 1))
        number, line = next(((n, line) for n, line in lines if line.startswith("package ")), (0, ""))
        if line != f"package {test.code}":
            instead = f"Write `package {test.code}`."
            yield Problem(test.file, number, "The file's place and its package are not the same.", instead)


def _empty(results: list[dict[str, Any]], tests: list[Source]) -> Iterator[Problem]:
    ran = {result["location"]["file"] for result in results}
    for test in tests:
        if test.path not in ran:
            yield Problem(test.file, 0, "There is no test in this file.", "Write rules whose names begin with `test_`.")


def _failed(results: list[dict[str, Any]], names: dict[str, str]) -> Iterator[Problem]:
    for result in results:
        place = names[result["location"]["file"]], result["location"]["row"]
        if result.get("skip"):
            yield Problem(*place, f"{result['name']} is skipped.", "Name it `test_...`, or remove it.")
        elif "error" in result:
            yield Problem(*place, f"{result['name']} could not run: {result['error']}.", "Correct it.")
        elif result.get("fail"):
            instead = "Correct the rule, or what the test expects of it."
            yield Problem(*place, f"{result['name']} fails: not everything in it is true.", instead)


def _coverage(report: dict[str, Any], rules: dict[str, str]) -> tuple[float, list[Problem]]:
    """Return the share of the own rules' lines that tests reach, in per cent, and the lines they do not."""
    lines, unreached = 0, []
    for code, file in rules.items():
        said = report["files"].get(code.replace(".", "/") + ".rego", {})
        lines += said.get("covered_lines", 0) + said.get("not_covered_lines", 0)
        rows = {n for gap in said.get("not_covered", []) for n in range(gap["start"]["row"], gap["end"]["row"] + 1)}
        unreached += [Problem(file, row, "No test reaches this line.", "Write one that does.") for row in sorted(rows)]
    return (100.0 * (lines - len(unreached)) / lines if lines else 0.0), unreached
