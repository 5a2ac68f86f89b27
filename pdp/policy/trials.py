"""Trials: a running policy is asked about cases and examples, and each answer is compared with what it has to be."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import msgspec
from msgspec import Raw

from ..decide import Reply, read_reply, verdict_from
from ..engine import VERDICT, VERDICTS, Engine
from ..errors import Refused
from ..query import digest
from .cases import Row, Table
from .form import ASKED
from .law import Rule
from .losses import Attempt, Document, Loss, Met, Untried, gains, is_asked_for
from .problem import Problem

if TYPE_CHECKING:
    from .pack import Pack

T = TypeVar("T")
R = TypeVar("R")
WITHIN_S = 5.0  # one evaluation takes a fraction of a millisecond; the engine may still be warming up
TOGETHER = 32  # inputs in one question: while calls go on, each question waits for its turn on the loop
AT_ONCE = 8  # more keeps no engine busier, and holds other callers up
ALWAYS: Mapping[str, int] = MappingProxyType({})
NAMED_TAG = "mcp-pdp/around-a-rule/v1"
NO_VERDICT = frozenset({"engine.garbled", "engine.undefined"})  # the engine is well, and this input has no verdict


class Case(NamedTuple):
    """A row of a decision table, where it stands, and what policy looks at for it."""

    file: str
    table: Table
    row: Row
    document: Document


def cases_of(tables: dict[str, Table]) -> list[Case]:
    """Return every row of the tables, which are given by file."""
    return [
        Case(file, table, row, msgspec.to_builtins(table.input_of(row)))
        for file, table in tables.items()
        for row in table.cases
    ]


def kinds_of(cases: Iterable[Case]) -> list[Case]:
    """Return a case of each way of acting and effect, with little in it, and for each type of duty one that owes it.

    Few cases owe all types when those that owe most come first.
    """
    by_size = sorted(cases, key=lambda case: (len(case.row.duties), len(msgspec.json.encode(case.document))))
    kinds: dict[Any, Case] = {}
    for case in by_size:
        kinds.setdefault((case.document["caller"]["mode"], case.row.expect), case)
    for case in sorted(by_size, key=lambda case: len(case.row.duties), reverse=True):
        for duty in case.row.duties:
            kinds.setdefault(duty, case)
    return list({(case.file, case.row.case): case for case in kinds.values()}.values())


async def ask(engine: Engine, entrypoint: str, document: Any) -> bytes:
    """Evaluate one input, in plenty of time. Raises `Refused` with an `engine.*` code."""
    return await engine.evaluate(
        entrypoint, msgspec.json.encode(document), asyncio.get_running_loop().time() + WITHIN_S
    )


async def verdict_on(engine: Engine, pack: "Pack", document: Document) -> Reply | None:
    """Return the verdict on one input, read as `decide` reads it; None where that would be a deny without one.

    Raises `Refused` when the engine is away, late, or runs another policy.
    """
    try:
        return read_reply(await ask(engine, VERDICT, document), pack)
    except Refused as refusal:
        if refusal.code in NO_VERDICT:
            return None
        raise


async def verdicts_on(engine: Engine, pack: "Pack", documents: Sequence[Document]) -> list[Reply | None]:
    """Return the verdicts on several inputs, asked for together; one by one when that has no answer."""
    try:
        listed = msgspec.json.decode(await ask(engine, VERDICTS, {"calls": documents}), type=list[Raw])
        if len(listed) == len(documents):
            return [read_reply(bytes(one), pack) for one in listed]
    except Refused as refusal:
        if refusal.code not in NO_VERDICT:
            raise
    return [await verdict_on(engine, pack, document) for document in documents]


async def each(items: Iterable[T], work: Callable[[T], Awaitable[R]]) -> list[R]:
    """Do `work` on every item, a few at once; the results come in no order. `items` is read as they are worked on."""
    waiting = iter(items)

    async def take() -> list[R]:
        return [await work(item) for item in waiting]

    try:
        async with asyncio.TaskGroup() as group:
            takers = [group.create_task(take()) for _ in range(AT_ONCE)]
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None  # each of them found the same engine away
    return [result for taker in takers for result in taker.result()]


async def try_cases(engine: Engine, pack: "Pack", cases: Iterable[Case]) -> list[Problem]:
    """Find the rows that do not come out as their table says."""

    async def wrong(case: Case) -> list[Problem]:
        reply = await verdict_on(engine, pack, case.document)
        if reply is None:
            return await no_verdict(engine, pack, f"the case {case.row.case!r} of {case.file}", case.document)
        return list(not_as_said(case, reply, pack))

    return _sorted(await each(cases, wrong))


async def try_examples(engine: Engine, rules: Iterable[Rule]) -> list[Problem]:
    """Find the good examples of METADATA on which their rule does not say yes, and the bad ones on which it does.

    Asks each rule by itself, which an OPA answers and a compiled policy does not.
    """

    async def wrong(example: tuple[Rule, str, Document]) -> list[Problem]:
        rule, kind, document = example
        yes = _is_yes(rule, await _answer_of(engine, rule, document))
        return [] if yes is (kind == "good") else [_not_an_example(rule, kind, document)]

    listed = ((rule, kind, example) for rule in rules for kind in ("good", "bad") for example in getattr(rule, kind))
    return _sorted(await each(listed, wrong))


async def try_losses(
    engine: Engine,
    pack: "Pack",
    documents: dict[str, Document],
    often: Mapping[str, int] = ALWAYS,
    proven: set[Met] | None = None,
) -> list[Problem]:
    """Find the rules that say yes, and the duties that shrink, when a field of one of the named inputs is lost.

    `often` says on how many of the inputs at most to try a rule, by code; the others are tried on all. What is `proven`
    is not tried again, and what is tried and gains nothing is added to it.
    """
    known = set() if proven is None else proven
    texts = {code: rule.text for code, rule in pack.rules.items()}
    untried = Untried(texts, often, names_in(pack, type(engine).__name__), known)
    found, trials = [], []
    for (name, document), before in zip(
        documents.items(), await verdicts_on(engine, pack, list(documents.values())), strict=True
    ):
        if before is None:
            found += await no_verdict(engine, pack, name, document)
        else:
            trials += [_Trial(name, before, attempt) for attempt in untried.of(document, before)]
    return found + _sorted(await each(_together(trials), lambda some: _gained_on(engine, pack, some, known)))


def names_in(pack: "Pack", engine: str) -> dict[str, str]:
    """Return for each rule a name that stands for everything its answer rests on beside the input, by code.

    A rule reads the input, the words of `lib/` and the values, and no other rule (form.py). That a duty shrinks, and
    what the decision makes of it all, rests on every rule: their names stand for the whole policy.
    """
    around = digest(NAMED_TAG, {"engine": engine, "shared": pack.shared, "config": pack.config})
    alone = {
        code: digest(NAMED_TAG, [around, code, rule.text])
        for code, rule in pack.rules.items()
        if rule.folder != "duties"
    }
    whole = {code: f"{code} {engine} {pack.revision}" for code in (*pack.codes("duties"), "pdp.decision")}
    return alone | whole


class _Trial(NamedTuple):
    """An input that lost a fact, and the verdict before it did."""

    name: str
    before: Reply
    attempt: Attempt


async def no_verdict(engine: Engine, pack: "Pack", name: str, document: Document) -> list[Problem]:
    """Name the rules that contradict themselves on an input without a verdict, if the engine answers for one rule."""
    what = f"There is no verdict on {name}: two rules of one name give two values."
    instead = "Let at most one of the rules of a name speak on any input."
    guilty = [rule for rule in pack.rules.values() if await _contradicts_itself(engine, rule, document)]
    files = [(rule.file, line_of(rule.text, ASKED[rule.folder])) for rule in guilty] or [("pdp/decision.rego", 0)]
    return [Problem(file, line, what, instead) for file, line in files]


async def _contradicts_itself(engine: Engine, rule: Rule, document: Document) -> bool:
    try:
        await ask(engine, question(rule), document)
    except Refused as refusal:
        return refusal.code == "engine.garbled"
    return False


async def _gained_on(engine: Engine, pack: "Pack", trials: Sequence[_Trial], proven: set[Met]) -> list[Problem]:
    verdicts = await verdicts_on(engine, pack, [trial.attempt.document for trial in trials])
    found = []
    for trial, after in zip(trials, verdicts, strict=True):
        gained = [
            _gained(pack, gain.code, gain.what, trial.name, trial.attempt.loss)
            for gain in gains(trial.before, after)
            if not is_asked_for(trial.attempt.loss, _text(pack, gain.code))
        ]
        found += gained
        if after is not None and not gained:  # without a verdict nobody knows what a rule said
            proven |= trial.attempt.tries
    return found


def _together(tried: Iterable[T]) -> Iterator[list[T]]:
    waiting = iter(tried)
    while some := list(islice(waiting, TOGETHER)):
        yield some


def _text(pack: "Pack", code: str) -> str:
    return pack.rules[code].text if code in pack.rules else ""


async def _answer_of(engine: Engine, rule: Rule, document: Document) -> Any:
    try:
        return json.loads(await ask(engine, question(rule), document))
    except Refused as refusal:
        if refusal.code in NO_VERDICT:
            return None
        raise


def _is_yes(rule: Rule, answer: Any) -> bool:
    if rule.folder == "duties":
        return isinstance(answer, dict) and answer.get("type") not in {None, "none"}
    return answer is True


def not_as_said(case: Case, reply: Reply, pack: "Pack") -> Iterator[Problem]:
    """Find how the verdict on a case is not what its table says."""
    row = case.row
    verdict = verdict_from(reply, pack)
    came = verdict.effect, sorted(reason.code for reason in verdict.reasons), sorted(d["type"] for d in verdict.duties)
    said = row.expect, sorted(row.because), sorted(row.duties)
    if came != said:
        what = f"The case {row.case!r} comes out as {_outcome(*came)}; the table says {_outcome(*said)}."
        yield Problem(case.file, row.line, what, "Correct the table or the rules, whichever is wrong.")


def _outcome(effect: str, because: list[str], duties: list[str]) -> str:
    reasons = f" because of {', '.join(because)}" if because else ""
    owed = f" with {', '.join(duties)}" if duties else ""
    return effect + reasons + owed


def _not_an_example(rule: Rule, kind: str, document: Document) -> Problem:
    says = "does not say yes" if kind == "good" else "says yes"
    what = f"The rule {says} on its {kind} example {_short(document)}."
    return Problem(rule.file, line_of(rule.text, f"#   {kind}:"), what, "Correct the example or the rule.")


def _gained(pack: "Pack", code: str, what: str, name: str, loss: Loss) -> Problem:
    said = f"On {name} with {loss}"
    if code in pack.rules:
        rule = pack.rules[code]
        instead = "Name the fact that must be there, with a word that checks its type: a lost fact must never help."
        line = line_of(rule.text, ASKED[rule.folder])
        return Problem(rule.file, line, f"{said} this rule {what}, and did not before.", instead)
    instead = "Let a duty be undefined when a fact it relies on is lost."
    return Problem(code, 0, f"{said} {code} {what}.", instead)


def question(rule: Rule) -> str:
    """Return the path of what a rule answers, below `data`."""
    return f"{rule.folder}/{rule.name}/{ASKED[rule.folder]}"


def line_of(text: str, start: str) -> int:
    """Return the number of the first line of a rule that begins with `start`; 0 when there is none."""
    lines = (number for number, line in enumerate(text.split("\n"), 1) if line.startswith(start))
    return next(lines, 0)


def _short(document: Document) -> str:
    text = json.dumps(document)
    return text if len(text) <= 200 else f"{text[:200]}..."  # noqa: PLR2004  # characters, of a line people read


def _sorted(found: Iterable[list[Problem]]) -> list[Problem]:
    return sorted(problem for problems in found for problem in problems)
