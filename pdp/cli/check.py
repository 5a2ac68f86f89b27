"""`pdp check`: everything about the pack and your org folder that can be known before it goes live."""

import asyncio
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from ..engine.binary import REGAL, find, places
from ..errors import Fault
from ..policy.check import LINT, Bench, Report
from ..policy.check import check as check_all
from ..policy.problem import Problem
from ..settings import Settings, load
from .running import many, opa_of, pack_dir, workshop

ORG = "org/"


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(as_json: bool) -> None:
    """Check the rules, the pack's and yours, before they go live.

    Builds them, asks them in a running OPA, runs the tests and cases of your org folder, and lints it. Changes nothing.
    """
    settings = load()
    with workshop() as (folder, say):
        report = asyncio.run(check_all(_bench(settings, say), folder))
    places = Shown(settings)
    click.echo(json.dumps(_record(report, places)) if as_json else "\n".join(_lines(report, places)))
    if report.problems:
        sys.exit(1)


class Shown:
    """Says where a file of the pack or the org folder is, as one may paste it into an editor."""

    def __init__(self, settings: Settings) -> None:
        self._pack = pack_dir(settings)
        self._org = settings.org_dir or self._pack / "org"

    def place(self, file: str) -> str:
        """Return the path of a file that a problem names, from here when it is below."""
        path = self._org / file.removeprefix(ORG) if file.startswith(ORG) else self._pack / file
        if not path.exists():
            return file
        return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)

    def problem(self, problem: Problem) -> Problem:
        """Return the problem with the path of its file."""
        return problem._replace(file=self.place(problem.file))


def _bench(settings: Settings, say: Callable[[str], None]) -> Bench:
    regal, without = _regal(pack_dir(settings))
    return Bench(
        opa=opa_of(settings),
        regal=regal,
        without_regal=without,
        pack=pack_dir(settings),
        org=settings.org_dir,
        say=say,
    )


def _regal(pack: Path) -> tuple[Path | None, str]:
    """Return Regal, or None and why not. Its rules about the safe form are checked without it, too."""
    if not (pack / LINT).is_dir():
        return None, f"{pack} has no {LINT} with our rules for it: a checkout has"
    try:
        return find(REGAL, places(REGAL, os.environ)).path, ""
    except Fault as fault:
        return None, str(fault).rstrip(".")


def _lines(report: Report, places: Shown) -> Iterator[str]:
    yield from (str(places.problem(problem)) for problem in report.problems)
    yield from (f"hint: {places.problem(hint)}" for hint in report.hints)
    if report.pack is not None:
        yield from (f"review: {code}: {report.pack.rules[code].title}" for code in report.to_review())
    if report.not_linted:
        yield f"NOT LINTED: {report.not_linted}."
    yield _summary(report)


def _summary(report: Report) -> str:
    took = f"{report.elapsed_s:.1f} s"
    if report.problems or report.pack is None:
        return f"{many(len(report.problems), 'problem')}: correct them before this goes live. {took}"
    own, new = report.own_rules(), report.to_review()
    parts = [f"{many(len(report.pack.rules), 'rule')} ({len(own)} yours)", many(report.tests, "test")]
    parts += [f"{report.covered:.0f} % covered"] if report.tests else []
    parts += [many(report.cases, "case")]
    parts += [f"{many(len(new), 'new permit or duty', 'new permits and duties')}: look at these"] if new else []
    return f"All well: {', '.join(parts)}. {took}  {report.pack.revision}"


def _record(report: Report, places: Shown) -> dict[str, Any]:
    return {
        "ok": not report.problems,
        "problems": [places.problem(problem)._asdict() for problem in report.problems],
        "hints": [places.problem(hint)._asdict() for hint in report.hints],
        "revision": report.pack.revision if report.pack else None,
        "rules": sorted(report.pack.rules) if report.pack else [],
        "own": report.own_rules(),
        "review": report.to_review(),
        "tests": report.tests,
        "covered": round(report.covered, 1),
        "cases": report.cases,
        "not_linted": report.not_linted,
        "elapsed_s": round(report.elapsed_s, 3),
    }
