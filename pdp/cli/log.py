"""`pdp log`: read the audit logs of all workers, and check that nothing in them was changed."""

import asyncio
import json
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import msgspec

from ..audit.entry import Entry, Head, read_entry
from ..audit.heads import heads_of, log_key
from ..audit.read import Reader, last_lines, shards
from ..audit.verify import Broken, verify
from ..errors import Fault
from ..settings import Settings, load
from ..store.heads import read_heads
from ..store.sql import StoreUnavailable, open_store, reading

MISSING = "the store has a signed head of it: name the directory it was moved to"
POLL_S = 0.2  # `tail -f` looks again this often


@click.group()
def log() -> None:
    """The audit log: every decision and every change."""


@log.command()
@click.option("-n", "count", default=20, show_default=True, type=click.IntRange(0), help="How many of the newest.")
@click.option("-f", "follow", is_flag=True, help="Go on with what is added, until interrupted.")
@click.option("--json", "as_json", is_flag=True, help="Print the lines as they stand in the log.")
def tail(count: int, follow: bool, as_json: bool) -> None:
    """Print the newest entries of all workers, oldest first."""
    directories = shards(load().data_dir)
    found = [pair for directory in directories for pair in _read(last_lines(directory, count))]
    found.sort(key=lambda pair: pair[0].at_ms)
    for entry, line in found[len(found) - min(count, len(found)) :]:
        _print(entry, line, as_json=as_json)
    if follow:
        _follow({directory: Reader(directory, _behind(directory)) for directory in directories}, as_json=as_json)


@log.command("verify")
@click.argument("moved", nargs=-1, type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="[MOVED]...")
@click.option("--alone", is_flag=True, help="Do not ask the store how far each log had come: a cut end is not found.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def verify_(moved: tuple[Path, ...], *, alone: bool, as_json: bool) -> None:
    """Check that every entry of every log follows from the one before, and that none is missing at the end.

    MOVED are log directories that were moved aside. Exit status 1 when something is not as it was written.
    """
    settings = load()
    kept = {} if alone else asyncio.run(_kept(settings))
    results = [_verified(directory, kept) for directory in (*shards(settings.data_dir), *moved)]
    seen = {result.get("origin") for result in results}
    gone = [origin for origin in kept if origin not in seen] if all(result["intact"] for result in results) else []
    results += [{"log": origin, "intact": False, "reason": f"no log here; {MISSING}"} for origin in gone]
    if not results:
        raise Fault("There is no log yet: is PDP_DATA_DIR that of the service?")
    for result in [] if as_json else results:
        click.echo(" ".join(f"{name}={value}" for name, value in result.items()))
    if as_json:
        click.echo(json.dumps(results))
    sys.exit(0 if all(result["intact"] for result in results) else 1)


async def _kept(settings: Settings) -> dict[str, Head]:
    """Return how far each log of this data directory had come. Asked for first: a log that is written to grows."""
    try:
        store = await open_store(settings.store_url)
        try:
            async with reading(store) as connection:
                rows = await read_heads(connection)
        finally:
            await store.dispose()
    except StoreUnavailable as error:
        raise Fault(f"{error} It knows how far the logs had come; without it, verify them with --alone.") from None
    return heads_of(rows, log_key(settings.data_dir))


def _verified(directory: Path, kept: Mapping[str, Head]) -> dict[str, Any]:
    try:
        return {"log": directory.name, "intact": True, **msgspec.to_builtins(verify(directory, kept))}
    except Broken as broken:
        return {"log": directory.name, "intact": False, "broken_at": broken.index, "reason": broken.reason}


def _follow(readers: dict[Path, Reader], *, as_json: bool) -> None:
    data_dir = load().data_dir
    while True:
        time.sleep(POLL_S)
        for directory in shards(data_dir):
            for entry, line in _read(readers.setdefault(directory, Reader(directory)).lines()):
                _print(entry, line, as_json=as_json)


def _behind(directory: Path) -> int:
    return next((entry.index + 1 for entry, _ in _read(last_lines(directory, 1))), 0)


def _read(lines: Iterable[bytes]) -> Iterator[tuple[Entry, bytes]]:
    for line in lines:
        try:
            yield read_entry(line), line
        except ValueError:
            click.echo("(a line that is no record: run `pdp log verify`)", err=True)


def _print(entry: Entry, line: bytes, *, as_json: bool) -> None:
    if as_json:
        click.echo(line)
        return
    click.echo(f"{entry.at}  {entry.kind:20} {_told(entry)}")


def _told(entry: Entry) -> str:
    body = entry.body
    if entry.kind == "decision":
        caller, tool = body.get("caller") or {}, body.get("tool") or {}
        who = "/".join(caller[part] for part in ("person", "agent") if part in caller) or "nobody known"
        codes = " ".join(reason.get("code", "") for reason in body.get("reasons", []))
        return _plain(f"{body['id']} {body['decision']}: {who} -> {tool.get('server')}/{tool.get('name')} {codes}")
    return _plain(" ".join(f"{name}={value}" for name, value in body.items() if isinstance(value, str | int)))


def _plain(text: str) -> str:
    # Names come from outside; a control code among them must not reach the terminal.
    return "".join(letter if letter.isprintable() else f"\\u{ord(letter):04x}" for letter in text.strip())
