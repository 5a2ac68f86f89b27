"""What a rule may have seen of the values that the log masks: there, a decision cannot be judged again.

A rule that names an argument reads that one. A word of lib/ that is given all arguments finds its way by pointers: of
a right's constraints, of config, of the rule's own text, and of labels that config names. It reads no other argument.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import UNSET

from .facts import facts_of, values_of
from .patch import Path, leaves, steps_of
from .reads import EACH, Reads

ARGUMENTS: Path = ("arguments",)
LABELS: Path = ("tool", "argument_labels")


def masked_reads(reads: Reads, masked: Sequence[str], call: Any, config: Any) -> list[str]:
    """Return which of these pointers into the input `call` lead to what a rule may look at."""
    if not masked:
        return []
    ways = list(_ways(reads, call, config))
    named = [path for path in reads.facts if path != ARGUMENTS]
    named += [(*ARGUMENTS, *way) for way in ways] if ARGUMENTS in reads.facts else []
    named += [ARGUMENTS] if ARGUMENTS in reads.facts and not ways else []
    return [pointer for pointer in masked if any(_meet(steps_of(pointer), path) for path in named)]


def _ways(reads: Reads, call: Any, config: Any) -> Iterator[Path]:
    values = [fact.value for fact in values_of(reads, config, call) if fact.value is not UNSET]
    known = {item for value in values for item in _texts(value)} | {item for item in reads.literals if _is_text(item)}
    facts = [fact for fact in facts_of(reads, call) if fact.value is not UNSET and fact.path != ARGUMENTS]
    for text in known | {item for fact in facts if fact.path != LABELS for item in _texts(fact.value)}:
        yield steps_of(text) if text.startswith("/") else (text,)
    labelled = call["tool"]["argument_labels"].items() if any(fact.path == LABELS for fact in facts) else ()
    yield from (steps_of(pointer) for pointer, names in labelled if known & set(names))


def _texts(value: Any) -> Iterator[str]:
    for path, leaf in leaves(value):
        yield from path
        if _is_text(leaf):
            yield leaf


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _meet(one: Sequence[str], other: Sequence[str]) -> bool:
    """Say whether one path lies at, above or below the other."""
    return all(step == there or EACH in {step, there} for step, there in zip(one, other, strict=False))
