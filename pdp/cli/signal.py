"""`pdp signal`: tell the PDP what you know about a person, an agent or a session."""

import asyncio
import getpass
import secrets
from datetime import datetime

import click
import msgspec

from ..app import load_pack
from ..errors import Fault
from ..identity.signals import SignalBody, receive, withdraw
from ..settings import load
from ..times import parse_rfc3339, system_clock
from .office import in_office


@click.group()
def signal() -> None:
    """Evidence for risk."""


@signal.command()
@click.argument("entity_kind", metavar="KIND", type=click.Choice(("person", "agent", "session")))
@click.argument("entity", metavar="ID")
@click.argument("code")
@click.option("--weight", type=click.IntRange(0, 1000), help="Probability per mille; default: that of CODE.")
@click.option("--half-life", type=click.IntRange(min=0), help="Seconds in which it halves; default: that of CODE.")
@click.option("--observed", help="When, RFC 3339; default: now.")
@click.option("--expires", help="Until when it counts at all, RFC 3339; default, and at most: half a year.")
@click.option("--id", "identifier", help="Its id; the same again changes nothing. Default: a new one.")
@click.option("--by", default=getpass.getuser, show_default="the user of this machine", help="Who says so.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def add(
    *,
    entity_kind: str,
    entity: str,
    code: str,
    weight: int | None,
    half_life: int | None,
    observed: str | None,
    expires: str | None,
    identifier: str | None,
    by: str,
    as_json: bool,
) -> None:
    """Add the sign CODE of config.yaml (or one with --weight) about the KIND called ID; a session is 'ISSUER SID'."""
    given = {"weight": weight, "half_life_s": half_life, "expires_at": _time(expires)}
    body = {
        "id": identifier or secrets.token_hex(8),
        "entity_kind": entity_kind,
        "entity": entity,
        "code": code,
        "observed_at": _time(observed) or system_clock(),
        **{name: value for name, value in given.items() if value is not None},
    }
    try:
        read = msgspec.convert(body, SignalBody)
    except msgspec.ValidationError as error:
        raise Fault(f"This is no signal: {error}.") from None
    weights = load_pack(load()).weights
    taken = asyncio.run(in_office(lambda office: receive(office, read, f"cli:{by}", weights)))
    about = f"{taken.code} about {taken.entity_kind} {taken.entity}"
    words = f"{read.id}: {about}, {taken.weight} per mille, from {taken.observed_at} until {taken.expires_at}"
    click.echo(msgspec.json.encode(taken).decode() if as_json else words)


@signal.command("withdraw")
@click.argument("identifier", metavar="ID")
@click.option("--by", default=getpass.getuser, show_default="the user of this machine", help="Who said so.")
def withdraw_(*, identifier: str, by: str) -> None:
    """Take back the signal ID that you added."""
    taken = asyncio.run(in_office(lambda office: withdraw(office, identifier, f"cli:{by}")))
    click.echo(f"{taken.code} about {taken.entity_kind} {taken.entity} counts no more")


def _time(text: str | None) -> datetime | None:
    try:
        return parse_rfc3339(text) if text else None
    except ValueError:
        raise Fault(f"{text} is not a time: write it as 2026-01-01T00:00:00Z.") from None
