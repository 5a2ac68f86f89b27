"""What `pdp why` found, as text for a person at a terminal."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ..policy.patch import named, shown

FACTS = ("caller", "tool", "arguments", "facts", "context")
SHOWN = 6  # changes of one sort; `--all` shows the others

Told = Mapping[str, Any]


def lines(told: Told, *, everything: bool) -> list[str]:
    """Return the explanation as lines of text. Nothing a caller chose moves the cursor or hides a character."""
    return [
        *_head(told),
        *_because(told["record"]),
        *_replayed(told),
        *_floor(told),
        *(line for rule in told.get("deciding", ()) for line in _rule(rule)),
        *_changes(told.get("flips"), "would help", everything=everything),
        *_changes(told.get("hangs_on"), "hangs on", everything=everything),
        *_rest(told),
        *_texts(told["rules"]),
    ]


def _head(told: Told) -> Iterator[str]:
    record = told["record"]
    tool = f"{_safe(record['tool']['server'])}/{_safe(record['tool']['name'])}"
    yield f"{record['id']}  {record['decision'].upper()}  {tool}  {told['at']}"
    if told["changed"]:
        yield f"CHANGED    {told['changed']}"
    yield f"recorded   {told['receipt']['origin']} #{told['receipt']['index']}, asked by {record['pep']}"
    yield from (f"revision   {name} {value}" for name, value in record["revisions"].items())


def _because(record: Told) -> Iterator[str]:
    for reason in record["reasons"]:
        yield f"because    {reason['code']}: {reason['title']}"
        yield f"           {reason['remedy']}"
    yield from (f"permitted  {code}" for code in record.get("permits", []))
    if record.get("note"):
        yield f"note       {_safe(record['note'])}"


def _replayed(told: Told) -> Iterator[str]:
    if "rules_missing" in told:
        yield f"again      not judged again: {told['rules_missing']}"
    if (replayed := told.get("replayed")) is None:
        return
    if not replayed["differs"]:
        yield "again      judged again by that policy: the same answer"
        return
    codes = [*replayed["reasons"], *replayed["permits"]]
    yield f"again      judged again by that policy: {replayed['decision'].upper()}  {' '.join(codes)}"
    if replayed["masked"]:
        places = ", ".join(map(_safe, replayed["masked"]))
        yield f"           what its rules read is masked in the log, so this proves nothing: {places}"


def _floor(told: Told) -> Iterator[str]:
    if "floor" in told:
        floor = told["floor"]
        yield f"step       {floor['step']}: refused outside the policy: none of its rules decided this"
        yield f"lacked     {floor['lacked']}"
        yield from (f"           {check}" for check in floor["checks"])


def _rule(rule: Told) -> Iterator[str]:
    yield from ("", f"{rule['code']} {rule['says']}: {rule['title']}")
    yield f"  text     {rule['description']}"
    yield f"  remedy   {rule['remedy']}"
    yield f"  owner    {rule['owner']}  ({rule['file']})"
    yield from (f"  read     {_fact(fact)}" for fact in rule["facts"])
    yield from (f"  value    {_fact(fact)}" for fact in rule["values"])
    yield from (f"  masked   {_safe(pointer)}" for pointer in rule["masked"])


def _fact(fact: Told) -> str:
    return f"{named(fact['path'])} = {shown(fact['value'])}" if "value" in fact else f"{named(fact['path'])}: nothing"


def _changes(found: Told | None, what: str, *, everything: bool) -> Iterator[str]:
    if found is None:
        return
    flips = found["flips"]
    kept = flips if everything else flips[:SHOWN]
    yield from ("", f"{what:10} each line alone, all else as it was; {found['evaluations']} changes were evaluated")
    yield from (line for flip in kept for line in _flip(flip))
    if len(kept) < len(flips):
        yield f"  ... and {len(flips) - len(kept)} more: --all"
    if not flips:
        yield "  no change that was tried: look at what the rules read, above"
    if found["cut"]:
        yield "  the search ended before everything was tried"


def _flip(flip: Told) -> Iterator[str]:
    first, *others = flip["changes"]
    edge = f"  ({flip['edge']})" if flip["edge"] else ""
    codes = f"  {' '.join(flip['reasons'])}" if flip["reasons"] else ""
    yield f"  {flip['becomes']:14} {first}{edge}{codes}"
    yield from (f"  {'  together with':14} {change}" for change in others)


def _rest(told: Told) -> Iterator[str]:
    record = told["record"]
    facts = record["input"]
    yield ""
    yield from _risk(record["risk"]) if "risk" in record else ()
    yield from (f"{name:10} {json.dumps(facts[name])}" for name in FACTS if name in facts)
    yield from (f"masked     {_safe(pointer)}" for pointer in record.get("masked", []))
    yield from (f"outcome    {json.dumps(outcome)}" for outcome in told["outcomes"])


def _risk(risk: Told) -> list[str]:
    """Return the score, what it is made of, and what was not known."""
    unknown = [name for name, known in risk["coverage"].items() if not known]
    evidence = [
        f"           {item['points']:6.2f}  {_safe(item['code'])} since {item['since']}, says {_safe(item['source'])}"
        for item in risk["evidence"]
    ]
    head = f"risk       {risk['score']:6.2f}  {risk['level']}"
    return [head, *evidence, *([f"           not known: {', '.join(unknown)}"] if unknown else [])]


def _texts(rules: Mapping[str, str]) -> Iterator[str]:
    for code, text in rules.items():
        yield from ("", f"--- {code} as it stood at that revision", text.rstrip())


def _safe(text: str) -> str:
    """Return what a caller may have chosen in a form that moves no cursor and hides no character."""
    return json.dumps(text)[1:-1]
