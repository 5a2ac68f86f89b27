"""Impact: what two policies answer to the same calls, side by side: which answers change, for whom, and how many."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import msgspec
from msgspec import Struct

from ..answer import Decision
from ..decide import Reply
from .differences import Whole
from .flips import problems_of
from .masked import masked_reads
from .recorded import Question
from .replay import Judge

AT_ONCE = 64  # questions on their way: far more than either engine works on
EXAMPLES = 3
MOST = 10  # of those who are counted by name
DAY_MS = 86_400_000
LEAST_MS = 3_600_000  # a log of less than an hour says nothing about a day

Kind = Literal["new allow", "fewer approvals", "other duties", "new approval", "new deny", "stricter"]
SHIFTS: dict[tuple[Decision, Decision], tuple[Kind, str]] = {  # the most alarming first
    ("deny", "allow"): ("new allow", "WERE DENIED AND WOULD BE ALLOWED"),
    ("needs_approval", "allow"): ("fewer approvals", "needed a human and would be allowed without"),
    ("allow", "allow"): ("other duties", "would be allowed with other duties"),
    ("deny", "needs_approval"): ("new approval", "were denied and would be allowed with a human"),
    ("allow", "needs_approval"): ("stricter", "were allowed and would need a human"),
    ("needs_approval", "deny"): ("new deny", "needed a human and would be denied"),
    ("allow", "deny"): ("new deny", "were allowed and would be denied"),
}


class Example(Struct, frozen=True):
    """One call whose answer changes: the codes of the reasons of both, or their duties when these differ."""

    name: str
    person: str
    agent: str
    tool: str
    before: list[Any]
    after: list[Any]


class Shift(Struct, frozen=True):
    """Calls whose answer changes the same way. The counts are by name, the largest first."""

    before: Decision
    after: Decision
    kind: Kind
    words: str
    count: int
    people: dict[str, int]
    agents: dict[str, int]
    tools: dict[str, int]
    codes: dict[str, int]
    examples: list[Example]


class Approvals(Struct, frozen=True, omit_defaults=True):
    """How many calls ask for a human, before and after. `more_a_day`: at the rate of the log, if it is long enough.

    `gates` says which gates ask more often or less, `owners` whose they are: who is to be asked is theirs to say.
    """

    before: int
    after: int
    gates: dict[str, int]
    owners: dict[str, int]
    more_a_day: float | None = None


class Impact(Struct, frozen=True):
    """What became of a set of questions. `left_out`: those whose answer hangs on what the log masks.

    `reasons`: the answers that stay the same for other reasons. `unexpected`: cases that `after` answers otherwise
    than their table says.
    """

    asked: int
    left_out: int
    shifts: list[Shift]
    approvals: Approvals
    reasons: int
    unexpected: list[str]


class _Asked(Struct, frozen=True):
    question: Question
    before: Reply
    after: Reply


async def impact(
    questions: Sequence[Question],
    before: tuple[Whole, Judge],
    after: tuple[Whole, Judge],
    tick: Callable[[], None] = lambda: None,
) -> Impact:
    """Ask both policies every question that can be asked; `tick` is called for each. Raises `Fault`."""
    wholes = (before[0], after[0])
    open_ones = [question for question in questions if not _hidden(question, wholes)]
    slots = asyncio.Semaphore(AT_ONCE)

    async def ask(question: Question) -> _Asked:
        async with slots:
            replies = await asyncio.gather(*(judge.judge(question.document) for _, judge in (before, after)))
        tick()
        return _Asked(question, *replies)

    answered = await asyncio.gather(*(ask(question) for question in open_ones))
    return Impact(
        asked=len(answered),
        left_out=len(questions) - len(open_ones),
        shifts=_shifts(answered),
        approvals=_approvals(answered, *wholes),
        reasons=sum(_only_reasons(one) for one in answered),
        unexpected=[one.question.name for one in answered if one.question.expected not in {"", one.after.effect}],
    )


def _hidden(question: Question, wholes: Iterable[Whole]) -> bool:
    if not question.masked:
        return False
    call = msgspec.json.decode(question.document)
    return any(
        masked_reads(reads, question.masked, call, whole.pack.config)
        for whole in wholes
        for reads in whole.reads.values()
    )


def _shifts(answered: Sequence[_Asked]) -> list[Shift]:
    found = []
    for (before, after), (kind, words) in SHIFTS.items():
        same = [one for one in answered if (one.before.effect, one.after.effect) == (before, after)]
        moved = [one for one in same if before != after or one.before.duties != one.after.duties]
        if moved:
            found.append(
                Shift(
                    before=before,
                    after=after,
                    kind=kind,
                    words=words,
                    count=len(moved),
                    people=_counted(one.question.person for one in moved),
                    agents=_counted(one.question.agent for one in moved),
                    tools=_counted(one.question.tool for one in moved),
                    codes=_counted(code for one in moved for code in _movers(one)),
                    examples=[_example(one) for one in moved[:EXAMPLES]],
                )
            )
    return found


def _example(one: _Asked) -> Example:
    asked, sides = one.question, (one.before, one.after)
    duties = one.before.effect == one.after.effect
    told: list[list[Any]] = [reply.duties if duties else _spoke(reply) for reply in sides]
    return Example(asked.name, asked.person, asked.agent, asked.tool, *told)


def _movers(one: _Asked) -> set[str]:
    """Return the rules that make the difference: what objects on one side only, or permits where nobody did."""
    moved = problems_of(one.before) ^ problems_of(one.after)
    permits = set(one.before.permits) ^ set(one.after.permits)
    return moved - {"permits.none"} | permits if "permits.none" in moved else moved


def _spoke(reply: Reply) -> list[str]:
    return sorted(problems_of(reply)) or reply.permits


def _approvals(answered: Sequence[_Asked], before: Whole, after: Whole) -> Approvals:
    gates: Counter[str] = Counter()
    owners: Counter[str] = Counter()
    counts = {"before": 0, "after": 0}
    for one in answered:
        for name, reply, whole, step in (("before", one.before, before, -1), ("after", one.after, after, 1)):
            if reply.effect == "needs_approval":
                counts[name] += 1
                gates.update(dict.fromkeys(reply.shut_gates, step))
                owners.update(dict.fromkeys({whole.pack.rules[code].owner for code in reply.shut_gates}, step))
    times = [one.question.at_ms for one in answered if one.question.at_ms]
    span = max(times) - min(times) if times else 0
    more = (counts["after"] - counts["before"]) * DAY_MS / span if span >= LEAST_MS else None
    return Approvals(
        **counts,
        gates={code: n for code, n in gates.most_common() if n},
        owners={owner: n for owner, n in owners.most_common() if n},
        more_a_day=None if more is None else round(more, 1),
    )


def _only_reasons(one: _Asked) -> bool:
    return one.before.effect == one.after.effect and problems_of(one.before) != problems_of(one.after)


def _counted(names: Iterable[str]) -> dict[str, int]:
    return dict(Counter(name for name in names if name).most_common(MOST))
