"""Everything that is checked before a pack with an org folder may go live, in one run: what `pdp check` prints.

build     place, values, types, words, form; the bundle                         pack.py
running   the probe, every example, the org's cases, in an OPA that runs it     probe.py, trial.py
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
from .lint import Linted, lint
from .pack import Pack, build_pack, probe
from .problem import PackRefused, Problem
from .sources import Own, own
from .suite import Suite, lay_out, run_suite
from .trial import Tried, try_tables

LINT = ".regal"  # our rules for Regal and its configuration, in the folder of the pack
WIDENS = ("permits", "duties")  # a new guard or gate can only say no; these deserve a second pair of eyes


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
    examples: int = 0
    not_linted: str = ""
    elapsed_s: float = 0.0

    def own_rules(self) -> list[str]:
        """Return the codes of the org folder's rules."""
        rules = self.pack.rules if self.pack else {}
        return sorted(code for code, rule in rules.items() if rule.own)

    def to_review(self) -> list[str]:
        """Return the codes of the org folder's permits and duties: only they can let more through, or oblige."""
        return [code for code in self.own_rules() if code.startswith(tuple(f"{folder}." for folder in WIDENS))]


async def check(bench: Bench, folder: Path) -> Report:
    """Check the pack with the org folder, building in `folder`. Raises `Fault` when a program cannot be run."""
    started = time.monotonic()
    try:
        bench.say("Building the pack")
        pack = await asyncio.to_thread(build_pack, bench.opa, bench.pack, bench.org, folder)
        beside = own(bench.pack, bench.org)
    except PackRefused as refused:
        return Report(problems=[*refused.problems], hints=[], elapsed_s=time.monotonic() - started)
    bench.say("Asking it in a running OPA, running its tests, linting")
    (tried, problems), (suite, hints, linted) = await asyncio.gather(
        _run(bench, pack, beside, folder / "run"),
        asyncio.to_thread(_read, bench, pack, beside, folder / "tests"),
    )
    return Report(
        problems=[*problems, *(t.problem() for t in tried if t.differs), *suite.problems, *linted.problems],
        hints=sorted([*suite.unreached, *hints, *linted.hints]),
        pack=pack,
        tests=suite.ran,
        covered=suite.covered,
        cases=len(tried),
        not_linted=bench.without_regal,
        elapsed_s=time.monotonic() - started,
    )


async def _run(bench: Bench, pack: Pack, beside: Own, folder: Path) -> tuple[list[Tried], list[Problem]]:
    engine = await LocalOpa.start(bench.opa, pack.bundle, pack.revision, folder)
    try:
        await probe(engine, pack)
        return await try_tables(engine, pack, beside.cases)
    except PackRefused as refused:
        return [], [*refused.problems]
    finally:
        await engine.close()


def _read(bench: Bench, pack: Pack, beside: Own, folder: Path) -> tuple[Suite, list[Problem], Linted]:
    """Run the tests, and look at the form of rules and tests; Regal says little about what does not compile."""
    compiler, names = Compiler(bench.opa), _names(pack, beside)
    lay_out(pack, beside.tests, folder)
    suite = run_suite(compiler, folder, bench.pack / "capabilities.json", pack, beside.tests)
    if not suite.readable:
        return suite, [], Linted([], [])
    hints = [_unformatted(names[path]) for path in compiler.unformatted(folder, sorted(names))]
    return suite, hints, lint(bench.regal, bench.pack / LINT, folder, names) if bench.regal else Linted([], [])


def _unformatted(file: str) -> Problem:
    return Problem(file, 0, "The file is not formatted.", "`opa fmt --write` does it, with the OPA of `pdp opa path`.")


def _names(pack: Pack, beside: Own) -> dict[str, str]:
    """Return what authors call the org folder's rules and tests, by their place."""
    rules = {rule.file.removeprefix("org/"): rule.file for rule in pack.rules.values() if rule.own}
    return rules | {test.path: test.file for test in beside.tests}
