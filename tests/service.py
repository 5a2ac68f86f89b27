"""A whole PDP for tests: real store, log, OPA and signatures, asked over ASGI; only the clock is a double."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import msgspec

from pdp.app import Service, open_service
from pdp.audit.office import Office
from pdp.identity.feed import read_feed
from pdp.identity.importer import import_identity
from pdp.identity.peps import new_key
from pdp.query import ToolRef, definition_digest
from pdp.registry.labels import Review
from pdp.registry.review import approve, submit
from pdp.settings import IssuerSettings, Settings
from pdp.store.keys import add_key
from pdp.store.sql import open_store, transaction
from pdp.times import Clock
from tests.conftest import FakeClock
from tests.flow.people import FEED, LATER
from tests.idp import ISSUER, Idp, make_signer
from tests.migrated import lay


def definition(name: str, **properties: Any) -> dict[str, Any]:
    """Return a tool definition as `tools/list` shows it; every property is required."""
    schema = {"type": "object", "properties": properties, "required": sorted(properties)}
    return {"name": name, "description": f"The tool {name}.", "inputSchema": schema}


TOOLS = {
    "get_order": (definition("get_order", order={"type": "string"}), Review(risk_class="read", owner="payments")),
    "create_refund": (
        definition("create_refund", order={"type": "string"}, amount={"type": "integer"}),
        Review(risk_class="write", owner="payments", argument_labels={"/amount": ["money"]}),
    ),
    "delete_customer": (
        definition("delete_customer", customer={"type": "string"}),
        Review(risk_class="destructive", owner="payments"),
    ),
    "get_customer": (
        definition("get_customer", customer={"type": "string"}),
        Review(risk_class="read", owner="payments", labels=["personal"], argument_labels={"/customer": ["personal"]}),
    ),
}
PENDING = definition("get_report")
RIGHTS = [
    {"permission": "call", "tool": f"payments/{name}"} for name in ("delete_customer", "get_customer", "get_report")
]


PATIENT: dict[str, Any] = {
    "decide_within_s": 10.0,
    "record_within_s": 10.0,
}  # for what is not about time, on a busy machine
CALM = "risk: {habits: {fast: {at_least: 1000000}, refused: {at_least: 1000000}, probing: {at_least: 1000000}}}"


def calm(folder: Path) -> Path:
    """Return an org folder in which nobody calls too often: many tests share a service whose clock stands."""
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(CALM)
    return folder


@dataclass(frozen=True)
class Bench:
    """A running service and what a test needs to ask it."""

    service: Service
    http: httpx.AsyncClient
    idp: Idp
    key: str
    settings: Settings
    clock: Clock

    def token(self, **claims: Any) -> str:
        """Return a fresh token of alice calling directly, with claims changed as given."""
        self.idp.moment = self.clock()
        return self.idp.token(**claims)

    def query(
        self, tool: str = "get_order", arguments: Mapping[str, Any] | None = None, token: str | None = None, **more: Any
    ) -> dict[str, Any]:
        """Return the body of a decision request, good unless changed."""
        known = TOOLS[tool][0] if tool in TOOLS else definition(tool)
        return {
            "caller": {"access_token": token or self.token()},
            "tool": {"server": "payments", "name": tool, "definition_digest": definition_digest(known)},
            "arguments": {"order": "o-1"} if arguments is None else arguments,
            **more,
        }

    async def post(self, path: str, body: Any, **headers: str) -> httpx.Response:
        """Post JSON with the adapter's key."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        given = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.http.post(path, content=content, headers=given)

    async def ask(self, tool: str = "get_order", arguments: Mapping[str, Any] | None = None, **more: Any) -> Any:
        """Return the answer to a decision request that must be decided."""
        response = await self.post("/v1/decisions", self.query(tool, arguments, **more))
        assert response.status_code == 200, response.text
        return response.json()


@asynccontextmanager
async def running(data_dir: Path, clock: Clock | None = None, **settings: Any) -> AsyncIterator[Bench]:
    """Run a service in `data_dir`, with people, tools and one adapter key for the server `payments`."""
    clock = clock or FakeClock()
    idp = Idp(moment=clock(), signers={"ES256": make_signer("ES256")})
    jwks = publish(idp, data_dir)
    issuer = IssuerSettings(issuer=ISSUER, jwks_file=jwks, direct_clients=("web-app",))
    known = Settings(**{"data_dir": data_dir, "issuers": (issuer,), **PATIENT, **settings})
    if "database_url" not in settings and not (data_dir / "pdp.db").exists():
        lay(data_dir / "pdp.db")
    key = await add_pep(known, clock, scopes=["audit", "decide"])
    async with open_service(known, clock) as service:
        service.metrics.kept_s = 0.0  # tests look twice a second
        await seed(service, known, clock)
        transport = httpx.ASGITransport(service.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://pdp") as client:
            yield Bench(service, client, idp, key, known, clock)


def publish(idp: Idp, directory: Path) -> Path:
    """Write the issuer's key set into a file of `directory` and return it."""
    directory.mkdir(parents=True, exist_ok=True)
    jwks = directory / "jwks.json"
    jwks.write_text(json.dumps(idp.jwks()))
    return jwks


async def add_pep(
    settings: Settings,
    clock: Clock,
    servers: tuple[str, ...] = ("payments",),
    scopes: list[str] | None = None,
    **flags: bool,
) -> str:
    """Store a new adapter key and return it."""
    identifier, key, digest = new_key(clock())
    store = await open_store(settings.store_url)
    async with transaction(store) as connection:
        row = {"id": identifier, "secret_digest": digest, "servers": list(servers), "scopes": scopes or ["decide"]}
        rest = {**{name: int(flag) for name, flag in flags.items()}, "expires_at": LATER, "note": "test"}
        await add_key(connection, {**row, **rest}, clock())
    await store.dispose()
    return key


async def seed(service: Service, settings: Settings, clock: Clock) -> None:
    """Bring in the people of `tests.flow.people`, alice with rights to more tools, and the tools."""
    store = await open_store(settings.store_url)
    people = [{**FEED["people"][0], "entitlements": RIGHTS}, *FEED["people"][1:]]
    await import_identity(store, read_feed(msgspec.json.encode({**FEED, "people": people})), clock())
    office = Office(store, service.world.log, clock)
    await submit(office, "payments", [PENDING, *(known for known, _ in TOOLS.values())], "test")
    for name, (known, review) in TOOLS.items():
        tool = ToolRef(server="payments", name=name, definition_digest=definition_digest(known))
        await approve(office, tool, review, "tester")
    await store.dispose()
    await service.world.people.poll()
    await service.world.tools.poll()
