"""`pdp serve --dev`: sample people, agents and tools, a loopback issuer, a key and tokens to try. Never for others.

What it leaves in the data directory (`var/dev` unless PDP_DATA_DIR says otherwise) stays good across restarts.
"""

import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click
import jwt
from mcp.server.mcpserver import MCPServer

from ..audit.log import Log
from ..audit.office import Office
from ..errors import Fault
from ..identity.feed import read_feed
from ..identity.importer import import_feed
from ..identity.issuers import is_loopback
from ..identity.peps import new_key
from ..query import ToolRef, definition_digest
from ..registry.review import approve, submit
from ..registry.reviews import read_reviews
from ..settings import IssuerSettings, Settings, load
from ..store.keys import add_key, all_keys
from ..store.sql import Store, open_store, reading, transaction
from ..times import rfc3339, system_clock
from .issuer import DevIssuer, issuer_app, open_issuer, write_private
from .loopback import HOST, loopback_socket, served
from .seed import BEARERS, DESK_AUDIENCE, DIRECT_CLIENT, REVIEW, SERVER, VOTERS, people_of, tokens
from .server import add_tools
from .signin import signin_routes

HOME = Path("var/dev")
ISSUER_PORT = 8189  # fixed, because a token names its issuer by URL
KEY_DAYS = 365
RENEW_BEFORE = timedelta(hours=2)  # a token that has less left is made anew at start

Announce = Callable[[str], Awaitable[None]]
Serve = Callable[[Settings, Announce], Awaitable[None]]


async def run_dev(settings: Settings, serve: Serve) -> None:
    """Set everything up in the data directory, run the issuer, and `serve`. Raises `Fault` off loopback."""
    if not is_loopback(f"http://{settings.host}"):
        raise Fault(f"--dev serves on loopback only, not on {settings.host}: anybody could be anyone there.")
    if settings.database_url:
        raise Fault("--dev seeds people and a key: unset PDP_DATABASE_URL, it uses a SQLite file of its own.")
    home = settings.data_dir if "data_dir" in settings.model_fields_set else HOME
    url = f"http://{HOST}:{ISSUER_PORT}"
    issuer = open_issuer(home / "keys" / "issuer", url)
    known = load(**settings.model_dump(exclude={"data_dir", "issuers"}) | _sample_settings(settings, url, home))
    await seed(known, issuer)
    with _listening(url) as bound:
        async with served(issuer_app(issuer, signin_routes(issuer, system_clock)), bound):
            await serve(known, lambda where: _announce(where, home, known.console_issuer is not None))


async def sample_definitions() -> list[dict[str, Any]]:
    """Return the definitions of the demo server's tools, as `tools/list` shows them."""
    server: MCPServer[Any] = MCPServer(SERVER)
    add_tools(server, lambda _tool: None)
    return [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in await server.list_tools()]


@contextmanager
def _listening(url: str) -> Iterator[socket.socket]:
    with ExitStack() as stack:
        try:
            bound = stack.enter_context(loopback_socket(ISSUER_PORT))
        except OSError as error:
            raise Fault(f"The sample issuer needs {url}: {error.strerror}. End what listens there.") from None
        yield bound


def _sample_settings(settings: Settings, issuer: str, home: Path) -> dict[str, Any]:
    found: dict[str, Any] = {"data_dir": home, "issuers": (dev_issuer(issuer),)}
    if settings.port:  # a free one is not known before we listen there
        found |= dev_console(issuer, settings.public_url or f"http://{settings.host}:{settings.port}")
    return found


def dev_issuer(url: str) -> IssuerSettings:
    """Return the settings of the sample issuer."""
    return IssuerSettings(issuer=url, direct_clients=(DIRECT_CLIENT,))


def dev_console(issuer: str, public_url: str) -> dict[str, Any]:
    """Return the settings of a console at which the sample people sign in."""
    return {
        "public_url": public_url,
        "console_issuer": issuer,
        "console_client_id": DIRECT_CLIENT,
        "console_resource": DESK_AUDIENCE,
    }


async def seed(settings: Settings, issuer: DevIssuer) -> None:
    """Bring the sample people, tools, key and tokens into the data directory."""
    now = system_clock()
    store = await open_store(settings.store_url)
    log = Log(settings.data_dir / "log" / "cli", system_clock)
    try:
        office = Office(store, log, system_clock)
        await import_feed(office, read_feed(people_of(issuer.url).encode()))
        await _approve_samples(office)
        await _keep_key(settings.data_dir / "pep.key", store, now)
        _keep_tokens(settings.data_dir, issuer, now)
    finally:
        await log.close()
        await store.dispose()


async def _approve_samples(office: Office) -> None:
    reviews = read_reviews(REVIEW).tools
    for taken in await submit(office, SERVER, await sample_definitions(), "pdp serve --dev"):
        tool = ToolRef(server=SERVER, name=taken.name, definition_digest=taken.digest)
        await approve(office, tool, reviews[taken.name], "pdp serve --dev")


async def _keep_key(path: Path, store: Store, now: datetime) -> None:
    async with reading(store) as connection:
        live = {row["id"] for row in await all_keys(connection) if row["revoked_at"] is None}
    if _key_id(path) in live:
        return
    identifier, key, digest = new_key(now)
    expires_at = rfc3339(now + timedelta(days=KEY_DAYS))
    row = {"id": identifier, "secret_digest": digest, "servers": [SERVER], "scopes": ["audit", "decide"]}
    async with transaction(store) as connection:
        await add_key(connection, {**row, "expires_at": expires_at, "note": "pdp serve --dev"}, now)
    write_private(path, key)


def _key_id(path: Path) -> str | None:
    return f"pep_{path.read_text().split('_')[1]}" if path.exists() else None


def _keep_tokens(home: Path, issuer: DevIssuer, now: datetime) -> None:
    fresh = tokens(issuer, now)
    for bearer in (*BEARERS, *VOTERS):
        path = home / f"{bearer.name}.jwt"
        if not path.exists() or bearer.age or _expiry(path.read_text()) < now + RENEW_BEFORE:
            write_private(path, fresh[bearer.name])


def _expiry(token: str) -> datetime:
    claims = jwt.decode(token, options={"verify_signature": False})  # our own file; the PDP verifies it when used
    return datetime.fromtimestamp(claims["exp"], tz=system_clock().tzinfo)


async def _announce(url: str, home: Path, has_console: bool) -> None:
    definition = next(known for known in await sample_definitions() if known["name"] == "create_refund")
    click.echo(f"""pdp serves on {url}, for development: sample people, tools and tokens are in {home}/

Ask whether Alice may refund 40 (change the token to bob.jwt, or the amount to 7500 or 20000):

curl -s {url}/v1/decisions -H "Authorization: Bearer $(cat {home}/pep.key)" \\
  -H "Content-Type: application/json" -d @- <<EOF
{{"caller": {{"access_token": "$(cat {home}/alice.jwt)"}},
 "tool": {{"server": "{SERVER}", "name": "create_refund",
          "definition_digest": "{definition_digest(definition)}"}},
 "arguments": {{"order": "o-1", "amount": 40}}}}
EOF
""")
    if has_console:
        click.echo(f"Above 5000 a person must agree: as Carol, at {url}/console\n")
