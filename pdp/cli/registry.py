"""`pdp registry`: take tool definitions in, look at what changed, approve, quarantine and revoke them.

These commands work on the store and write their own log, `log/cli/`; running services notice within a second.
"""

import asyncio
import difflib
import getpass
import json
from pathlib import Path
from typing import Any

import click
import msgspec

from ..audit.office import Office
from ..enrich import Impact
from ..errors import Fault
from ..query import ToolRef
from ..registry.definitions import Definition
from ..registry.labels import Review
from ..registry.review import Submitted, approve, quarantine, revoke, submit
from ..registry.reviews import Reviews, beside, read_reviews
from ..registry.sources import read_list
from ..settings import load
from ..store.registry import read_tools
from ..store.sql import open_store, reading
from .office import in_office

CLASSES = ("read", "write", "external", "destructive", "privileged")
MARKS = {"approved": "+", "submitted": "?", "superseded": "-", "quarantined": "!", "revoked": "x"}

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
by = click.option("--by", default=getpass.getuser, show_default="the user of this machine", help="Who decides.")
digest = click.option("--digest", help="Which definition; needed when there are several.")
reason = click.option("--reason", required=True, help="Why; for the record.")


@click.group()
def registry() -> None:
    """Tool definitions: import, review, approve, revoke."""


@registry.command("import")
@click.argument("words", nargs=-1, required=True, metavar="FILE | --stdio -- COMMAND...")
@click.option("--server", required=True, help="The server's id, as adapters name it.")
@click.option("--stdio", is_flag=True, help="Start COMMAND, an MCP server over stdio, and ask it.")
@click.option("--review", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A file of reviews.")
@click.option("--approve", "approving", is_flag=True, help="Approve what the file of reviews covers.")
@by
@as_json
def import_(
    *, words: tuple[str, ...], server: str, stdio: bool, review: Path | None, approving: bool, by: str, as_json: bool
) -> None:
    """Take in what a server lists, from a `tools/list` answer in FILE or from a running server.

    What is new awaits review and is denied until then. Reviews stand in a file (--review; by default the one beside
    FILE, list.json -> list.review.yaml) and take effect with --approve only.
    """
    definitions, source = _definitions(words, stdio=stdio)
    if not definitions:
        raise Fault("It lists no tool. A protected server hides what is not approved: start it with `list_only`.")
    reviews = _reviews(Path(words[0]) if not stdio else None, review, server, approving=approving)
    taken = asyncio.run(_import(server, definitions, source, reviews, by))
    if as_json:
        click.echo(msgspec.json.encode(taken).decode())
        return
    for one in taken:
        click.echo(
            f"{MARKS[one.status]} {_plain(one.server)}/{_plain(one.name)} {one.status}{'' if one.new else ' (known)'}"
        )
    click.echo(f"{len(taken)} definitions, {sum(one.new for one in taken)} new.")


@registry.command("list")
@click.option("--server", help="Only this server.")
@click.option("--status", type=click.Choice(tuple(MARKS)), help="Only these.")
@as_json
def list_(server: str | None, status: str | None, as_json: bool) -> None:
    """List the definitions of all tools."""
    rows = [row for row in asyncio.run(_rows()) if server in {None, row.server} and status in {None, row.status}]
    if as_json:
        click.echo(json.dumps([_summary(row) for row in rows]))
        return
    for row in rows:
        name = f"{_plain(row.server)}/{_plain(row.name)}"
        click.echo(
            f"{MARKS[row.status]} {name:40} {row.status:11} {row.risk_class:11} {row.owner:16} {row.digest[:19]}"
        )


@registry.command()
@click.argument("tool")
@as_json
def show(tool: str, as_json: bool) -> None:
    """Show every definition of TOOL (server/name), and how the others differ from the one in force."""
    ref = _ref(tool, None)
    rows = [row for row in asyncio.run(_rows()) if (row.server, row.name) == (ref.server, ref.name)]
    if not rows:
        raise Fault(f"{tool} is not registered: see `pdp registry list`.")
    approved = next((row for row in rows if row.status == "approved"), None)
    diffs = {row.digest: _diff(approved, row) for row in rows if approved and row is not approved}
    if as_json:
        shown = [msgspec.to_builtins(row) | {"diff": diffs.get(row.digest, [])} for row in rows]
        click.echo(json.dumps(shown))
        return
    for row in rows:
        click.echo("\n".join(f"{name:15} {value}" for name, value in _summary(row).items() if value not in (None, "")))
        click.echo("\n".join(diffs.get(row.digest) or _pretty(row)) + "\n")


@registry.command("approve")
@click.argument("tool")
@digest
@click.option("--class", "risk_class", type=click.Choice(CLASSES), required=True, help="What the tool can do at worst.")
@click.option("--owner", required=True, help="Whom to ask about the tool.")
@click.option("--label", "labels", multiple=True, help="A label of the tool.")
@click.option("--scope", "scopes", multiple=True, help="A token scope that a call needs.")
@click.option("--argument-label", "argument_labels", multiple=True, metavar="/POINTER=LABEL", help="As /card=payment.")
@by
@as_json
def approve_(
    *,
    tool: str,
    digest: str | None,
    risk_class: Impact,
    owner: str,
    labels: tuple[str, ...],
    scopes: tuple[str, ...],
    argument_labels: tuple[str, ...],
    by: str,
    as_json: bool,
) -> None:
    """Put a definition of TOOL (server/name) in force, instead of the one in force until now."""
    review = Review(
        risk_class=risk_class,
        owner=owner,
        labels=list(labels),
        required_scopes=list(scopes),
        argument_labels=_argument_labels(argument_labels),
    )
    _say(asyncio.run(in_office(lambda office: approve(office, _ref(tool, digest), review, by))), as_json=as_json)


@registry.command("quarantine")
@click.argument("tool")
@digest
@reason
@by
@as_json
def quarantine_(tool: str, digest: str | None, reason: str, by: str, as_json: bool) -> None:
    """Stop TOOL (server/name) until it is approved again."""
    _say(asyncio.run(in_office(lambda office: quarantine(office, _ref(tool, digest), reason, by))), as_json=as_json)


@registry.command("revoke")
@click.argument("tool")
@digest
@reason
@by
@as_json
def revoke_(tool: str, digest: str | None, reason: str, by: str, as_json: bool) -> None:
    """Withdraw a definition of TOOL (server/name) for good."""
    _say(asyncio.run(in_office(lambda office: revoke(office, _ref(tool, digest), reason, by))), as_json=as_json)


def _definitions(words: tuple[str, ...], *, stdio: bool) -> tuple[list[dict[str, Any]], str]:
    if stdio:
        from ..registry.live import list_live  # the MCP client takes half a second to import

        return asyncio.run(list_live(list(words))), f"stdio: {' '.join(words)}"
    if len(words) != 1:
        raise Fault("Give one file, or --stdio -- and a command.")
    return read_list(Path(words[0])), f"file: {words[0]}"


def _reviews(file: Path | None, given: Path | None, server: str, *, approving: bool) -> Reviews:
    if given and not approving:
        raise Fault("Reviews take effect with --approve only: add it, or leave --review out.")
    path = given or (beside(file) if file else None)
    if not approving or path is None or not path.exists():
        if approving:
            raise Fault(f"There is no file of reviews{f' at {path}' if path else ''}: name one with --review.")
        return Reviews(server, {})
    reviews = read_reviews(path)
    if reviews.server != server:
        raise Fault(f"{path} reviews the tools of {reviews.server}, not of {server}.")
    return reviews


async def _import(
    server: str, definitions: list[dict[str, Any]], source: str, reviews: Reviews, by: str
) -> list[Submitted]:
    listed = {str(definition.get("name")) for definition in definitions}
    if absent := sorted(reviews.tools.keys() - listed):
        raise Fault(f"These tools are reviewed but not listed: {', '.join(absent)}. Nothing was imported.")

    async def work(office: Office) -> list[Submitted]:
        taken = await submit(office, server, definitions, source)
        return [await _approved(office, one, reviews, by) for one in taken]

    return await in_office(work)


async def _approved(office: Office, one: Submitted, reviews: Reviews, by: str) -> Submitted:
    if one.name not in reviews.tools:
        return one
    definition = await approve(office, ToolRef(one.server, one.name, one.digest), reviews.tools[one.name], by)
    return msgspec.structs.replace(one, status=definition.status)


async def _rows() -> list[Definition]:
    store = await open_store(load().store_url)
    try:
        async with reading(store) as connection:
            return [msgspec.convert(row, Definition) for row in await read_tools(connection)]
    finally:
        await store.dispose()


def _ref(tool: str, digest: str | None) -> ToolRef:
    server, slash, name = tool.partition("/")
    if not slash or not server or not name:
        raise Fault(f"{tool} does not name a tool: write server/name.")
    return ToolRef(server, name, digest)


def _argument_labels(given: tuple[str, ...]) -> dict[str, list[str]]:
    labels: dict[str, list[str]] = {}
    for text in given:
        pointer, equals, label = text.rpartition("=")
        if not equals:
            raise Fault(f"{text} is not an argument label: write /pointer=label, as /card=payment.")
        labels.setdefault(pointer, []).append(label)
    return labels


def _summary(row: Definition) -> dict[str, Any]:
    return {name: value for name, value in msgspec.to_builtins(row).items() if name != "definition"}


def _say(definition: Definition, *, as_json: bool) -> None:
    shown = _summary(definition)
    name = f"{_plain(definition.server)}/{_plain(definition.name)}"
    click.echo(json.dumps(shown) if as_json else f"{name} {definition.digest} is {definition.status}.")


def _diff(approved: Definition, other: Definition) -> list[str]:
    lines = difflib.unified_diff(_pretty(approved), _pretty(other), "in force", other.status, lineterm="", n=2)
    return list(lines)


def _pretty(row: Definition) -> list[str]:
    # ASCII only: what a terminal or an eye would swallow (invisible letters, control codes) shows as an escape
    return json.dumps(row.definition, indent=2, sort_keys=True, ensure_ascii=True).splitlines()


def _plain(name: str) -> str:
    return name if name.isascii() and name.isprintable() else json.dumps(name)
