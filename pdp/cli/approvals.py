"""`pdp approvals`, `pdp approve`, `pdp deny`: what waits for people, decided with their own token, through the API."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import click
import msgspec

from ..approvals.plain import imitations, plain
from ..approvals.report import Habits, habits_of
from ..errors import Fault
from ..net import JsonClient, NoReply
from ..settings import load
from ..store.approvals import read_dwell
from ..store.sql import open_store, reading
from ..times import rfc3339, system_clock
from .lines import client_at, place_of, secret_in

ANSWERS_WITHIN_S = 10.0
WAIT_S = 25  # of one look at a request that is watched; the PDP answers at once when it is decided
MAX_REPLY = 4 * 1024 * 1024  # bytes: 200 requests with their arguments
OK = 200
F = TypeVar("F", bound=Callable[..., Any])
TokenFile = click.Path(path_type=Path, dir_okay=False, exists=True)


def _asked(command: F) -> F:
    """Add the options of every command here: where the PDP is, whose token, and JSON."""
    url = click.option("--url", help="Where the PDP is; default: PDP_PUBLIC_URL, or PDP_HOST and PDP_PORT.")
    token = click.option(
        "--token-file",
        envvar="PDP_TOKEN_FILE",
        type=TokenFile,
        required=True,
        help="Your own access token, issued for the server pdp.approvals (PDP_TOKEN_FILE).",
    )
    return url(token(click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)))


@click.group()
def approvals() -> None:
    """Calls that wait for a person to agree."""


@approvals.command("list")
@_asked
def list_open(url: str | None, token_file: Path, as_json: bool) -> None:
    """List the open requests of others, the most urgent first."""
    told = _run(url, token_file, lambda desk: desk.get("/v1/approvals"))
    lines = [_line(shown) for shown in told["approvals"]] or ["Nothing waits for anybody."]
    click.echo(json.dumps(told) if as_json else "\n".join(lines))


@approvals.command()
@click.argument("request")
@_asked
def show(request: str, url: str | None, token_file: Path, as_json: bool) -> None:
    """Show one request: the exact call, who is behind it, and why it asks."""
    told = _run(url, token_file, lambda desk: desk.get(_path(request)))
    click.echo(json.dumps(told) if as_json else "\n".join(lines_of(told)))


@approvals.command()
@click.argument("request")
@_asked
def watch(request: str, url: str | None, token_file: Path, as_json: bool) -> None:
    """Wait until a request is decided, and say how."""

    async def decided(desk: "_Desk") -> Any:
        while True:
            told = await desk.get(f"{_path(request)}?wait={WAIT_S}", WAIT_S + ANSWERS_WITHIN_S)
            if told["status"]["status"] != "open":
                return told

    told = _run(url, token_file, decided)
    click.echo(json.dumps(told) if as_json else _state(told))


@approvals.command()
@click.option("--days", default=90, show_default=True, type=click.IntRange(1, 3650), help="How far to look back.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def report(days: int, as_json: bool) -> None:
    """Say of each person who votes how often they agree and how long they take: who no longer reads, agrees at once."""
    found = asyncio.run(_habits(days))
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
        return
    lines = [
        f"{plain(one.person)}  {one.votes} votes  {one.approve_rate:.0%} approved  "
        f"median {one.median_dwell_s:.0f} s  fastest {one.fastest_dwell_s:.0f} s"
        for one in found
    ]
    click.echo("\n".join(lines or [f"Nobody voted in the last {days} days."]))


@click.command()
@click.argument("request")
@click.option("--reason", default="", help="Why; some requests demand it.")
@click.option("--yes", is_flag=True, help="Do not show the call and ask first.")
@_asked
def approve(request: str, reason: str, yes: bool, url: str | None, token_file: Path, as_json: bool) -> None:
    """Agree that this very call is made."""
    _vote(request, "approve", reason, yes=yes, url=url, token_file=token_file, as_json=as_json)


@click.command()
@click.argument("request")
@click.option("--feedback", required=True, help="What the agent should know; it reads this.")
@_asked
def deny(request: str, feedback: str, url: str | None, token_file: Path, as_json: bool) -> None:
    """Refuse a call, and say why."""
    _vote(request, "deny", feedback, yes=True, url=url, token_file=token_file, as_json=as_json)


def lines_of(told: dict[str, Any]) -> list[str]:
    """Return a request as text for a person; nothing in it can hide or move the cursor."""
    call = told["shown"]
    caller = call["caller"]
    arguments = call["arguments"]
    words = [str(value) for value in (told["tool"], *arguments, *arguments.values())]
    risk = call["risk"]
    return [
        _state(told),
        f"call       {plain(told['server'])}/{plain(told['tool'])}  ({call['tool']['risk_class']})",
        f"for        {plain(told['person'] or '(nobody: the agent acts by itself)')}",
        *([f"through    {plain(told['agent'])}"] if told["agent"] else []),
        f"mode       {caller['mode']}",
        *(
            f"argument   {plain(name)} = {plain(json.dumps(value, ensure_ascii=False))}"
            for name, value in arguments.items()
        ),
        *(f"LOOK-ALIKE {plain(word)} mixes alphabets" for word in imitations(" ".join(words))),
        f"risk       {risk['score']:.0f} {risk['level']}",
        *(f"           {item['points']:5.1f}  {plain(item['code'])}" for item in risk["evidence"]),
        *(f"asks       {reason['code']}: {reason['title']}" for reason in call["reasons"]),
        *(f"stage      {stage['id']}: {stage['quorum']}" for stage in told["stages"]),
        *(f"vote       {plain(cast['person'])} {cast['vote']} {plain(cast['reason'])}" for cast in told["votes"]),
    ]


async def _habits(days: int) -> list[Habits]:
    store = await open_store(load().store_url)
    try:
        async with reading(store) as connection:
            since = rfc3339(system_clock() - timedelta(days=days))
            return habits_of(await read_dwell(connection, since))
    finally:
        await store.dispose()


def _vote(request: str, vote: str, reason: str, *, yes: bool, url: str | None, token_file: Path, as_json: bool) -> None:
    shown = _run(url, token_file, lambda desk: desk.get(_path(request)))
    if not yes:
        click.echo("\n".join(lines_of(shown)))
        click.confirm("Is this call to be made?", abort=True)
    body = {"vote": vote, "reason": reason, "presented_digest": shown["presented_digest"]}
    told = _run(url, token_file, lambda desk: desk.post(f"{_path(request)}/votes", body))
    click.echo(json.dumps(told) if as_json else _state(told))


def _line(told: dict[str, Any]) -> str:
    status, who = told["status"], told["person"] or told["agent"] or ""
    tool = f"{plain(told['server'])}/{plain(told['tool'])}"
    return f"{status['id']}  until {status['expires_at']}  {plain(who)}  {tool}"


def _value(value: Any) -> str:
    return plain(json.dumps(value, ensure_ascii=False))


def _state(told: dict[str, Any]) -> str:
    status = told["status"]
    until = f", until {status['expires_at']}" if status["status"] == "open" else ""
    return f"{status['id']}  {status['status']}{until}"


def _path(request: str) -> str:
    return f"/v1/approvals/{quote(request, safe='')}"


class _Desk:
    """Asks the PDP as a person. Raises `Fault` with what the PDP said."""

    def __init__(self, client: JsonClient) -> None:
        self._client = client

    async def get(self, path: str, within_s: float = ANSWERS_WITHIN_S) -> Any:
        return _said(await self._client.get(path, within_s))

    async def post(self, path: str, body: Any) -> Any:
        return _said(await self._client.post(path, json.dumps(body).encode(), ANSWERS_WITHIN_S))


def _said(reply: Any) -> Any:
    try:
        said = json.loads(reply.body)
        problem = None if reply.status == OK else f"{said['title']} ({said['code']})"
    except (ValueError, KeyError, TypeError):
        raise Fault(f"It answered {reply.status}, and not as a PDP does: correct --url.") from None
    if problem:
        raise Fault(problem)
    return said


def _run(url: str | None, token_file: Path, work: Callable[[_Desk], Coroutine[Any, Any, Any]]) -> Any:
    settings = load()
    place = place_of(settings, url)
    client = client_at(settings, place, secret_in(token_file), MAX_REPLY)

    async def done() -> Any:
        try:
            return await work(_Desk(client))
        except NoReply as away:
            raise Fault(f"The PDP at {place} does not answer ({away}): is this its address?") from None
        finally:
            await client.close()

    return asyncio.run(done())
