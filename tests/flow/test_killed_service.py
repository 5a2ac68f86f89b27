"""`pdp serve` killed amid votes and amid approved calls, life after life: none runs twice or off the record."""

import asyncio
import json
import subprocess
from collections import Counter
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from pdp.audit.entry import Entry, read_entry
from pdp.audit.read import Reader
from pdp.times import system_clock
from tests.api.test_approvals import PEOPLE, signed_in
from tests.commands import run
from tests.conftest import ROOT
from tests.flow.test_approvals import know
from tests.flow.test_serve import PATIENCE_S, serving
from tests.idp import ISSUER
from tests.service import Bench, calm, running

ROUNDS = 4
AMOUNTS = range(6000, 6008)  # as many calls wait for people at once: fewer than one caller may have
AT_A_TIME = 2  # askers of each approved call: they race for it
REASON = "the invoice is in the ticket"


@dataclass
class Client:
    """An adapter and an approver, who ask whichever life of the service there is, and keep what they were told."""

    bench: Bench
    url: str = ""
    allowed: list[str] = field(default_factory=list)
    cut_off: int = 0

    async def ask(self, http: httpx.AsyncClient, amount: int) -> dict[str, Any]:
        """Ask for a refund and return the answer; an allow is kept."""
        body = self.bench.query("create_refund", {"order": "o-1", "amount": amount})
        response = await http.post(
            f"{self.url}/v1/decisions", json=body, headers={"Authorization": f"Bearer {self.bench.key}"}
        )
        told: dict[str, Any] = response.json()
        if told["decision"] == "allow":
            self.allowed.append(told["id"])
        return told

    async def vote(self, http: httpx.AsyncClient, identifier: str) -> dict[str, Any]:
        """Vote as dave on what he is shown, and return how the request stands then."""
        headers, where = signed_in(self.bench, "dave"), f"{self.url}/v1/approvals/{identifier}"
        shown = (await http.get(where, headers=headers)).json()
        body = {"vote": "approve", "presented_digest": shown["presented_digest"], "reason": REASON}
        response = await http.post(f"{where}/votes", headers=headers, json=body)
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()
        return found

    async def until_killed(self, process: subprocess.Popen[str], after: int, acts: Iterable[Awaitable[Any]]) -> None:
        """Do all of it at once, and kill the service when `after` of the answers are there."""
        for answered, act in enumerate(asyncio.as_completed(acts)):
            if answered == after:
                process.kill()
            try:
                await act
            except httpx.TransportError:
                self.cut_off += 1
        process.kill()
        process.wait(PATIENCE_S)


async def open_requests(client: Client, http: httpx.AsyncClient) -> list[str]:
    """Ask for every call until people have to be asked; what a killed life left approved runs before that."""
    tickets = []
    for amount in AMOUNTS:
        told = await client.ask(http, amount)
        if told["decision"] == "allow":
            told = await client.ask(http, amount)
        assert told["decision"] == "needs_approval", told
        tickets.append(told["approval"]["id"])
    return tickets


async def round_of(client: Client, home: Any, killed_after: int) -> None:
    """Ask and vote, killed amid the votes; vote again and make the calls, killed amid the calls."""
    async with httpx.AsyncClient(timeout=PATIENCE_S) as http:
        with home() as (process, client.url):
            tickets = await open_requests(client, http)
            await client.until_killed(process, killed_after // 2, [client.vote(http, ticket) for ticket in tickets])
        with home() as (process, client.url):
            stand = [await client.vote(http, ticket) for ticket in tickets]
            assert {(one["status"]["status"], len(one["votes"])) for one in stand} == {("approved", 1)}
            asking = [client.ask(http, amount) for amount in AMOUNTS for _ in range(AT_A_TIME)]
            await client.until_killed(process, killed_after, asking)
        with home() as (_, client.url):
            again = [await client.vote(http, ticket) for ticket in tickets]
            assert {len(one["votes"]) for one in again} == {1}, "a vote that is sent again gives nothing anew"


def entries(data_dir: Path) -> list[Entry]:
    """Return what all lives recorded, in order."""
    shards = sorted(shard for shard in (data_dir / "log").iterdir() if shard.is_dir())
    return [read_entry(line) for shard in shards for line in Reader(shard).lines()]


def verified(data_dir: Path) -> None:
    """See that `pdp log verify` finds nothing wrong."""
    done = run("log", "verify", environ={"PDP_DATA_DIR": str(data_dir)}, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.timeout(180)  # twelve lives, each of which starts in 1.5 s on a quiet machine
@pytest.mark.promise("approvals.once")
@pytest.mark.fault("approval.cut_off", "approval.replayed", "service.killed")
async def test_however_often_the_service_is_killed_a_call_runs_once_an_approval_and_is_on_record(
    tmp_path: Path,
) -> None:
    data_dir, org = tmp_path / "pdp", calm(tmp_path / "org")
    async with running(data_dir, system_clock, org_dir=org) as bench:
        await know(bench, PEOPLE)
    client = Client(bench)
    issuers = [{"issuer": ISSUER, "jwks_file": str(data_dir / "jwks.json"), "direct_clients": ["web-app"]}]
    settings = {"PDP_ISSUERS": json.dumps(issuers), "PDP_ORG_DIR": str(org), "PDP_DECIDE_WITHIN_S": "5"}
    for number in range(ROUNDS):
        after = number * len(AMOUNTS) * AT_A_TIME // ROUNDS  # from before the first answer to before the last few
        await round_of(client, lambda: serving(data_dir, PDP_RECORD_WITHIN_S="5", **settings), after)
        verified(data_dir)
    recorded = entries(data_dir)
    decided = {entry.body["id"]: entry.body for entry in recorded if entry.kind == "decision"}
    refunds = [body for body in decided.values() if body["tool"]["name"] == "create_refund"]
    allowed = [body for body in refunds if body["decision"] == "allow"]
    used = {entry.body["decision"]: entry.body["id"] for entry in recorded if entry.kind == "approval.spent"}
    assert client.cut_off, "no kill met anything that was going on"
    assert len(allowed) > len(AMOUNTS), "hardly a call ever ran"
    assert max(Counter(body["approval"] for body in allowed).values()) == 1
    assert all(used[body["id"]] == body["approval"] for body in allowed)
    assert set(client.allowed) <= {body["id"] for body in allowed}, "somebody was told an allow that is not on record"
    assert len(client.allowed) == len(set(client.allowed))
