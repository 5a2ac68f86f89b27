"""`pdp keys`: make, list and revoke the keys that adapters authenticate with."""

import asyncio
import json
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

import click

from ..audit.office import Office
from ..errors import Fault
from ..identity.peps import FLAGS, RIGHTS, new_key
from ..settings import load
from ..store.keys import Row, add_key, all_keys, revoke_key
from ..store.sql import open_store, reading, transaction
from ..times import rfc3339, system_clock
from .office import in_office

DEFAULT_DAYS = 90  # long enough to rotate by hand, short enough that a lost key dies


@click.group()
def keys() -> None:
    """Keys of adapters, each for the servers it lists."""


@keys.command()
@click.option("--server", "servers", multiple=True, required=True, help="A server it may ask about (* for all).")
@click.option("--scope", "scopes", multiple=True, type=click.Choice(RIGHTS), default=("decide",), show_default=True)
@click.option("--days", default=DEFAULT_DAYS, show_default=True, type=click.IntRange(1, 366))
@click.option("--note", default="", help="Whom it is for.")
@click.option(
    "--unsafe-assert-identity",
    is_flag=True,
    help="Let its holder say who calls, without their tokens: it can be anybody on its servers.",
)
@click.option("--bound-tokens-only", is_flag=True, help="Take only tokens bound by DPoP or a client certificate.")
@click.option("--out", type=click.Path(path_type=Path), help="Write it to this new file (0600), not to the screen.")
@click.option("--json", "as_json", is_flag=True)
def create(
    servers: tuple[str, ...],
    scopes: tuple[str, ...],
    days: int,
    note: str,
    unsafe_assert_identity: bool,
    bound_tokens_only: bool,
    out: Path | None,
    as_json: bool,
) -> None:
    """Make a key. It is shown once; only a digest of it is kept."""
    now = system_clock()
    identifier, key, digest = new_key(now)
    row: Row = {
        "id": identifier,
        "secret_digest": digest,
        "servers": sorted(servers),
        "scopes": sorted(scopes),
        "unsafe_assert_identity": int(unsafe_assert_identity),
        "bound_tokens_only": int(bound_tokens_only),
        "expires_at": rfc3339(now + timedelta(days=days)),
        "note": note,
    }
    with _handed_over(key, out):
        asyncio.run(in_office(lambda office: _create(office, row)))
    if unsafe_assert_identity:
        click.echo(f"pdp: warning: whoever holds {identifier} can be anybody on its servers.", err=True)
    shown = {k: v for k, v in row.items() if k != "secret_digest"} | ({"file": str(out)} if out else {"key": key})
    click.echo(json.dumps(shown) if as_json else "\n".join(f"{name:10} {value}" for name, value in shown.items()))


@keys.command("list")
@click.option("--json", "as_json", is_flag=True)
def show(as_json: bool) -> None:
    """List the keys: who may ask about what, until when."""
    rows = [{k: v for k, v in row.items() if k != "secret_digest"} for row in asyncio.run(_all())]
    if as_json:
        click.echo(json.dumps(rows))
        return
    for row in rows:
        state = f"revoked {row['revoked_at']}" if row["revoked_at"] else f"until {row['expires_at']}"
        flags = "".join(f"  {name}" for name in FLAGS if row[name])
        click.echo(f"{row['id']}  {state}  {','.join(row['scopes'])}  {','.join(row['servers'])}{flags}  {row['note']}")


@keys.command()
@click.argument("identifier")
def revoke(identifier: str) -> None:
    """Revoke the key IDENTIFIER (pep_...); adapters holding it are refused within a second."""
    if not identifier.startswith("pep_"):
        raise Fault("A key id starts with pep_: see `pdp keys list`.")
    if not asyncio.run(in_office(lambda office: _revoke(office, identifier))):
        sys.exit(f"pdp: there is no live key {identifier}: see `pdp keys list`.")


@contextmanager
def _handed_over(key: str, out: Path | None) -> Iterator[None]:
    """Write the key into a new file of ours before it works: no key works that nobody has. Undone on failure."""
    if out is None:
        yield
        return
    try:
        with os.fdopen(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(key + "\n")
    except OSError as error:
        raise Fault(f"The key cannot be written to {out} ({error.strerror}): name a new file with --out.") from None
    with ExitStack() as undo:
        undo.callback(out.unlink)
        yield
        undo.pop_all()


async def _create(office: Office, row: Row) -> None:
    async with transaction(office.store) as connection:
        await add_key(connection, row, office.now())
        body = {name: row[name] for name in ("id", "servers", "scopes", *FLAGS, "expires_at")}
        await office.put_on_record("key.created", body)


async def _revoke(office: Office, identifier: str) -> bool:
    async with transaction(office.store) as connection:
        revoked = await revoke_key(connection, identifier, office.now())
        if revoked:
            await office.put_on_record("key.revoked", {"id": identifier})
    return revoked


async def _all() -> list[Row]:
    store = await open_store(load().store_url)
    try:
        async with reading(store) as connection:
            return await all_keys(connection)
    finally:
        await store.dispose()
