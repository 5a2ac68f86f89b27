"""Flips: the smallest changes of a call's facts that change its verdict. Each one that is shown was evaluated.

`candidates` proposes; here the whole policy is asked about each. Where no single fact is enough, the changes that leave
the least to object to are put together, and those that turn out not to be needed are taken out again.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

import msgspec
from msgspec import Struct

from ..answer import Decision
from ..decide import Reply
from .candidates import replaced
from .patch import Change, Op, Path, patched, shown, value_at
from .replay import Judge

MAX_EVALUATIONS = 3000  # a second or two of OPA; a rule that reads a long list has more candidates than matter
SEARCH_S = 20.0  # then what was found is shown
MAX_TOGETHER = 4  # changes at once: more is another call, not an explanation
AT_ONCE = 64  # evaluations on their way: OPA is busy with far fewer
MAX_HALVINGS = 60  # of the distance between a number that flips and one that does not
FIRST = ("arguments", "approval", "caller", "clock", "now", "facts", "risk")  # who asks can change these; tools last
RANK: dict[Decision, int] = {"allow": 0, "needs_approval": 1, "deny": 2}

Propose = Callable[[dict[str, Any], Reply], Iterable[Change]]


class Flip(Struct, frozen=True):
    """Changes that together make the verdict `becomes`, evaluated so. `reasons`: the codes it then has.

    `edge`: for a number, in words, the nearest value on the other side and the verdict there, if it is another.
    """

    becomes: Decision
    words: str
    changes: list[str]
    patch: list[Op]
    reasons: list[str]
    edge: str = ""


class Found(Struct, frozen=True):
    """What the search found, the best first. `evaluations`: how many it took; `cut`: it ended before all were tried."""

    flips: list[Flip]
    evaluations: int
    cut: bool


@dataclass(frozen=True)
class Tried:
    """A change and what the policy says with it."""

    change: Change
    reply: Reply


def problems_of(reply: Reply) -> set[str]:
    """Return the codes of everything that stands between a call and an allow."""
    causes = {*reply.broken_guards, *reply.shut_gates, *(() if reply.permits else ("permits.none",))}
    return causes if causes or reply.effect == "allow" else {"duties.undefined"}


async def helpful(call: dict[str, Any], judge: Judge, propose: Propose, *, evaluations: int = MAX_EVALUATIONS) -> Found:
    """Return what would have made a deny less than that, or spared a call its approval."""
    search = _Search(judge, propose, evaluations)
    return search.found(await search.helpful(call, await judge.judge(msgspec.json.encode(call))))


async def harmful(call: dict[str, Any], judge: Judge, propose: Propose, *, evaluations: int = MAX_EVALUATIONS) -> Found:
    """Return what a verdict hangs on: for each fact the smallest change that would have made it worse."""
    search = _Search(judge, propose, evaluations)
    return search.found(await search.harmful(call, await judge.judge(msgspec.json.encode(call))))


class _Search:
    def __init__(self, judge: Judge, propose: Propose, evaluations: int) -> None:
        self._judge = judge
        self._propose = propose
        self._allowed = self._left = evaluations
        self._until = asyncio.get_running_loop().time() + SEARCH_S
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._cut = False

    def found(self, flips: list[Flip]) -> Found:
        return Found(flips, self._allowed - self._left, self._cut)

    async def helpful(self, call: dict[str, Any], before: Reply) -> list[Flip]:
        tried = await self._try(call, self._propose(call, before))
        better = [one for one in tried if RANK[one.reply.effect] < RANK[before.effect]]
        single = [await self._flip(call, before, one) for one in _best(better)]
        if single or before.effect != "deny":
            return single
        return await self._together(call, before)

    async def harmful(self, call: dict[str, Any], before: Reply) -> list[Flip]:
        tried = await self._try(call, self._propose(call, before))
        worse = [one for one in tried if RANK[one.reply.effect] > RANK[before.effect]]
        return [await self._flip(call, before, one) for one in _best(worse)]

    async def _together(self, call: dict[str, Any], before: Reply) -> list[Flip]:
        """Change one fact after another, each time the one that leaves the fewest objections."""
        changes: list[Change] = []
        now, reply = call, before
        while len(changes) < MAX_TOGETHER and reply.effect == "deny":
            left = _denying(reply)
            tried = [one for one in await self._try(now, self._propose(now, reply)) if _denying(one.reply) < left]
            if not tried:
                return []
            best = min(tried, key=lambda one: (len(_denying(one.reply)), *_order(one.change)))
            changes.append(best.change)
            now, reply = patched(now, best.change.patch), best.reply
        if reply.effect == "deny":
            return []
        return [await self._spare(call, changes)]

    async def _spare(self, call: dict[str, Any], changes: list[Change]) -> Flip:
        """Take out, one by one, what is not needed."""
        for change in list(changes):
            others = [other for other in changes if other is not change]
            reply = await self._ask(call, [op for other in others for op in other.patch])
            if reply is not None and reply.effect != "deny":
                changes = others
        patch = [op for change in changes for op in change.patch]
        return _flip_of(changes, patch, await self._judge.judge(msgspec.json.encode(patched(call, patch))))

    async def _try(self, call: dict[str, Any], changes: Iterable[Change]) -> list[Tried]:
        once = list({msgspec.json.encode(change.patch): change for change in changes}.values())
        replies = await asyncio.gather(*(self._ask(call, change.patch) for change in once))
        return [Tried(change, reply) for change, reply in zip(once, replies, strict=True) if reply is not None]

    async def _ask(self, call: dict[str, Any], patch: Sequence[Op]) -> Reply | None:
        async with self._slots:
            if self._left <= 0 or asyncio.get_running_loop().time() > self._until:
                self._cut = True
                return None
            try:
                document = msgspec.json.encode(patched(call, patch))
            except (KeyError, IndexError):  # one change made another impossible
                return None
            self._left -= 1
            return await self._judge.judge(document)

    async def _flip(self, call: dict[str, Any], before: Reply, tried: Tried) -> Flip:
        """Return the flip a change is; of a number, as near to what it was as it can be."""
        path, patch = tried.change.fact, tried.change.patch
        was, value = value_at(call, path), patch[0].value
        if len(patch) > 1 or not _is_number(was) or not _is_number(value):
            return _flip_of([tried.change], patch, tried.reply)
        inside, outside = (value, tried.reply), (was, before)
        grid = 1 if isinstance(was, int) and isinstance(value, int) else 100
        for _ in range(MAX_HALVINGS):
            middle = _middle(inside[0], outside[0], grid)
            if middle in {inside[0], outside[0]}:
                break
            if (reply := await self._ask(call, replaced(path, was, middle).patch)) is None:
                return _flip_of([tried.change], patch, tried.reply)  # where the edge is was not found out
            far_enough = _distance(reply, before) >= _distance(tried.reply, before)
            inside, outside = ((middle, reply), outside) if far_enough else (inside, (middle, reply))
        nearest = replaced(path, was, inside[0])
        edge = f"{shown(outside[0])}: {outside[1].effect}" if outside[0] != was else ""
        return _flip_of([nearest], nearest.patch, inside[1], edge)


def _best(tried: list[Tried]) -> list[Tried]:
    """Return for each fact the change that does most, and of those the smallest; facts in the order of `FIRST`."""
    by_fact: dict[tuple[Path, Decision], Tried] = {}
    for one in sorted(tried, key=lambda one: (RANK[one.reply.effect], *_order(one.change))):
        by_fact.setdefault((one.change.fact, one.reply.effect), one)
    return sorted(by_fact.values(), key=lambda one: (RANK[one.reply.effect], *_order(one.change)))


def _order(change: Change) -> tuple[int, float, int]:
    rank = FIRST.index(change.fact[0]) if change.fact[0] in FIRST else len(FIRST)
    return rank, change.size, len(change.words)


def _flip_of(changes: Sequence[Change], patch: list[Op], reply: Reply, edge: str = "") -> Flip:
    words = [change.words for change in changes]
    return Flip(reply.effect, ", and ".join(words), words, patch, sorted(problems_of(reply)), edge)


def _denying(reply: Reply) -> set[str]:
    return problems_of(reply) - set(reply.shut_gates)


def _distance(reply: Reply, before: Reply) -> int:
    return abs(RANK[reply.effect] - RANK[before.effect])


def _middle(one: float, other: float, grid: int) -> float:
    steps = (round(one * grid) + round(other * grid)) // 2
    return steps if grid == 1 else steps / grid


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
