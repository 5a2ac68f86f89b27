"""`pdp try`: what the rules say to calls nobody made: tables of cases, one call from flags, or a recorded input."""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, cast

import click
import msgspec

from ..decide import Reply, Verdict, verdict_from
from ..decide import refused as denied
from ..engine import Engine
from ..errors import Fault, Refused
from ..policy.asks import try_asks
from ..policy.cases import NOW, read_table
from ..policy.pack import Pack
from ..policy.problem import PackRefused, Problem
from ..policy.sources import Text
from ..policy.trials import Case, cases_of, no_verdict, not_as_said, verdict_on
from ..settings import load
from .call import CLASSES, LACKING, Call
from .running import many, with_engine

EFFECTS = ("allow", "deny", "needs_approval")
COLUMNS = ("case", "who", "tool", "expected", "got", "because, duties")
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("try")
@click.argument("tables", nargs=-1, type=FILE, metavar="[CASES.yaml]...")
@click.option("--tool", default="", metavar="SERVER/TOOL", help="One call: the tool,")
@click.option("--class", "risk_class", type=click.Choice(CLASSES), default="read", help="its class of impact (read),")
@click.option("--label", "labels", multiple=True, metavar="LABEL", help="a label, or an argument's: /amount=money,")
@click.option("--scope", "scopes", multiple=True, help="a token scope it requires,")
@click.option("--arg", "arguments", multiple=True, metavar="NAME=VALUE", help="and an argument, read as JSON or text.")
@click.option("--person", help="Who calls, or whom the agent acts for,")
@click.option("--role", "roles", multiple=True, help="a role of theirs,")
@click.option("--group", "groups", multiple=True, help="a group of theirs.")
@click.option("--agent", help="The agent that calls,")
@click.option("--impact", type=click.Choice(CLASSES), default="privileged", help="and what it may do (privileged).")
@click.option("--lacking", multiple=True, type=click.Choice(LACKING), help="What they do not hold; by default all.")
@click.option("--risk", type=click.FloatRange(0, 100), default=0, help="The risk score, 0 to 100 (0).")
@click.option("--first-use", is_flag=True, help="This was never allowed before for this person and agent.")
@click.option("--approved", multiple=True, metavar="GATE", help="A gate that a human has opened for the call.")
@click.option("--at", "now", default=NOW, metavar="TIME", help=f"When, in UTC ({NOW}).")
@click.option("--input", "recorded", type=FILE, help="One call: a policy input, or a record that holds one (JSON).")
@click.option("--expect", type=click.Choice(EFFECTS), help="Exit with 1 unless this comes of the call.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def try_(*, tables: tuple[Path, ...], recorded: Path | None, expect: str | None, as_json: bool, **flags: Any) -> None:
    """Try calls on the rules; nothing is called or recorded.

    CASES.yaml are decision tables like those in cases/ of the pack. For one call give --tool and --person, --agent or
    both; who is named holds all rights that the call needs, but for what is --lacking. Or give an --input.
    """
    if sum(map(bool, (tables, flags["tool"], recorded))) != 1:
        raise click.UsageError("Give tables of cases, or one --tool, or one --input.")
    if tables:
        _try_tables(tables, as_json=as_json)
    elif recorded:
        _try_one(_recorded(recorded), [], expect, as_json=as_json)
    else:
        call = Call(**flags)
        _try_one(call.document(), call.assumed(), expect, as_json=as_json)


class Tried(NamedTuple):
    """A case, what came of it, and how that is not what its table says."""

    case: Case
    verdict: Verdict
    problems: list[Problem]

    @property
    def because(self) -> list[str]:
        """Return the codes of the reasons."""
        return sorted(reason.code for reason in self.verdict.reasons)

    @property
    def duties(self) -> list[str]:
        """Return the types of what is owed."""
        return [duty["type"] for duty in self.verdict.duties]


def _try_tables(files: tuple[Path, ...], *, as_json: bool) -> None:
    started = time.monotonic()
    cases, problems = _read(files)

    async def work(engine: Engine, pack: Pack) -> list[Tried]:
        return [await _tried(engine, pack, case) for case in cases]

    tried = with_engine(load(), work)
    problems += [problem for one in tried for problem in one.problems]
    took = time.monotonic() - started
    if as_json:
        record = {"ok": not problems, "cases": [_record(one) for one in tried], "elapsed_s": round(took, 3)}
        click.echo(json.dumps(record | {"problems": [problem._asdict() for problem in problems]}))
    else:
        click.echo("\n".join([*_table(tried), *map(str, problems), _summary(tried, problems, took)]))
    if problems:
        sys.exit(1)


def _read(files: tuple[Path, ...]) -> tuple[list[Case], list[Problem]]:
    """Read the tables; one that cannot be read is a problem, and the others are tried."""
    cases: list[Case] = []
    problems: list[Problem] = []
    for file in files:
        try:
            cases += cases_of({str(file): read_table(Text(str(file), file.read_text("utf-8")))})
        except PackRefused as refused:
            problems += refused.problems
        except (OSError, UnicodeDecodeError) as error:
            raise Fault(f"{file} cannot be read: {error}.") from None
    return cases, problems


async def _tried(engine: Engine, pack: Pack, case: Case) -> Tried:
    reply = await verdict_on(engine, pack, case.document)
    if reply is None:
        name = f"the case {case.row.case!r} of {case.file}"
        return Tried(case, _verdict(None, pack), await no_verdict(engine, pack, name, case.document))
    problems = [*not_as_said(case, reply, pack), *await try_asks(engine, pack, [case])]
    return Tried(case, _verdict(reply, pack), problems)


def _verdict(reply: Reply | None, pack: Pack) -> Verdict:
    """Return what callers would be told; where there is no verdict, that is the deny it means."""
    return verdict_from(reply, pack) if reply else denied(Refused("engine.garbled"))


def _try_one(document: dict[str, Any], assumed: list[str], expect: str | None, *, as_json: bool) -> None:
    async def work(engine: Engine, pack: Pack) -> tuple[Reply | None, Pack]:
        return await verdict_on(engine, pack, document), pack

    reply, pack = with_engine(load(), work)
    verdict = _verdict(reply, pack)
    spoke = [*reply.broken_guards, *reply.shut_gates] if reply else []
    if as_json:
        shown = msgspec.to_builtins(verdict) | {"against": spoke}
        click.echo(json.dumps(shown | {"input": document}))
    else:
        told = _told(verdict, spoke, pack, document)
        click.echo("\n".join([*told, *(f"assumed    {one}" for one in assumed)]))
    if expect not in {None, verdict.effect}:
        raise Fault(f"{expect} is expected, it is {verdict.effect}.")


def _recorded(file: Path) -> dict[str, Any]:
    """Return the policy input in a file: alone, in a decision's record, or in what `pdp why --json` prints."""
    try:
        value = json.loads(file.read_bytes())
        for name in ("record", "body", "input"):
            value = value.get(name, value)
        found = {"caller", "tool", "arguments"} <= value.keys()
    except (ValueError, AttributeError):
        found = False
    if not found:
        raise Fault(f"{file} holds no policy input: give the `input` of a recorded decision (`pdp why ID --json`).")
    return cast(dict[str, Any], value)


def _table(tried: list[Tried]) -> Iterator[str]:
    rows = [
        (
            one.case.row.case,
            "/".join(filter(None, (one.case.row.person, one.case.row.agent))),
            one.case.row.tool,
            one.case.row.expect,
            one.verdict.effect,
            ", ".join([*one.because, *one.duties]),
        )
        for one in tried
    ]
    widths = [max(map(len, column)) for column in zip(COLUMNS, *rows, strict=True)]
    marks = ["  ", *("NO" if one.problems else "ok" for one in tried)]
    for mark, row in zip(marks, [COLUMNS, *rows], strict=True):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield f"{mark}  {line}".rstrip()


def _summary(tried: list[Tried], problems: list[Problem], took: float) -> str:
    wrong = many(len(problems), "problem") if problems else "all as expected"
    return f"{many(len(tried), 'case')}, {wrong}. {took:.1f} s"


def _told(verdict: Verdict, spoke: list[str], pack: Pack, document: dict[str, Any]) -> Iterator[str]:
    """Tell a verdict with the words of every rule in it, also of those that a deny does not mention to callers."""
    caller, tool = document["caller"], document["tool"]
    who = "/".join(str(caller[part]["id"]) for part in ("person", "agent") if part in caller)
    yield f"{verdict.effect.upper()}  {who}  {tool['server']}/{tool['name']}  {document.get('now', '')}".rstrip()
    for code in verdict.permits:
        yield f"permitted  {code}: {pack.rules[code].title}"
    for reason in verdict.reasons:
        yield from (f"because    {reason.code}: {reason.title}", f"           {reason.remedy}")
    for code in spoke:
        if code not in {reason.code for reason in verdict.reasons}:
            yield from (f"besides    {code}: {pack.rules[code].title}", f"           {pack.rules[code].remedy}")
    for duty in verdict.duties:
        yield f"owed       {json.dumps(duty)}"


def _record(tried: Tried) -> dict[str, Any]:
    row = tried.case.row
    expected = {"effect": row.expect, "because": row.because, "duties": row.duties}
    got = {"effect": tried.verdict.effect, "because": tried.because, "duties": tried.duties}
    who = {"person": row.person, "agent": row.agent, "tool": row.tool}
    place = {"file": tried.case.file, "line": row.line, "case": row.case}
    return {**place, **who, "expected": expected, "got": got, "ok": not tried.problems}
