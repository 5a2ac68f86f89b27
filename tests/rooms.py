"""The parts of a world that vetting and recording need, opened for real in a folder of the test."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from pdp.audit.entry import Entry, read_entry
from pdp.audit.log import Log
from pdp.audit.mask import Masker, Prompt
from pdp.audit.office import Office
from pdp.audit.read import Reader
from pdp.flow import World
from pdp.query import Credential, Query, ToolRef, definition_digest
from pdp.registry.definitions import Registry
from pdp.registry.labels import Review
from pdp.registry.review import approve, submit
from pdp.store.sql import Store, open_store
from tests.conftest import FakeClock
from tests.migrated import url_at

SERVER = "payments"
REFUND: dict[str, Any] = {
    "name": "create_refund",
    "description": "Pay money back.",
    "inputSchema": {
        "type": "object",
        "properties": {
            "order": {"type": "string"},
            "amount": {"type": "integer", "maximum": 100000},
            "card": {"type": "object"},
            "note": {"type": "string"},
        },
        "required": ["order"],
    },
}
REVIEW = Review(
    risk_class="write",
    owner="payments-team",
    labels=["money"],
    required_scopes=["refunds"],
    argument_labels={"/amount": ["money"], "/card": ["payment"]},
)


@dataclass(frozen=True)
class Rooms:
    """Store, log, registry and masker; `world` is what the steps take, with only these parts in it."""

    store: Store
    log: Log
    tools: Registry
    masker: Masker
    now: FakeClock
    record_within: float = 5.0

    @property
    def world(self) -> World:
        return cast("World", self)

    @property
    def office(self) -> Office:
        return Office(self.store, self.log, self.now)

    def entries(self, kind: str) -> list[Entry]:
        """Return the entries of one kind that are in the log's files."""
        entries = [read_entry(line) for line in Reader(self.log.directory).lines()]
        return [entry for entry in entries if entry.kind == kind]

    async def approved(self, definition: dict[str, Any], review: Review = REVIEW, server: str = SERVER) -> ToolRef:
        """Take in and approve one definition; return what an adapter would call it."""
        await submit(self.office, server, [definition], "test")
        ref = ToolRef(server, definition["name"], definition_digest(definition))
        await approve(self.office, ref, review, "reviewer")
        await self.tools.poll()
        return ref


@asynccontextmanager
async def open_rooms(
    folder: Path, clock: FakeClock, prompt: Prompt = "full", url: str | None = None
) -> AsyncIterator[Rooms]:
    """Open the rooms in `folder`, and close them."""
    store = await open_store(url or url_at(folder / "pdp.db"))
    log = Log(folder / "log" / "0", clock)
    tools = Registry(store, clock)
    await tools.poll()
    try:
        yield Rooms(store, log, tools, Masker(folder / "keys" / "mask.key", prompt), clock)
    finally:
        await log.close()
        await store.dispose()


def query(tool: ToolRef, arguments: dict[str, Any] | None = None, context: dict[str, Any] | None = None) -> Query:
    """Return a query about `tool` by somebody with a token."""
    token = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl"
    return Query(Credential(access_token=token), tool, arguments or {}, context or {})
