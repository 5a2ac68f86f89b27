"""Load that comes at its own rate, however slow the answers are, and the judgement of each answer by the oracle."""

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass, field

from . import cast
from .cast import Call, Cast
from .oracle import Truth, broken
from .wire import Hung, Lost, Reply, Wire, request

AT_ONCE = 200  # requests under way; more are not sent but counted: the PDP decides 128 of one adapter at a time
KEPT = 20  # examples of each thing that must not happen
CALIBRATED_WITH = 16  # connections
SHARE = 0.7  # of what the machine carries
IDLE_S = 3.0  # a connection that was not used for so long is opened anew: the PDP closes idle ones after five


@dataclass
class Verdicts:
    """What came of all requests. `counts`: by decision, and by what became of requests that got none."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)
    slowest_s: float = 0.0

    def bad(self, what: str, example: str) -> None:
        """Count something that must not happen."""
        self.counts[what] += 1
        if len(kept := self.examples.setdefault(what, [])) < KEPT:
            kept.append(example)

    @property
    def decisions(self) -> int:
        """Return how many decisions were answered."""
        return sum(self.counts[decision] for decision in ("allow", "deny", "needs_approval"))


@dataclass
class OpenLoop:
    """Sends calls to a port. `truth` says what is right for them."""

    cast: Cast
    port: int
    truth: Truth
    rng: random.Random
    verdicts: Verdicts = field(default_factory=Verdicts)
    stopped: bool = False
    breaking: str = "nothing"
    _idle: list[tuple[float, Wire]] = field(default_factory=list)
    _under_way: set[asyncio.Task[None]] = field(default_factory=set)

    async def calibrate(self, seconds: float) -> float:
        """Ask as fast as answers come, and return how many came a second that were not late."""
        end, before = time.monotonic() + seconds, self.verdicts.counts["as expected"]

        async def ask() -> None:
            while time.monotonic() < end:
                await self.one(any_call(self.rng))

        await asyncio.gather(*(ask() for _ in range(CALIBRATED_WITH)))
        return (self.verdicts.counts["as expected"] - before) / seconds

    async def run(self, rate: float) -> None:
        """Send so many calls a second, at random moments, until stopped; then wait for what is under way."""
        following = time.monotonic()
        while not self.stopped:
            following += self.rng.expovariate(rate)
            await asyncio.sleep(max(0.0, following - time.monotonic()))
            if len(self._under_way) >= AT_ONCE:
                self.verdicts.counts["not sent"] += 1
                continue
            task = asyncio.create_task(self.one(any_call(self.rng)))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        await asyncio.gather(*self._under_way)

    def close(self) -> None:
        """Let go of the connections that are kept, once nobody asks any more."""
        for _, wire in self._idle:
            wire.close()
        self._idle.clear()

    async def one(self, call: Call) -> None:
        """Make one call and judge its answer."""
        began = time.monotonic()
        reply = await self.sent(request("POST", "/v1/decisions", self.cast.home.key, self.cast.body(call)))
        if reply is not None:
            self.judge(call, reply, began, time.monotonic())

    async def sent(self, content: bytes) -> Reply | None:
        """Send a request over a free connection; None when there was no answer, which must not happen."""
        for fresh in (False, True):
            wire = Wire(self.port) if fresh else self._wire()
            began = time.monotonic()
            try:
                reply = await wire.ask(content)
            except Hung as hung:
                asked = content[: content.index(b" HTTP/")].decode()
                self.verdicts.bad("hung", f"{hung} to {asked} at {time.strftime('%X')}, during {self.breaking}")
                return None
            except Lost as lost:  # a connection that was kept may have been closed meanwhile, a new one not
                if fresh:
                    self.verdicts.bad("lost", f"{lost} at {time.strftime('%X')}, during {self.breaking}")
                continue
            self.verdicts.slowest_s = max(self.verdicts.slowest_s, time.monotonic() - began)
            self._idle.append((time.monotonic(), wire))
            return reply
        return None

    def _wire(self) -> Wire:
        while self._idle:
            used, wire = self._idle.pop()
            if time.monotonic() - used < IDLE_S:
                return wire
            wire.close()
        return Wire(self.port)

    def judge(self, call: Call, reply: Reply, began: float, ended: float) -> None:
        """Compare an answer with what was right at some moment between asking and answering."""
        told, right = reply.body.get("decision"), self.truth.right(call, began, ended)
        if reply.status == 503 and told == "deny":
            self.verdicts.counts["turned away"] += 1
            return
        when = f"{time.strftime('%X')}, during {self.breaking}"
        words = f"{call} at {when}: {reply.status} {told} {_codes(reply)}, right: {sorted(right)}"
        if reply.status != 200:
            self.verdicts.bad("problems", words)
            return
        self.verdicts.counts[str(told)] += 1
        if told in right:
            self.verdicts.counts["as expected"] += 1
        elif told == "allow":
            self.verdicts.bad("wrong allows", words)
        elif broken(reply.body):
            self.verdicts.counts["denied while broken"] += 1
        else:
            self.verdicts.bad("wrong otherwise", words)


def _codes(reply: Reply) -> list[str]:
    return [reason["code"] for reason in reply.body.get("reasons", [])]


def any_call(rng: random.Random) -> Call:
    """Return one of the calls that the soak is made of."""
    person, agent = rng.choice(cast.PEOPLE), rng.choice([None, cast.STEADY, cast.STOPPABLE])
    order, same = f"o-{rng.randrange(1000)}", f"o-{person}"  # a question that is open is asked again, not anew
    kinds = [
        (36, Call(person, agent, "get_order", {"order": order})),
        (12, Call(person, agent, "get_report", {"order": order})),
        (20, Call(person, agent, "create_refund", {"order": order, "amount": rng.randrange(1, 1000)})),
        (6, Call(person, agent, "create_refund", {"order": same, "amount": BETWEEN})),
        (3, Call(person, agent, "create_refund", {"order": same, "amount": cast.ASKS_ABOVE + 1})),
        (6, Call(person, agent, "create_refund", {"order": order, "amount": cast.MOST + 1})),
        (2, Call(person, None, "delete_customer", {"customer": "c-1"})),
        (3, Call(person, cast.STEADY, "delete_customer", {"customer": order})),
        (4, Call(person, agent, cast.UNKNOWN, {})),
        (4, Call(person, agent, "get_order", {})),
        (2, Call(person, agent, "get_order", {"order": order}, token="expired")),
        (2, Call(person, agent, "get_order", {"order": order}, token="foreign")),
    ]
    return rng.choices([call for _, call in kinds], weights=[weight for weight, _ in kinds])[0]


ASKS_LESS = 2_000  # what the other policy asks above
BETWEEN = 3_000  # which one policy allows and the other asks people about
