"""One request as its page shows it: the exact call in rows, what differs from the last one agreed to. Pure.

Nothing here makes text safe to look at: what is written into a page passes through `plain` there, all of it.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from ..approvals.desk import Found
from ..approvals.plain import imitations, plain
from ..approvals.view import ApprovalShown, shown_to_a_person
from ..times import parse_rfc3339

Names = Mapping[str, str]
MOST_ROWS = 400  # values that get a row each; in a call with more, each argument is one row of JSON
GONE = "—"


class Value(Struct, frozen=True):
    """One value of a call. `before`: what it was in the last approved call; `change`: same, changed, new or gone."""

    name: str
    text: str
    kind: str
    labels: list[str]
    change: str = ""
    before: str = ""


class Page(Struct, frozen=True):
    """A request, ready to be written into its page. `lookalikes`: words that imitate others, letter by letter."""

    of: ApprovalShown
    caller: dict[str, Any]
    tool: dict[str, Any]
    risk: dict[str, Any]
    reasons: list[dict[str, Any]]
    relation: str
    people: list[tuple[str, str]]
    arguments: list[Value]
    compared_with: str | None
    prompt: str
    context: list[Value]
    lookalikes: list[tuple[str, str]]
    execute_within_s: int
    uses: int


class Denial(Struct, frozen=True):
    """An earlier request for the tool that people refused; `same_call`: exactly what is asked about now."""

    id: str
    at: str
    feedback: str
    same_call: bool


class Line(Struct, frozen=True):
    """A request in a list."""

    id: str
    server: str
    tool: str
    risk_class: str
    level: str
    who: str
    why: str
    state: str
    expires_at: str
    decided_at: str
    left: str


def listed(request: dict[str, Any], names: Names, now: str) -> Line:
    """Return a request as a list shows it."""
    call = request["shown"]
    return Line(
        id=request["id"],
        server=request["server"],
        tool=request["tool"],
        risk_class=call["tool"]["risk_class"],
        level=call["risk"]["level"],
        who=_who(request, names),
        why=", ".join(reason["title"] for reason in call["reasons"]),
        state=request["state"],
        expires_at=request["expires_at"],
        decided_at=request["decided_at"] or request["expires_at"],
        left=left(request["expires_at"], now),
    )


def denials(request: dict[str, Any], before: list[dict[str, Any]]) -> list[Denial]:
    """Return what was refused before, as the page of a request shows it."""
    same = [row["action_digest"] == request["action_digest"] for row in before]
    return [Denial(row["id"], row["decided_at"], row["feedback"], it) for row, it in zip(before, same, strict=True)]


def shown(found: Found, before: dict[str, Any] | None, names: Names) -> Page:
    """Return a request as its page shows it; `before` is the last request for the tool that people agreed to."""
    request, call = found.request, found.request["shown"]
    labels = call["tool"]["argument_labels"]
    intent = call["context"].get("intent")
    prompt = intent.get("prompt", "") if isinstance(intent, dict) else ""
    return Page(
        of=shown_to_a_person(*found),
        caller=call["caller"],
        tool=call["tool"],
        risk=call["risk"],
        reasons=call["reasons"],
        relation=_relation(request, names),
        people=_people(request, names),
        arguments=compared(call["arguments"], before and before["shown"]["arguments"], labels),
        compared_with=before["decided_at"] if before else None,
        prompt=prompt if isinstance(prompt, str) else _text(prompt)[0],
        context=[Value(name, *_text(value), []) for name, value in _rest(call["context"]).items()],
        lookalikes=[(word, _spelled(word)) for word in _imitations(_words(request, names))],
        execute_within_s=request["plan"]["execute_within_s"],
        uses=request["plan"]["uses"],
    )


def compared(now: dict[str, Any], before: dict[str, Any] | None, labels: dict[str, list[str]]) -> list[Value]:
    """Return the values of a call in rows, each with what it was in `before`, and those that are gone at the end."""
    new, old = _leaves(now), _leaves(before or {})
    rows = [Value(name, *_text(value), labels.get("/" + name, [])) for name, value in new.items()]
    if before is None:
        return rows
    rows = [_with_change(row, old) for row in rows]
    gone = [Value(name, GONE, "", [], "gone", _text(value)[0]) for name, value in old.items() if name not in new]
    return [*rows, *gone]


def left(until: str, now: str) -> str:
    """Return the time that is left in words: `14 min`, `40 s`; `no time` when it is over."""
    seconds = int((parse_rfc3339(until) - parse_rfc3339(now)).total_seconds())
    if seconds <= 0:
        return "no time"
    if seconds < 120:  # noqa: PLR2004  # below two minutes, people count seconds
        return f"{seconds} s"
    minutes = seconds // 60
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"  # noqa: PLR2004


def _with_change(row: Value, old: dict[str, Any]) -> Value:
    if row.name not in old:
        return Value(row.name, row.text, row.kind, row.labels, "new")
    text, kind = _text(old[row.name])
    same = (text, kind) == (row.text, row.kind)
    return Value(row.name, row.text, row.kind, row.labels, "same" if same else "changed", text)


def _leaves(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return each value that holds no others, by its pointer (RFC 6901) without the first slash."""
    leaves = {
        pointer[1:]: value for name in arguments for pointer, value in _walk(arguments[name], f"/{_escape(name)}")
    }
    return leaves if len(leaves) <= MOST_ROWS else {_escape(name): _Whole(value) for name, value in arguments.items()}


def _walk(value: Any, pointer: str) -> Iterator[tuple[str, Any]]:
    parts: list[tuple[str, Any]] = []
    if isinstance(value, dict) and value.keys() not in ({"$masked"}, {"$int"}):
        parts = [(_escape(key), item) for key, item in value.items()]
    elif isinstance(value, list):
        parts = [(str(index), item) for index, item in enumerate(value)]
    if not parts:
        yield pointer, value
    for part, item in parts:
        yield from _walk(item, f"{pointer}/{part}")


class _Whole(Struct, frozen=True):
    value: Any


def _text(value: Any) -> tuple[str, str]:
    """Return a value as text and what kind it is."""
    match value:
        case str():
            return value, "text"
        case bool() | None | int() | float():
            return json.dumps(value), "number" if type(value) in {int, float} else "constant"
        case {"$masked": str(seal)} if len(value) == 1:
            return seal[-12:], "masked"
        case {"$int": str(digits)} if len(value) == 1:
            return digits, "number"
    whole = value.value if isinstance(value, _Whole) else value
    return json.dumps(whole, ensure_ascii=False), "JSON"


def _rest(context: dict[str, Any]) -> dict[str, Any]:
    """Return the context without the prompt, which has a place of its own."""
    intent = context.get("intent")
    if not isinstance(intent, dict):
        return context
    rest = {f"intent/{name}": value for name, value in intent.items() if name != "prompt"}
    return {**{name: value for name, value in context.items() if name != "intent"}, **rest}


def _who(request: dict[str, Any], names: Names) -> str:
    person, agent = (names.get(request[kind] or "", "") for kind in ("person", "agent"))
    if person and agent:
        return f"{agent} for {person}"
    return person or f"{agent}, by itself"


def _relation(request: dict[str, Any], names: Names) -> str:
    caller = request["shown"]["caller"]
    person, agent = _called(request["person"], names), _called(request["agent"], names)
    if caller["mode"] == "user_delegated":
        return f"{agent} acts for {person}, who lets it until {caller['delegation']['expires_at'][:10]}."
    if caller["mode"] == "user_direct":
        return f"{person} calls directly, without an agent."
    return f"{agent} acts for itself; no person asked it to."


def _people(request: dict[str, Any], names: Names) -> list[tuple[str, str]]:
    caller = request["shown"]["caller"]
    owners = caller.get("agent", {}).get("owners", [])
    found = [
        ("Person", _called(request["person"], names)),
        ("Agent", _called(request["agent"], names)),
        ("Agent belongs to", ", ".join(_called(owner, names) for owner in owners)),
        ("Through", " → ".join(request["chain"]) if len(request["chain"]) > 1 else ""),
        ("Roles", ", ".join(caller.get("person", {}).get("roles", []))),
        ("Client", caller.get("client", {}).get("id", "")),
    ]
    return [(name, text) for name, text in found if text]


def _called(identifier: str | None, names: Names) -> str:
    if not identifier:
        return ""
    name = names.get(identifier, identifier)
    return name if name == identifier else f"{name} ({identifier})"


def _words(request: dict[str, Any], names: Names) -> tuple[Any, ...]:
    call = request["shown"]
    return request["server"], request["tool"], call["arguments"], call["context"], names


def _imitations(value: Any) -> list[str]:
    return sorted({word for text in _texts(value) for word in imitations(text)})


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from (str(name), *_texts(item))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)


def _spelled(word: str) -> str:
    """Return a word with every letter outside ASCII as its code point."""
    return "".join(letter if letter.isascii() else f"<U+{ord(letter):04X}>" for letter in plain(word))


def _escape(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
