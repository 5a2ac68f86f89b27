"""Asks both engines the same and compares what they say, refusals included."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from random import Random
from typing import Any

from pdp.engine import VERDICT, VISIBLE, Engine
from pdp.errors import Refused
from pdp.policy.losses import Document

from .inputs import generated

AT_ONCE = 8  # inputs on their way
WITHIN_S = 20.0  # for one answer, on a loaded machine
MANY = 100  # calls in the longest list of tools: larger than what is evaluated on the loop's own thread


@dataclass(frozen=True)
class Difference:
    """One input on which the engines differ, and what each says."""

    entrypoint: str
    document: Any
    first: str
    second: str

    def __str__(self) -> str:
        asked = json.dumps(self.document)
        return f"{self.entrypoint}\n  input  {asked}\n  first  {self.first}\n  second {self.second}"


@dataclass
class Findings:
    """What a run has seen so far; `said` counts what the first engine answered."""

    inputs: int = 0
    answers: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    said: Counter[str] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)


async def compare(first: Engine, second: Engine, seed: int, count: int) -> Findings:
    """Compare the engines on `count` inputs made from `seed`."""
    findings = Findings()
    async for _ in comparing(first, second, seed, count, findings):
        pass
    return findings


async def comparing(first: Engine, second: Engine, seed: int, count: int, findings: Findings) -> Any:
    """Compare, and yield after every `AT_ONCE` inputs."""
    random = Random(seed)  # noqa: S311  # so that a run can be repeated
    for batch in batched(islice(generated(random), count)):
        findings.kinds.update(kind for kind, _ in batch)
        questions = [*questions_of([document for _, document in batch], random)]
        answers = await asyncio.gather(*(both(first, second, *question) for question in questions))
        for (entrypoint, document), (one, other) in zip(questions, answers, strict=True):
            findings.said[effect_of(entrypoint, one)] += 1
            if one != other:
                findings.differences.append(Difference(entrypoint, document, one, other))
        findings.inputs += len(batch)
        findings.answers += len(questions)
        yield findings


def batched(inputs: Iterator[tuple[str, Document]]) -> Iterator[list[tuple[str, Document]]]:
    """Yield the inputs in lists of `AT_ONCE`."""
    while batch := list(islice(inputs, AT_ONCE)):
        yield batch


def questions_of(documents: list[Document], random: Random) -> Iterable[tuple[str, Any]]:
    """Ask for the verdict on each, and whether its tool is in sight: alone, or now and then in a list."""
    for document in documents:
        yield VERDICT, document
        yield VISIBLE, {"calls": [document]}
    yield VISIBLE, {"calls": documents if random.random() < 0.9 else random.choices(documents, k=MANY)}


async def both(first: Engine, second: Engine, entrypoint: str, document: Any) -> tuple[str, str]:
    """Return what each engine says."""
    body = json.dumps(document).encode()
    return await said(first, entrypoint, body), await said(second, entrypoint, body)


async def said(engine: Engine, entrypoint: str, body: bytes) -> str:
    """Return the result, parsed and written again in one form; for a refusal its code.

    The revision is left out, once it is the engine's own: so packs can be compared, too.
    """
    try:
        text = await engine.evaluate(entrypoint, body, asyncio.get_running_loop().time() + WITHIN_S)
    except Refused as refusal:
        return refusal.code
    result = json.loads(text)
    if result.pop("revision", None) != engine.revision:
        return "engine.revision"
    return json.dumps(result, sort_keys=True)


def effect_of(entrypoint: str, answer: str) -> str:
    """Say in a word what was answered."""
    if not answer.startswith("{"):
        return answer
    return str(json.loads(answer)["effect"]) if entrypoint == VERDICT else "a list"
