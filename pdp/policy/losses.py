"""Losing a fact never helps: each field of an input removed, or made null, true, [] or {}, and what comes of it. Pure.

A loss can only gain where a rule said no, and only in a rule that reads what was lost. Rules of the safe form name each
fact they read, so their text says which losses concern them, and the same loss of the same facts need be tried once.

An empty list of restrictions is a statement and not a loss (docs/decisions/0011-lost-facts.md): `RESTRICTIONS` names
those that the pack takes at their word, `STATEMENTS` also those that an organisation's rules may (0020). Everything
else must not help.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec

from ..decide import Reply

Path = tuple[str | int, ...]
Document = dict[str, Any]
REMOVED: Any = object()
INSTEAD: dict[str, Any] = {"removed": REMOVED, "null": None, "true": True, "[]": [], "{}": {}}
Statement = tuple[str, type, str]  # the path, the type of what stands there, and what may stand there instead
RESTRICTIONS: tuple[Statement, ...] = (
    (r"tool/(labels|required_scopes)", object, "[]"),  # also in place of what was none: a repair is no loss
    (r"tool/(labels|required_scopes)/\d+", object, "removed"),
    (r"tool/argument_labels", object, "{}"),
    (r"tool/argument_labels/[^/]+", object, "[]"),
    (r"tool/argument_labels/[^/]+(/\d+)?", object, "removed"),
    (r"caller/(person|agent)/entitlements/\d+/constraints", list, "[]"),
    (r"caller/(person|agent)/entitlements/\d+/constraints/\d+", object, "removed"),
    (
        r"caller/(person|agent|delegation)/(roles|groups|owners|chain)",
        list,
        "[]",
    ),  # who somebody is, where that restricts
    (r"caller/(person|agent|delegation)/(roles|groups|owners|chain)/\d+", object, "removed"),
    (r"arguments/.+/\d+", object, "removed"),  # with fewer items it is another call, decided by itself
)
STATEMENTS: tuple[Statement, ...] = (
    *RESTRICTIONS,
    (r"arguments/.+", list, "[]"),  # so is one with none, where no rule of the pack says that it is not
    (r".+", bool, "true"),  # the other of two values
)
ABSENCE = re.compile(r"\b(labelled_unused|placed_unused|nowhere)\(")  # words by which a rule asks for what is left out
READ = re.compile(r"\binput\b((?:\.\w+)*)")
APPROVED: Path = ("approval", "gates")  # the one fact that decision.rego itself reads
RANK = {"deny": 0, "needs_approval": 1, "allow": 2}
LISTS = {("redact", "pointers"), ("notify", "to")}  # members of duties that only get longer ...
LIMITS = {("limit", "max_items"), ("limit", "max_bytes")}  # ... and that only get smaller; any other stays as it is


class Loss(NamedTuple):
    """One field of an input lost: its path, and what stands there instead (a key of `INSTEAD`)."""

    path: Path
    instead: str

    def __str__(self) -> str:
        field = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in self.path)
        return f"input{field} {'removed' if self.instead == 'removed' else f'replaced by {self.instead}'}"


class Gain(NamedTuple):
    """What a loss brought: the code of the rule, or `duties` or `pdp.decision`, and what it does that it did not."""

    code: str
    what: str


def losses(document: Document, statements: Iterable[Statement] = STATEMENTS) -> Iterator[Loss]:
    """Return every loss of a document that is one, and not among the `statements`."""
    known = [(re.compile(pattern), kind, instead) for pattern, kind, instead in statements]
    for path, value in _fields(document):
        text = "/".join(str(key).replace("/", "~1") for key in path)
        said = {instead for form, kind, instead in known if isinstance(value, kind) and form.fullmatch(text)}
        yield from (Loss(path, instead) for instead in INSTEAD if instead not in said)


def spoilt(document: Document, loss: Loss) -> Document:
    """Return a copy of the document that suffered the loss; unchanged where the field is not there."""
    copy = deepcopy(document)
    place: Any = copy
    try:
        for key in loss.path[:-1]:
            place = place[key]
        if loss.instead == "removed":
            del place[loss.path[-1]]
        else:
            place[loss.path[-1]] = deepcopy(INSTEAD[loss.instead])
    except (KeyError, IndexError, TypeError):
        return deepcopy(document)
    return copy


def gains(before: Reply, after: Reply | None) -> list[Gain]:
    """Say what came to be permitted, or is no longer owed. `after` is None when there was no verdict: a deny."""
    if after is None:
        return []
    found = [Gain(code, "applies") for code in _new(after.permits, before.permits)]
    found += [Gain(code, "holds") for code in _new(before.broken_guards, after.broken_guards)]
    found += [Gain(code, "is open") for code in _new(before.shut_gates, after.shut_gates)]
    if after.effect != "deny" and (less := shrunk(before.duties, after.duties)):
        found.append(Gain("duties", f"are less: {less}"))
    if not found and RANK[after.effect] > RANK[before.effect]:
        found.append(Gain("pdp.decision", f"says {after.effect} instead of {before.effect}"))
    return found


def is_asked_for(loss: Loss, text: str) -> bool:
    """Say whether the text of a rule asks for just that: an argument that is left out."""
    removed = loss.instead == "removed" and len(loss.path) > 1
    emptied = loss.instead == "{}" and len(loss.path) == 1
    return loss.path[0] == "arguments" and (removed or emptied) and ABSENCE.search(text) is not None


def shrunk(before: Iterable[Document], after: Iterable[Document]) -> str | None:
    """Return the first thing that was owed and is not any more; None when at least as much is owed."""
    owed, limits = _owed(before)
    still, limits_still = _owed(after)
    for thing in sorted(owed - still):
        return " ".join(thing)
    for (kind, member), limit in limits.items():
        if limits_still.get((kind, member), limit + 1) > limit:
            return f"{kind} {member} {limit}"
    return None


def reads(text: str) -> frozenset[Path]:
    """Return the paths of the input that a rule's text names; what stands below them is read too.

    Comments are no code. But behind the METADATA a raw string may make code look like one: with a backtick there,
    all of it counts. A reference that goes on in brackets is read up to there.
    """
    rest = text.split("\n")
    while rest and rest[0].startswith("#"):
        del rest[0]
    if not any("`" in line for line in rest):
        rest = [line for line in rest if not line.lstrip().startswith("#")]
    return frozenset(tuple(found[1:].split(".")) if found else () for found in READ.findall("\n".join(rest)))


def pruned(document: Document, wanted: Iterable[Path]) -> Document:
    """Return a document of only what stands at the paths `wanted`, or below."""
    below: dict[Any, list[Path]] = {}
    for path in wanted:
        if not path:
            return document
        below.setdefault(path[0], []).append(path[1:])
    return {
        key: pruned(document[key], paths) if isinstance(document[key], dict) else document[key]
        for key, paths in below.items()
        if key in document
    }


def touches(path: Path, wanted: Iterable[Path]) -> bool:
    """Say whether a loss at `path` changes what stands at one of the paths `wanted`."""
    return any(path[: len(want)] == want or want[: len(path)] == path for want in wanted)


Met = tuple[str, bytes, Loss]  # what rule, by code or as `Untried` was told to name it, met what loss of what facts


class Attempt(NamedTuple):
    """A loss worth trying, the part of the document that rules read, after it, and which rules are tried by it."""

    loss: Loss
    document: Document
    tries: frozenset[Met]


class Untried:
    """Says which losses of a document are worth trying: no rule that said no has met the same loss of the same facts.

    `texts` are the texts of the rules by code, `often` on how many documents at most to try one. `proven` met their
    loss before and gained nothing; there, a rule is named by what `named` has for its code.
    """

    def __init__(
        self,
        texts: dict[str, str],
        often: Mapping[str, int],
        named: Mapping[str, str] = MappingProxyType({}),
        proven: Iterable[Met] = (),
    ) -> None:
        self._reads = {code: reads(text) for code, text in texts.items()} | {"pdp.decision": frozenset({APPROVED})}
        self._all = frozenset().union(*self._reads.values())
        self._met = set(proven)
        self._named = named
        self._often = dict(often)

    def of(self, document: Document, before: Reply) -> Iterator[Attempt]:
        """Return each such loss."""
        codes = [code for code in self._refusing(before) if self._often.get(code, 1) > 0]
        read = pruned(document, self._all)
        facts = {code: msgspec.json.encode(pruned(read, self._facts(code))) for code in codes}
        self._often |= {code: self._often[code] - 1 for code in codes if code in self._often}
        for loss in losses(read):
            concerned = frozenset(
                (self._named.get(code, code), said, loss)
                for code, said in facts.items()
                if touches(loss.path, self._reads[code])
            )
            if concerned - self._met:
                self._met |= concerned
                yield Attempt(loss, spoilt(read, loss), concerned)

    def _facts(self, code: str) -> frozenset[Path]:
        """Return what decides about a rule; that a duty shrinks is seen where the call goes on, by all the rules."""
        return self._all if code.startswith("duties.") else self._reads[code]

    def _refusing(self, before: Reply) -> list[str]:
        """Return the rules that could still be won over: they said no, or make a call that goes on owe something."""
        said_no = {*before.broken_guards, *before.shut_gates}
        clear = bool(before.permits) and not before.broken_guards
        return [
            code
            for code in self._reads
            if code in said_no
            or (code.startswith("permits.") and code not in before.permits)
            or (code.startswith("duties.") and clear and (before.duties or before.effect == "deny"))
            or (code == "pdp.decision" and before.shut_gates)
        ]


def _fields(value: Any, here: Path = ()) -> Iterator[tuple[Path, Any]]:
    items: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, below in items:
        yield (*here, key), below
        yield from _fields(below, (*here, key))


def _new(now: Iterable[str], then: Iterable[str]) -> list[str]:
    return sorted(set(now) - set(then))


def _owed(duties: Iterable[Document]) -> tuple[set[tuple[str, ...]], dict[tuple[str, str], float]]:
    """Take duties apart: single things that are owed, and limits, of which the smallest counts."""
    owed: set[tuple[str, ...]] = set()
    limits: dict[tuple[str, str], float] = {}
    for duty in duties:
        kind = duty["type"]
        owed.add((kind,))
        for member, value in duty.items():
            if (kind, member) in LISTS and isinstance(value, list):
                owed |= {(kind, member, str(item)) for item in value}
            elif (kind, member) in LIMITS and isinstance(value, int | float):
                limits[kind, member] = min(value, limits.get((kind, member), value))
            else:
                owed.add((kind, member, "=", str(value)))
    return owed, limits
