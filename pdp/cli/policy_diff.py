"""`pdp policy diff A B`: what changes between two policies, in their rules and in what they answer."""

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import msgspec
from msgspec import Struct
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ..engine.binary import OPA, find, places
from ..errors import Fault
from ..policy.differences import Differences, Whole, differences, whole
from ..policy.impact import Impact, impact
from ..policy.recorded import Question, cases_of, decisions_of
from ..policy.replay import judging
from ..policy.sides import Places
from ..settings import Settings, load
from .policy_diff_lines import lines

LAST = 5000  # decisions: a few seconds of two engines, and days of most logs
SAME, DIFFERENT, TROUBLE = 0, 1, 2  # as diff(1) has it


class Compared(Struct, frozen=True):
    """Both policies by name and revision, in what they differ, and what that changes."""

    a: str
    b: str
    revisions: list[str]
    differences: Differences
    cases: Impact
    decisions: Impact


@click.command()
@click.argument("a")
@click.argument("b")
@click.option("--last", default=LAST, show_default=True, type=click.IntRange(0), help="Recorded decisions to ask.")
@click.option("--text", "with_text", is_flag=True, help="Also how the rules that differ read.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def diff(a: str, b: str, last: int, with_text: bool, as_json: bool) -> None:
    """Show what changes from policy A to policy B: rules, values, and answers to cases and to recorded decisions.

    A and B are each a pack or org folder, a bundle, a revision (sha256:... or its first digits) of PDP_DATA_DIR, or
    one of: active, configured, shipped. Exit status 0: no answer changes; 1: one does; 2: they cannot be compared.
    """
    try:
        compared = asyncio.run(_compared(a, b, last, load()))
    except Fault as fault:
        click.echo(f"pdp: {fault}", err=True)
        sys.exit(TROUBLE)
    told: dict[str, Any] = msgspec.to_builtins(compared)
    click.echo(json.dumps(told) if as_json else "\n".join(lines(told, with_text=with_text)))
    sys.exit(DIFFERENT if compared.cases.shifts or compared.decisions.shifts else SAME)


async def _compared(a: str, b: str, last: int, settings: Settings) -> Compared:
    opa = find(OPA, places(OPA, os.environ, settings.opa_binary)).path
    with tempfile.TemporaryDirectory(prefix="pdp-") as folder:
        known = Places(
            opa=opa,
            data_dir=settings.data_dir,
            policy_dir=settings.policy_dir,
            org_dir=settings.org_dir,
            bundle=settings.policy_bundle,
            target=Path(folder),
        )
        before, after = [await asyncio.to_thread(_whole, known, side) for side in (a, b)]
        cases = cases_of(before.pack.tables, after.pack.tables)
        answers = await _answers([cases, decisions_of(settings.data_dir, last)], before, after, opa)
    revisions = [side.pack.revision for side in (before, after)]
    return Compared(a, b, revisions, differences(before, after), *answers)


def _whole(known: Places, side: str) -> Whole:
    return whole(known.pack(side), known.opa, known.target)


async def _answers(sets: Sequence[Sequence[Question]], before: Whole, after: Whole, opa: Path) -> list[Impact]:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    async with judging(before.pack, opa) as one, judging(after.pack, opa) as other:
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
            task = progress.add_task("Asking both policies", total=sum(map(len, sets)))
            sides = (before, one), (after, other)
            return [await impact(questions, *sides, lambda: progress.advance(task)) for questions in sets]
