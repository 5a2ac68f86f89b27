"""`pdp identity`: bring people, agents and their rights in, and see what someone may do and why."""

import asyncio
import getpass
import json
from pathlib import Path
from typing import Any

import click
import msgspec

from ..errors import Fault
from ..identity.feed import Feed, must_be_a_feed, read_feed
from ..identity.importer import How, import_feed
from ..identity.revoke import KINDS, Target, reinstate, revoke
from ..identity.rights import Held, Principal
from ..settings import load
from ..store.feeds import Difference
from ..store.identity import find_principal
from ..store.revocations import Kind
from ..store.sql import open_store
from ..store.tables import NEVER
from ..times import rfc3339, system_clock
from .office import in_office

SIGNS = {"added": "+", "changed": "~", "removed": "-", "kept": "="}
database = click.option("--database", help="SQLAlchemy URL of the store; default: the one in the settings.")
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def identity() -> None:
    """People, agents, groups, roles, rights and delegations."""


@identity.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Print what would change, and change nothing.")
@click.option("--prune", metavar="SOURCE", help="Remove what FILE no longer mentions; SOURCE must be its own.")
@database
@as_json
def import_(file: Path, *, dry_run: bool, prune: str | None, database: str | None, as_json: bool) -> None:
    """Bring in FILE (YAML or JSON): all of it or nothing; the same again changes nothing."""
    how = How(dry_run=dry_run, prune=prune)
    read = read_feed(file.read_bytes())
    must_be_a_feed(read)
    differences = asyncio.run(_import(read, how, database))
    if as_json:
        click.echo(msgspec.json.encode(differences).decode())
        return
    for difference in differences:
        click.echo(_line(difference))
    changed = sum(difference.action != "kept" for difference in differences)
    done = "Rows that would change" if dry_run else "Rows changed"
    click.echo(f"{done}: {changed}." if changed else "Nothing to change.")


@identity.command()
@click.argument("principal")
@database
@as_json
def show(principal: str, database: str | None, as_json: bool) -> None:
    """Show what PRINCIPAL (a person or an agent) may do, and where each right comes from."""
    found = asyncio.run(_find(principal, database))
    if found is None:
        raise Fault(f"Nobody is registered as {principal}: look for the id in the feed that should hold them.")
    shown = _shown(found, rfc3339(system_clock()))
    click.echo(json.dumps(shown) if as_json else "\n".join(_lines(shown)))


target = click.argument("kind", type=click.Choice(KINDS))
identifier = click.argument("identifier", metavar="ID")
issuer = click.option("--issuer", default="", help="Of a client or session: whose name ID is.")
reason = click.option("--reason", required=True, help="Why; for the record.")
by = click.option("--by", default=getpass.getuser, show_default="the user of this machine", help="Who decides.")


@identity.command("revoke")
@target
@identifier
@issuer
@click.option("--everything", is_flag=True, help="Of an agent: all that was delegated to it, too.")
@reason
@by
@database
@as_json
def revoke_(
    *,
    kind: Kind,
    identifier: str,
    issuer: str,
    everything: bool,
    reason: str,
    by: str,
    database: str | None,
    as_json: bool,
) -> None:
    """Stop the KIND called ID on every replica within two seconds, until it is reinstated."""
    named = Target(kind, identifier, issuer)
    work = in_office(lambda office: revoke(office, named, by, reason, everything=everything), database)
    _tell("revoked", asyncio.run(work).revoked, as_json=as_json)


@identity.command("reinstate")
@target
@identifier
@issuer
@reason
@by
@database
@as_json
def reinstate_(
    *, kind: Kind, identifier: str, issuer: str, reason: str, by: str, database: str | None, as_json: bool
) -> None:
    """Let the KIND called ID act again, as far as its feed says it may."""
    work = in_office(lambda office: reinstate(office, Target(kind, identifier, issuer), by, reason), database)
    _tell("reinstated", asyncio.run(work).reinstated, as_json=as_json)


def _tell(what: str, targets: list[Target], *, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode({what: targets}).decode())
        return
    click.echo("\n".join(f"{what} {one.kind} {one.id}" for one in targets) or "Nothing to change.")


async def _import(feed: Feed, how: How, database: str | None) -> list[Difference]:
    return await in_office(lambda office: import_feed(office, feed, how), database)


async def _find(principal: str, database: str | None) -> Principal | None:
    store = await open_store(database or load().store_url)
    try:
        return await find_principal(store, principal)
    finally:
        await store.dispose()


def _line(difference: Difference) -> str:
    before, after = difference.before or {}, difference.after or {}
    head = f"{SIGNS[difference.action]} {difference.table} {difference.key}"
    if difference.action == "kept":
        return f"{head}: left alone, it belongs to {before['source']}"
    if difference.action != "changed":
        return head
    parts = [f"{name}: {before[name]} -> {value}" for name, value in after.items() if before[name] != value]
    return f"{head}: {'; '.join(parts)}"


def _shown(principal: Principal, now: str) -> dict[str, Any]:
    registered = principal.registered
    ways = {f"group:{group.id}": group for group in principal.groups}
    ways |= {f"role:{role.id}": role for role in principal.roles}
    return {
        **{key: value for key, value in msgspec.to_builtins(registered).items() if value is not None},
        "groups": [_held(group, ways, now) for group in principal.groups],
        "roles": [_held(role, ways, now) for role in principal.roles],
        "rights": [
            {
                "id": right.grant.id,
                "permission": right.grant.permission,
                "tool": f"{right.grant.server_pattern}/{right.grant.tool_pattern}",
                "constraints": msgspec.to_builtins(right.grant.constraints),
                "way": [right.via, *_way(right.via, ways)],
                **_until(right.expires_at, now),
            }
            for right in principal.rights
        ],
        "delegations": [
            {**msgspec.to_builtins(delegation), **_until(delegation.expires_at, now)}
            for delegation in principal.delegations
        ],
        "subagents": [{**msgspec.to_builtins(link), **_until(link.expires_at, now)} for link in principal.subagents],
        "signals": [msgspec.to_builtins(signal) for signal in principal.signals],
    }


def _held(held: Held, ways: dict[str, Held], now: str) -> dict[str, Any]:
    way = [held.through, *_way(held.through, ways)] if held.through else []
    return {"id": held.id, "way": way, **_until(held.expires_at, now)}


def _way(via: str, ways: dict[str, Held]) -> list[str]:
    """Follow a right back to the principal: the role it came with, the group that brought the role, ..."""
    steps: list[str] = []
    while via in ways and ways[via].through and ways[via].through not in steps:
        via = ways[via].through
        steps.append(via)
    return steps


def _until(expires_at: str, now: str) -> dict[str, Any]:
    return {"expires_at": None if expires_at == NEVER else expires_at, "expired": expires_at <= now}


def _lines(shown: dict[str, Any]) -> list[str]:
    lines = [f"{shown['kind']} {shown['id']} ({shown['display'] or 'no name'}), {shown['status']}"]
    if shown["kind"] == "agent":
        lines.append(f"  owned by {', '.join(shown['owners']) or 'nobody'}; at most {shown['max_impact']}")
        lines += [f"  ceiling  {pattern}" for pattern in shown["ceiling"]]
    for title in ("groups", "roles"):
        lines += [f"  {title[:-1]:6} {held['id']}{_by(held['way'])}{_end(held)}" for held in shown[title]]
    for right in shown["rights"]:
        bounds = "".join(f", {c['pointer']} {c['op']} {json.dumps(c['value'])}" for c in right["constraints"])
        lines.append(f"  may {right['permission']} {right['tool']}{bounds}{_by(right['way'])}{_end(right)}")
    for row in shown["delegations"]:
        revoked = ", revoked" if row["revoked_at"] else ""
        scope = ", ".join(row["scope"]) or "nothing"
        lines.append(f"  delegates {scope} (at most {row['max_impact']}) to {row['agent']}{_end(row)}{revoked}")
    for row in shown["subagents"]:
        lines.append(f"  hands on {', '.join(row['scope']) or 'nothing'} to {row['child']}{_end(row)}")
    lines += [f"  signal {row['code']} from {row['source']}, since {row['observed_at']}" for row in shown["signals"]]
    return lines


def _by(way: list[str]) -> str:
    return f", by {' by '.join(way)}" if way else ""


def _end(row: dict[str, Any]) -> str:
    if row["expired"]:
        return f", expired {row['expires_at']}"
    return f", until {row['expires_at']}" if row["expires_at"] else ""
