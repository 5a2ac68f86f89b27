"""Who asks while the service is killed: adapters that mix calls and repeat them, and approvals from question to use."""

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Self

from . import cast
from .cast import Call, Cast
from .ledger import ALLOW, Ledger
from .wire import Hung, Lost, Reply, Wire, request

DECISIONS = "/v1/decisions"
REPEATED = 0.15  # of the answered calls are sent again with the same Idempotency-Key, as an adapter's retry is
GIVES_UP_S = 30.0  # a step of an approval that is refused for so long, over several lives, is given up
RETRIED_AFTER_S = 0.05
REASON = "the invoice is in the ticket"


@dataclass
class Service:
    """The life that answers now. `dying` from just before it is killed until the next one serves."""

    port: int = 0
    life: int = 0
    dying: bool = False
    up: asyncio.Event = field(default_factory=asyncio.Event)
    allowed: asyncio.Condition = field(default_factory=asyncio.Condition)
    last_allow_asked: float = 0.0


@dataclass
class Crowd:
    """Everybody who asks, what they were told, and what must not have happened to them."""

    cast: Cast
    service: Service
    ledger: Ledger
    rng: random.Random
    counts: Counter[str] = field(default_factory=Counter)
    stopped: bool = False
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    # One call of an adapter.

    async def decide(self, wire: "Connection", call: Call, approval: str | None = None) -> dict[str, Any] | None:
        """Ask until there is an answer, whichever life gives it; None when it was turned away (a 503 is a no)."""
        key = f"k-{next(self._numbers)}"
        body = self.cast.body(call, approval)
        sent = request("POST", DECISIONS, self.cast.home.key, body, idempotency_key=key)
        reply, life = await self.until_answered(wire, sent)
        if reply.status != 200:
            self.turned_away(reply)
            return None
        self.take(reply.body)
        if self.rng.random() < REPEATED:
            await self._repeat(wire, sent, reply.body, life)
        return reply.body

    async def until_answered(self, wire: "Connection", sent: bytes) -> tuple[Reply, int]:
        """Send it, again when the connection was lost to a kill, until somebody answers."""
        while True:
            await self.service.up.wait()
            life = self.service.life
            asked_at = asyncio.get_running_loop().time()
            try:
                reply = await wire.to(self.service).ask(sent)
            except Lost as lost:
                self.counts["cut off"] += 1
                if life == self.service.life and not self.service.dying:
                    self.ledger.violations.append(f"a connection was lost, and nobody had killed the PDP: {lost}")
                await asyncio.sleep(RETRIED_AFTER_S)
            except Hung as hung:
                self.ledger.violations.append(f"a request hung: {hung}")
            else:
                if reply.body.get("decision") == ALLOW:
                    self.service.last_allow_asked = max(self.service.last_allow_asked, asked_at)
                    async with self.service.allowed:
                        self.service.allowed.notify_all()
                return reply, life

    async def _repeat(self, wire: "Connection", sent: bytes, first: dict[str, Any], life: int) -> None:
        reply, then = await self.until_answered(wire, sent)
        if reply.status != 200:
            self.turned_away(reply)
            return
        self.take(reply.body)
        self.counts["repeated"] += 1
        same_epoch = then == life and not (stale(first) or stale(reply.body))
        if same_epoch and reply.body["id"] != first["id"]:
            self.ledger.violations.append(f"{first['id']} was decided again as {reply.body['id']} for the same key")

    def take(self, answer: dict[str, Any]) -> None:
        """Keep an answer: it must be on record."""
        self.counts[answer["decision"]] += 1
        self.ledger.told(answer)

    def turned_away(self, reply: Reply) -> None:
        """Count what is no decision; an allow among that would be one without a record."""
        self.counts["turned away"] += 1
        if reply.body.get("decision", "deny") != "deny" or reply.status < 500:
            self.ledger.violations.append(f"no decision, and no 503: {reply}")

    # Adapters.

    async def adapter(self) -> None:
        """Ask for one thing after the other until stopped."""
        with Connection() as wire:
            while not self.stopped:
                call, right = any_call(self.rng)
                answer = await self.decide(wire, call)
                if answer and answer["decision"] == ALLOW and right != ALLOW:
                    self.ledger.violations.append(f"{answer['id']} was allowed, {right} is right: {call}")

    # An approval's whole life.

    async def approval(self, number: int) -> None:
        """Ask people about one call after the other, each other than all before, until stopped."""
        with Connection() as one, Connection() as other:
            for turn in itertools.count():
                if self.stopped:
                    return
                person = cast.PEOPLE[(number + turn) % len(cast.PEOPLE)]
                order = f"t-{number}-{turn}"
                await self._whole_life(
                    one, other, Call(person, None, "create_refund", {"order": order, "amount": 6000})
                )

    async def _whole_life(self, one: "Connection", other: "Connection", call: Call) -> None:
        asked = await self.until_asked(one, call)
        if asked is None:
            return
        if not await self.voted(one, asked):
            return
        allows = await self._race(one, other, call, asked)
        if not await self.voted(one, asked):  # a vote that is sent again gives nothing anew
            return
        after = [await self.decide(wire, call) for wire in (one, other)]
        allows += [answer["id"] for answer in after if answer and answer["decision"] == ALLOW]
        self.counts["approvals followed"] += 1
        if len(set(allows)) > 1:
            self.ledger.violations.append(f"{asked} was given once, and {len(set(allows))} calls ran: {allows}")

    async def _race(self, one: "Connection", other: "Connection", call: Call, asked: str) -> list[str]:
        tried = await asyncio.gather(self.decide(one, call), self.decide(other, call, asked))
        return [answer["id"] for answer in tried if answer and answer["decision"] == ALLOW]

    async def until_asked(self, wire: "Connection", call: Call) -> str | None:
        """Ask until people are asked, and return the request; None when that does not come about."""
        until = asyncio.get_running_loop().time() + GIVES_UP_S
        while asyncio.get_running_loop().time() < until and not self.stopped:
            answer = await self.decide(wire, call)
            if answer and answer["decision"] == ALLOW:
                self.ledger.violations.append(f"{answer['id']} was allowed, and nobody had agreed: {call}")
            if answer and answer["decision"] == "needs_approval":
                identifier: str = answer["approval"]["id"]
                return identifier
            await asyncio.sleep(RETRIED_AFTER_S)
        self.counts["approvals given up"] += not self.stopped
        return None

    async def voted(self, wire: "Connection", identifier: str) -> bool:
        """Vote yes on a request, however often the service is killed meanwhile; False when that does not come about."""
        until = asyncio.get_running_loop().time() + GIVES_UP_S
        token, path = self.cast.desk["dave"], f"/v1/approvals/{identifier}"
        while asyncio.get_running_loop().time() < until and not self.stopped:
            shown, _ = await self.until_answered(wire, request("GET", path, token))
            if shown.status == 200:
                body = {"vote": "approve", "presented_digest": shown.body["presented_digest"], "reason": REASON}
                reply, _ = await self.until_answered(wire, request("POST", f"{path}/votes", token, body))
                if reply.status == 200:
                    self._check_one_vote(identifier, reply.body)
                    return True
            await asyncio.sleep(RETRIED_AFTER_S)
        self.counts["approvals given up"] += not self.stopped
        return False

    def _check_one_vote(self, identifier: str, shown: dict[str, Any]) -> None:
        self.counts["votes"] += 1
        if len(shown["votes"]) != 1 or shown["status"]["status"] != "approved":
            self.ledger.violations.append(f"{identifier} after dave's vote: {shown['status']}, {shown['votes']}")


class Connection:
    """A connection that follows the service from life to life."""

    def __init__(self) -> None:
        self._life = -1
        self._wire = Wire(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._wire.close()

    def to(self, service: Service) -> Wire:
        """Return the connection to the life that answers now."""
        if service.life != self._life:
            self._wire.close()
            self._life, self._wire = service.life, Wire(service.port)
        return self._wire


def stale(answer: dict[str, Any]) -> bool:
    """Say whether it was denied because facts were too old; the same call is then decided anew when they are not."""
    return any(reason["code"].startswith("facts.") for reason in answer["reasons"])


def any_call(rng: random.Random) -> tuple[Call, str]:
    """Return some call, and what is right for it when nothing is broken."""
    person, agent = rng.choice(cast.PEOPLE), rng.choice([None, cast.STEADY, cast.STOPPABLE])
    order = f"o-{rng.randrange(1000)}"
    refund = {"order": order, "amount": rng.randrange(1, cast.ASKS_ABOVE)}
    kinds = [
        (40, Call(person, agent, "get_order", {"order": order}), ALLOW),
        (30, Call(person, agent, "create_refund", refund), ALLOW),
        (10, Call(person, agent, "create_refund", {"order": order, "amount": cast.MOST + 1}), "deny"),
        (5, Call(person, agent, cast.UNKNOWN, {}), "deny"),
        (5, Call(person, cast.STEADY, "delete_customer", {"customer": order}), "deny"),
        (10, Call(person, None, "delete_customer", {"customer": "c-1"}), "needs_approval"),
    ]
    _, call, right = rng.choices(kinds, weights=[weight for weight, _, _ in kinds])[0]
    return call, right
