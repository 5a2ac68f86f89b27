"""`make demo`: a real issuer, PDP, OPA and protected MCP server; real calls by several callers; one table.

Everything is set up with the commands an operator uses. Exit status 1 when a call did not end as rows.py says, or a
tool ran that must not have.
"""

import argparse
import asyncio
import json
import logging
import shutil
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import msgspec
from mcp.types import RequestParamsMeta, TextContent
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from ..adapters.replies import DECISION, DID_NOT_RUN
from ..audit.entry import Entry, digest_of, read_entry
from ..errors import Fault
from ..times import system_clock
from .browse import approve_in_console
from .issuer import issuer_app, open_issuer, write_private
from .loopback import loopback_socket, served, url_of
from .processes import command, started, together
from .rows import ROWS, Row, Vote
from .run import dev_console
from .seed import BEARERS, DIRECT_CLIENT, REVIEW, SERVER, VOTERS, people_of, tokens
from .signin import signin_routes
from .visit import visiting

KEY = "pep.key"
UNHURRIED = {"PDP_DECIDE_WITHIN_S": "5", "PDP_RECORD_WITHIN_S": "5"}  # the machine may be busy
APPROVING = ("--review", str(REVIEW), "--approve")
ENOUGH = 1000  # entries of the log: more than the demo writes
WIDTH = 150  # columns of the table where no terminal says how many there are
SHORT = 10  # characters of a digest in the table
COLOURS = {"allow": "green", "deny": "red", "needs_approval": "yellow"}


class Call(Struct, frozen=True):
    """A call as the caller and the server saw it end. `id` is the decision's; `ran` and `failed` are the tool's."""

    row: Row
    id: str
    text: str
    ran: bool
    failed: bool


class Seen(Struct, frozen=True):
    """A call as the log has it. `wrong` says in what it differs from its row; empty when in nothing."""

    who: str
    tool: str
    arguments: dict[str, Any]
    decision: str
    because: list[str]
    receipt: str
    id: str
    ran: bool
    wrong: list[str]


class Stage(Struct, frozen=True):
    """The running parts: where MCP server and PDP are, the tokens by caller, the settings, this run's folder."""

    mcp: str
    pdp: str
    tokens: dict[str, str]
    settings: dict[str, str]
    folder: Path

    @property
    def drift(self) -> Path:
        """Return the file whose existence makes the server change a definition."""
        return self.folder / "drift"

    def journal_of(self, tool: str) -> int:
        """Return how often a tool ran."""
        journal = self.folder / "journal"
        return journal.read_text().splitlines().count(tool) if journal.exists() else 0


async def play(folder: Path) -> list[Seen]:
    """Set the stage in `folder`, play every row, and return how each ended, as the log has it."""
    async with staged(folder) as stage:
        calls = [await _call(row, stage) for row in ROWS]
        log = await command(stage.settings, "log", "tail", "-n", str(ENOUGH), "--json")
    recorded = {entry.body["id"]: (entry, digest_of(line)) for entry, line in _decisions(log)}
    return [_seen(call, *recorded.get(call.id, (None, ""))) for call in calls]


@asynccontextmanager
async def staged(folder: Path) -> AsyncIterator[Stage]:
    """Start everything, with sample people, tools, a key and tokens; stop everything at the end."""
    async with AsyncExitStack() as stack:
        bound = stack.enter_context(loopback_socket())
        issuer = open_issuer(folder / "issuer", url_of(bound))
        await stack.enter_async_context(served(issuer_app(issuer, signin_routes(issuer, system_clock)), bound))
        issuers = json.dumps([{"issuer": issuer.url, "direct_clients": [DIRECT_CLIENT]}])
        settings = {"PDP_DATA_DIR": str(folder / "pdp"), "PDP_ISSUERS": issuers, **UNHURRIED, **_console(issuer.url)}
        await _prepare(settings, folder, issuer.url)
        pdp = await stack.enter_async_context(started(settings, "pdp", "serve", says="pdp serves on "))
        options = ["--pdp", pdp.said, "--key-file", str(folder / KEY), "--issuer", issuer.url]
        options += ["--journal", str(folder / "journal"), "--drift-file", str(folder / "drift")]
        options += ["--deadline-s", "12"]
        mcp = await stack.enter_async_context(started(settings, "pdp.dev.server", *options, says="payments serves on "))
        yield Stage(mcp.said, pdp.said, tokens(issuer, datetime.now(UTC)), settings, folder)


def _console(issuer: str) -> dict[str, str]:
    """Return settings of a console on a port that is free now: its address has to be known before it listens."""
    with loopback_socket() as bound:
        url = url_of(bound)
    named = {f"PDP_{name.upper()}": str(value) for name, value in dev_console(issuer, url).items()}
    return {**named, "PDP_PORT": url.rpartition(":")[2]}


async def _prepare(settings: dict[str, str], folder: Path, issuer: str) -> None:
    """Bring in people, tools and a key, with the commands an operator uses."""
    people = folder / "people.yaml"
    people.write_text(people_of(issuer))
    lists = [sys.executable, "-m", "pdp.dev.server", "--list"]
    await command(settings, "identity", "import", str(people))
    await together(
        command(settings, "registry", "import", *APPROVING, "--server", SERVER, "--stdio", "--", *lists),
        command(settings, "keys", "create", "--server", SERVER, "--out", str(folder / KEY)),
    )


async def _vote(vote: Vote, row: Row, stage: Stage) -> None:
    """Approve in the console; who is to be refused tries with the command. Raises `Fault` when it ends otherwise."""
    told = json.loads(await _at_the_desk("carol-approves", stage, "approvals", "list"))
    request = next(one for one in told["approvals"] if one["shown"]["arguments"] == row.arguments)["status"]["id"]
    if not vote.refused:
        subject = next(voter.subject for voter in VOTERS if voter.name == vote.who)
        await approve_in_console(stage.pdp, request, subject)
        return
    try:
        await _at_the_desk(vote.who, stage, "approve", "--yes", request)
    except Fault as fault:
        if f"({vote.refused})" not in str(fault):
            raise
    else:
        raise Fault(f"{vote.who} approved {row.tool}, and must not have been able to.")


async def _at_the_desk(who: str, stage: Stage, *words: str) -> str:
    token = stage.folder / f"{who}.jwt"
    write_private(token, stage.tokens[who])
    return await command(stage.settings, *words, "--json", "--url", stage.pdp, "--token-file", str(token))


async def _call(row: Row, stage: Stage) -> Call:
    for vote in row.votes:
        await _vote(vote, row, stage)
    if row.drift:
        write_private(stage.drift, "now\n")
    before = stage.journal_of(row.tool)
    async with visiting(stage.mcp, stage.tokens[row.who]) as client:
        result = await client.call_tool(row.tool, row.arguments, meta=cast("RequestParamsMeta", row.meta))
    text = "\n".join(block.text for block in result.content if isinstance(block, TextContent))
    told = (result.meta or {}).get(DECISION, {}).get("id", "")
    return Call(row, told, text, ran=stage.journal_of(row.tool) > before, failed=bool(result.is_error))


def _decisions(log: str) -> Iterator[tuple[Entry, bytes]]:
    for line in log.encode().splitlines():
        entry = read_entry(line)
        if entry.kind == "decision":
            yield entry, line


def _seen(call: Call, entry: Entry | None, digest: str) -> Seen:
    record: dict[str, Any] = {"decision": "not recorded", "reasons": [], "permits": []} | (entry.body if entry else {})
    because = [reason["code"] for reason in record["reasons"]]
    return Seen(
        who=next(bearer.says for bearer in BEARERS if bearer.name == call.row.who),
        tool=call.row.tool,
        arguments=call.row.arguments,
        decision=record["decision"],
        because=because or [*record["permits"], *_duties(record)],
        receipt=f"#{entry.index} {digest.removeprefix('sha256:')[:SHORT]}" if entry else "",
        id=call.id,
        ran=call.ran,
        wrong=differences(call, record["decision"], because),
    )


def _duties(record: dict[str, Any]) -> list[str]:
    return [f"{duty['type']} {' '.join(duty.get('pointers', []))}" for duty in record.get("duties", [])]


def differences(call: Call, decision: str, because: Sequence[str]) -> list[str]:
    """Return in what a call differs from its row."""
    row, allowed = call.row, call.row.decision == "allow"
    checks = {
        f"decided {decision}, not {row.decision}": decision == row.decision,
        f"reasons lack {sorted(row.because - set(because))}": row.because <= set(because),
        "the tool ran" if call.ran else "the tool did not run": call.ran == allowed,
        f"the caller read: {call.text}": row.shows in call.text and (allowed or DID_NOT_RUN in call.text),
        "the caller read what is to be hidden": not row.hides or row.hides not in call.text,
        "the call failed" if call.failed else "the call did not fail": call.failed != allowed,
    }
    return [words for words, right in checks.items() if not right]


def table(rows: Sequence[Seen]) -> Table:
    """Return the table: who, tool, arguments, decision, why, receipt."""
    shown = Table(title="Who may do what, and why", header_style="bold", expand=False)
    for heading in ("", "who", "tool", "arguments", "decision", "why", "receipt"):
        shown.add_column(heading, overflow="fold", no_wrap=heading in {"tool", "decision", "receipt"})
    for seen in rows:
        colour = COLOURS.get(seen.decision, "magenta")
        shown.add_row(
            "[red]x[/]" if seen.wrong else "[green]ok[/]",
            seen.who,
            seen.tool,
            " ".join(f"{name}={json.dumps(value)}" for name, value in seen.arguments.items()),
            f"[{colour}]{seen.decision}[/]",
            "\n".join(seen.because),
            seen.receipt,
        )
    return shown


def show(rows: Sequence[Seen], folder: Path, console: Console) -> None:
    """Print the table, what went wrong, and the command that explains a row."""
    console.print(table(rows))
    for seen in rows:
        for words in seen.wrong:
            console.print(f"[red]{seen.who} -> {seen.tool}: {words}[/]")
    denied = next((seen for seen in rows if seen.decision == "deny"), None)
    if denied:
        console.print(f"\nWhy was {denied.who} denied {denied.tool}?", highlight=False)
        console.print(f"  PDP_DATA_DIR={folder / 'pdp'} .venv/bin/pdp why {denied.id}", highlight=False, soft_wrap=True)


def main() -> None:
    """Run the demo. Exit status 0 only when every row ended as it should."""
    parser = argparse.ArgumentParser(prog="python -m pdp.dev.demo", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    options = parser.parse_args()
    logging.getLogger("httpx2").setLevel("WARNING")
    folder = Path("var/demo").resolve()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    try:
        rows = asyncio.run(play(folder))
    except Fault as fault:
        sys.exit(f"demo: {fault}")
    if options.json:
        sys.stdout.write(msgspec.json.encode(rows).decode() + "\n")
    else:
        show(rows, folder, Console(width=None if sys.stdout.isatty() else WIDTH))
    sys.exit(1 if any(seen.wrong for seen in rows) else 0)


if __name__ == "__main__":
    main()
