"""Whatever people, agents and clocks do, in any order: nothing runs that was not agreed to, and never once too often.

The machine below keeps a model of its own of what has happened, and after each step compares it with the store and
at the end the store with what the log tells. It runs on SQLite; on PostgreSQL as well where there is one.
"""

import asyncio
import os
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from sqlalchemy import select

from pdp.approvals import requests
from pdp.approvals.requests import Ballot, Ruling
from pdp.audit.entry import read_entry
from pdp.audit.office import Office
from pdp.audit.read import Reader
from pdp.errors import Rejected
from pdp.store import approvals as store
from pdp.store.moment import on_clock
from pdp.store.sql import Store, reading
from pdp.store.tables import approval_requests, approvals
from tests.conftest import FakeClock
from tests.contracts.stores import postgres_url  # noqa: F401  # a fixture
from tests.contracts.test_approvals import TERMS, ballot, call
from tests.rooms import Rooms, open_rooms

LIVES = int(os.environ.get("LIVES", "60"))  # on each store, as many as CI has time for; LIVES=500 takes its time
USES = 2
QUORUM = 2
VOTERS = ["alice", "helpdesk", "planner", "carol", "dave", "erin"]
BEHIND = {"alice", "helpdesk", "planner"}
FINAL = {"approved", "denied", "expired", "cancelled", "superseded"}
CALLS = st.integers(0, 2)


async def rule_of_two(_request: Any, votes: list[Any], cast: Ballot) -> Ruling:
    """Two yes make an approval; one no ends it."""
    if cast.vote == "deny":
        return Ruling("only", "deny")
    yes = 1 + sum(row["vote"] == "approve" for row in votes)
    return Ruling("only", "approve" if yes >= QUORUM else "vote")


@dataclass(frozen=True)
class Stage:
    """What all lives of the machine share; each has calls of its own."""

    runner: asyncio.Runner
    rooms: Rooms
    clock: FakeClock

    @property
    def office(self) -> Office:
        return Office(on_clock(self.rooms.store, self.clock), self.rooms.log, self.clock)


class Approvals(RuleBasedStateMachine):
    """Three calls that anybody may ask about, vote on, use, revoke, cancel or let run out."""

    stage: Stage

    def __init__(self) -> None:
        super().__init__()
        self.clock, self.office = self.stage.clock, self.stage.office
        plan = {"uses": USES, "execute_within_s": TERMS.execute_within_s}
        agent = f"agent-{uuid.uuid4().hex}"  # of this life: what others withdrew does not count for it
        self.calls = [call(plan=plan, agent=agent, chain=["planner", "helpdesk"]) for _ in range(3)]
        self.asked: list[str] = []
        self.calls_of: dict[str, int] = {}
        self.opened: dict[str, datetime] = {}
        self.yes: dict[str, set[str]] = {}
        self.granted: dict[str, datetime] = {}
        self.ran: dict[str, int] = {}
        self.revoked: set[str] = set()
        self.ended: dict[str, str] = {}

    def run(self, coroutine: Any) -> Any:
        """Run a coroutine to its end."""
        return self.stage.runner.run(coroutine)

    def attempt(self, coroutine: Any) -> Any:
        """Run a transition; None when it was refused."""
        try:
            return self.run(coroutine)
        except Rejected:
            return None

    @rule(number=CALLS)
    def ask(self, number: int) -> None:
        """Somebody wants to make this call."""
        try:
            request, new = self.run(requests.ask(self.office, self.calls[number], TERMS))
        except (requests.Denied, Rejected):  # refused a moment ago, or asked and withdrew too often
            return
        assert new == (request["id"] not in self.asked)
        if new:
            self.asked.append(request["id"])
            self.yes[request["id"]] = set()
            self.opened[request["id"]] = self.clock()
            self.calls_of[request["id"]] = number

    @precondition(lambda self: self.asked)
    @rule(data=st.data(), voter=st.sampled_from(VOTERS), vote=st.sampled_from(["approve", "approve", "deny"]))
    def vote(self, data: st.DataObject, voter: str, vote: str) -> None:
        """Somebody votes, eligible or not, on a request in any state."""
        self.cast(data.draw(st.sampled_from(self.asked)), voter, vote)

    @precondition(lambda self: self.asked)
    @rule()
    def agree(self) -> None:
        """Two people agree to what was asked last."""
        for voter in ("carol", "dave"):
            self.cast(self.asked[-1], voter, "approve")

    def cast(self, identifier: str, voter: str, vote: str) -> None:
        """Vote; what is counted must have been allowed to count."""
        moved = self.attempt(requests.vote(self.office, identifier, ballot(voter, vote), rule_of_two))
        if moved is None:
            return
        assert voter not in BEHIND
        assert voter not in self.yes[identifier]
        assert identifier not in self.ended
        assert self.clock() < self.opened[identifier] + timedelta(seconds=TERMS.decide_within_s)
        if vote == "approve":
            self.yes[identifier].add(voter)
        if moved["state"] == "approved":
            self.granted[identifier] = self.clock()

    @precondition(lambda self: self.asked)
    @rule(number=CALLS)
    def use(self, number: int) -> None:
        """A call comes with the newest approval, its own or another's."""
        self.redeem(self.asked[-1], number)

    @precondition(lambda self: self.granted)
    @rule(times=st.integers(1, 3))
    def use_again(self, times: int) -> None:
        """A call comes with its own approval, perhaps more often than it may."""
        identifier = list(self.granted)[-1]
        for _ in range(times):
            self.redeem(identifier, self.calls_of[identifier])

    def redeem(self, identifier: str, number: int) -> None:
        """Use an approval; what runs must have been allowed to run."""
        digest = self.calls[number]["action_digest"]
        used = self.attempt(requests.use(self.office, identifier, digest, "dec_2"))
        if used is not None:
            assert identifier not in self.revoked, "it ran after it was revoked"
            assert self.clock() < self.granted[identifier] + timedelta(seconds=TERMS.execute_within_s), "it ran late"
            self.ran[identifier] = self.ran.get(identifier, 0) + 1
            assert len(self.yes[identifier]) >= QUORUM, "it ran without its quorum"
            assert self.ran[identifier] <= USES, "it ran once too often"
            assert number == self.calls_of[identifier], "it let another call through"

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def revoke(self, data: st.DataObject) -> None:
        """An approval is taken back."""
        identifier = data.draw(st.sampled_from(self.asked))
        if self.attempt(requests.revoke(self.office, identifier, "carol", "no")) is not None:
            self.revoked.add(identifier)

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        """A question is withdrawn."""
        self.attempt(requests.cancel(self.office, data.draw(st.sampled_from(self.asked)), "alice", ""))

    @rule(seconds=st.sampled_from([1, 1, 300, 900]))
    def wait(self, seconds: int) -> None:
        """Time passes."""
        self.clock.advance(seconds)

    @rule()
    def sweep(self) -> None:
        """What ran out is marked."""
        self.run(requests.sweep(self.office))

    @invariant()
    def store_and_log_agree_with_what_happened(self) -> None:
        """Look at every request and approval."""
        for identifier in self.asked:
            request, approval, votes = self.run(self.look(identifier))
            assert self.ended.get(identifier, request["state"]) == request["state"], "what was decided has changed"
            if request["state"] in FINAL:
                self.ended[identifier] = request["state"]
            assert {row["person"] for row in votes if row["vote"] == "approve"} == self.yes[identifier]
            assert (approval is not None) == (request["state"] == "approved")
            if approval is not None:
                assert approval["uses_left"] == USES - self.ran.get(identifier, 0) >= 0

    def teardown(self) -> None:
        """Withdraw what is open, so that lives do not fill each other's inbox."""
        for identifier in self.asked:
            self.attempt(requests.cancel(self.office, identifier, "alice", "the end"))

    async def look(self, identifier: str) -> Any:
        """Read a request, its approval and its votes."""
        async with reading(self.office.store) as connection:
            request = await store.read_request(connection, identifier)
            approval = await store.read_approval(connection, identifier)
            return request, approval, await store.read_votes(connection, identifier)


def told(rooms: Rooms) -> dict[str, str]:
    """Return what the log says each request, or the approval that came of it, came to."""
    entries = [read_entry(line) for line in Reader(rooms.log.directory).lines()]
    said: dict[str, str] = {}
    for entry in entries:
        if entry.kind == "approval.approved":
            said[entry.body["id"]] = "active"
        elif entry.kind.startswith("approval.") and entry.kind != "approval.voted":
            said[entry.body["id"]] = entry.body["state"]
    return said


async def stood(opened: Store) -> dict[str, str]:
    """Return what the store says each of them came to."""
    async with reading(opened) as connection:
        asked = {row.id: row.state for row in await connection.execute(select(approval_requests))}
        return asked | {row.id: row.state for row in await connection.execute(select(approvals))}


def live(url: str | None, lives: int, folder: Path) -> None:
    """Let the machine live many times on a store; at the end the log must tell what the store holds."""
    clock, checks = FakeClock(), [HealthCheck.too_slow]
    wanted = settings(max_examples=lives, stateful_step_count=30, deadline=None, suppress_health_check=checks)
    with asyncio.Runner() as runner:
        opening = open_rooms(folder, clock, url=url)
        rooms = runner.run(opening.__aenter__())
        try:
            stage = Stage(runner, rooms, clock)
            run_state_machine_as_test(type("Machine", (Approvals,), {"stage": stage}), settings=wanted)
            assert told(rooms) == runner.run(stood(rooms.store))
        finally:
            runner.run(opening.__aexit__(None, None, None))


@pytest.mark.promise("approvals.once")
@pytest.mark.timeout(120)
def test_nothing_runs_that_was_not_agreed_to_whatever_happens(tmp_path: Path) -> None:
    live(None, 30, tmp_path)


@pytest.mark.slow
@pytest.mark.promise("approvals.once")
@pytest.mark.timeout(60 + 4 * LIVES)
@pytest.mark.parametrize("where", ["sqlite", "postgresql"])
def test_nothing_runs_that_was_not_agreed_to_in_many_more_lives(
    where: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    live(request.getfixturevalue("postgres_url") if where == "postgresql" else None, LIVES, tmp_path)
