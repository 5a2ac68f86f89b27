"""What `pdp policy diff` found, as text for a person at a terminal."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ..policy.patch import named, shown

Told = Mapping[str, Any]


def lines(told: Told, *, with_text: bool) -> list[str]:
    """Return the comparison as lines of text. Nothing a caller chose moves the cursor or hides a character."""
    found = told["differences"]
    return [
        f"A          {told['revisions'][0]}  {_safe(told['a'])}",
        f"B          {told['revisions'][1]}  {_safe(told['b'])}",
        *(line for rule in found["rules"] for line in _rule("rule", rule, with_text=with_text)),
        *(line for file in found["shared"] for line in _rule("shared", file, with_text=with_text)),
        *(f"value      {_value(value)}" for value in found["values"]),
        *_same(found),
        *_impact("cases", told["cases"]),
        *_impact("decisions", told["decisions"]),
        *_approvals(told["decisions"]),
        *_notes(told),
    ]


def _rule(what: str, rule: Told, *, with_text: bool) -> Iterator[str]:
    users = f"  used by {', '.join(rule['used_by'])}" if rule["used_by"] else ""
    review = "  REVIEW: it may allow or oblige where nothing did" if rule["review"] else ""
    yield f"{what:10} {rule['how']:8} {rule['code']}  ({rule['file']}){users}{review}"
    if with_text:
        yield from (f"             {line}" for line in rule["text"])


def _value(value: Told) -> str:
    before, after = (shown(value[side]) if side in value else "nothing" for side in ("before", "after"))
    return f"{named(value['path'])}: {before} -> {after}"


def _same(found: Told) -> Iterator[str]:
    if not (found["rules"] or found["shared"] or found["values"]):
        yield "same       no rule, word or value differs"


def _impact(what: str, found: Told) -> Iterator[str]:
    changed = sum(shift["count"] for shift in found["shifts"])
    yield ""
    yield f"{what:10} {found['asked']} asked of both, {changed} answers change{_also(found)}"
    for shift in found["shifts"]:
        yield f"  {shift['count']:7} {shift['words']}  ({', '.join(shift['codes']) or 'duties'})"
        for who in ("people", "agents", "tools"):
            if shift[who]:
                yield f"          {who:7} {', '.join(f'{_safe(name)} {n}' for name, n in shift[who].items())}"
        yield from (f"          e.g.    {_example(example)}" for example in shift["examples"])
    yield from (f"          B answers otherwise than the table says: {name}" for name in found["unexpected"])


def _also(found: Told) -> str:
    also = f", {found['reasons']} for other reasons only" if found["reasons"] else ""
    if found["left_out"]:
        also += f"; {found['left_out']} left out, because a rule reads what the log masks"
    return also


def _example(example: Told) -> str:
    who = "/".join(filter(None, (example["person"], example["agent"])))
    before, after = (_told(example[side]) for side in ("before", "after"))
    return f"{_safe(example['name'])}  {_safe(who)} -> {_safe(example['tool'])}  {before} => {after}"


def _told(reasons: list[Any]) -> str:
    return " ".join(item if isinstance(item, str) else shown(item) for item in reasons) or "nothing"


def _approvals(found: Told) -> Iterator[str]:
    asked = found["approvals"]
    if not asked["before"] and not asked["after"]:
        return
    more = asked["after"] - asked["before"]
    rate = f", {asked['more_a_day']:+} a day at the rate of the log" if "more_a_day" in asked else ""
    yield ""
    yield f"approvals  {asked['before']} of these asked for a human, {asked['after']} would: {more:+}{rate}"
    yield from (f"          {code} {n:+}" for code, n in asked["gates"].items())
    yield from (f"          to answer: {_safe(owner)} {n:+}" for owner, n in asked["owners"].items())


def _notes(told: Told) -> Iterator[str]:
    if any(value["path"][0] == "risk" for value in told["differences"]["values"]):
        yield ""
        yield "note       What evidence of risk weighs differs: recorded scores were not weighed again."


def _safe(text: str) -> str:
    return json.dumps(text)[1:-1]
