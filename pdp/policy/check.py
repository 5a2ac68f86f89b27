"""Everything that is checked before a pack with an org folder may go live, in one run: what `pdp check` prints.

build     place, values, types, words, form; the bundle                         pack.py
running   the probe, every example, the cases, every lost fact, in an OPA       examine.py
tests     the org's own `_test.rego`                                            suite.py
lint      Regal, where there is one; `opa fmt`                                  lint.py
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ..engine.local import LocalOpa
from .compiler import Compiler
from .examine import examine
from .lint import Linted, lint
from .pack import Pack, build_pack
from .probe import ORG
from .problem import PackRefused, Problem
from .sources import Source, own_tests, the_only_org
from .suite import Suite, lay_out, run_suite

WIDENS = ("permits.", "duties.")  # a guard or a gate more can only say no
LINT = ".regal"  # our rules for Regal and its configuration, in the folder of the pack


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What a check works with: the programs, the folders, and whom it tells what it is doing.

    `regal` is None where there is none; `without_regal` then says how to get it.
    """

    opa: Path
    regal: Path | None
    without_regal: str
    pack: Path
    org: Path | None
    say: Callable[[str], None] = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a check found. `pack` is None when it could not be built; the counts are of the org folder's own."""

    problems: list[Problem]
    hints: list[Problem]
    pack: Pack | None = None
    tests: int = 0
    covered: float = 0.0
    cases: int = 0
    not_linted: str = ""
    elapsed_s: float = 0.0

    def own_rules(self) -> list[str]:
        """Return the codes of the org folder's rules."""
        rules = self.pack.rules if self.pack else {}
        return sorted(code for code, rule in rules.items() if rule.own)

    def to_review(self) -> list[str]:
        """Return the codes of the org folder's permits and duties: only they can let more through, or oblige."""
        return [code for code in self.own_rules() if code.startswith(WIDENS)]


async def check(bench: Bench, folder: Path) -> Report:
    """Check the pack with the org folder, building in `folder`. Raises `Fault` when a program cannot be run."""
    started = time.monotonic()
    try:
        bench.say("Building the pack")
        pack = await asyncio.to_thread(build_pack, bench.opa, bench.pack, bench.org, folder)
        tests = own_tests(bench.pack, bench.org)
    except PackRefused as refused:
        return Report(problems=[*refused.problems], hints=[], elapsed_s=time.monotonic() - started)
    problems, (suite, hints, linted) = await asyncio.gather(
        _run(bench, pack, folder / "run"), asyncio.to_thread(_read, bench, pack, tests, folder / "tests")
    )
    return Report(
        problems=[*problems, *suite.problems, *linted.problems],
        hints=sorted([*suite.unreached, *hints, *linted.hints]),
        pack=pack,
        tests=suite.ran,
        covered=suite.covered,
        cases=sum(len(table.cases) for file, table in pack.tables.items() if file.startswith(ORG)),
        not_linted=bench.without_regal,
        elapsed_s=time.monotonic() - started,
    )


async def _run(bench: Bench, pack: Pack, folder: Path) -> list[Problem]:
    org = the_only_org(bench.pack, bench.org)
    alone = org is None or not (org / "config.yaml").is_file()
    engine = await LocalOpa.start(bench.opa, pack.bundle, pack.revision, folder)
    try:
        return await examine(engine, pack, lambda what: bench.say(f"Trying {what}"), alone=alone)
    finally:
        await engine.close()


def _read(bench: Bench, pack: Pack, tests: list[Source], folder: Path) -> tuple[Suite, list[Problem], Linted]:
    """Run the tests, and look at the form of rules and tests; Regal says little about what does not compile."""
    compiler, names = Compiler(bench.opa), _names(pack, tests)
    lay_out(pack, tests, folder)
    suite = run_suite(compiler, folder, bench.pack / "capabilities.json", pack, tests)
    if not suite.readable:
        return suite, [], Linted([], [])
    hints = [_unformatted(names[path]) for path in compiler.unformatted(folder, sorted(names))]
    return suite, hints, lint(bench.regal, bench.pack / LINT, folder, names) if bench.regal else Linted([], [])


def _unformatted(file: str) -> Problem:
    return Problem(file, 0, "The file is not formatted.", "`opa fmt --write` does it, with the OPA of `pdp opa path`.")


def _names(pack: Pack, tests: list[Source]) -> dict[str, str]:
    """Return what authors call the org folder's rules and tests, by their place."""
    rules = {rule.file.removeprefix("org/"): rule.file for rule in pack.rules.values() if rule.own}
    return rules | {test.path: test.file for test in tests}
