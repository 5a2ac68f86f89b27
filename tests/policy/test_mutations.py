"""Nothing becomes more permissive by losing a fact: each field of each case removed, or made null, true, [] or {}.

One thing is a statement and not a loss: a shorter list of restrictions says that there are fewer (a tool without
labels, a right without constraints). Registry and store own those lists; `STATEMENTS` names them, and they alone may
be emptied or shortened. Every other value for them, and everything else, must not help
(docs/decisions/0011-lost-facts.md).
"""

import math
import re
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.policy.engine import Asked
from tests.policy.test_cases import TABLES

pytestmark = pytest.mark.promise("policy.no_gain_by_loss")

REMOVED = object()
INSTEAD = [REMOVED, None, True, [], {}]
IDS = ["removed", "null", "true", "list", "object"]
RANK = {"deny": 0, "needs_approval": 1, "allow": 2}
STATEMENTS: dict[str, list[Any]] = {
    r"tool/(labels|required_scopes)": [[]],
    r"tool/(labels|required_scopes)/\d+": [REMOVED],
    r"tool/argument_labels": [{}],
    r"tool/argument_labels/[^/]+": [REMOVED, []],
    r"tool/argument_labels/[^/]+/\d+": [REMOVED],
    r"caller/(person|agent)/entitlements/\d+/constraints": [[]],
    r"caller/(person|agent)/entitlements/\d+/constraints/\d+": [REMOVED],
    r"caller/(person|agent|delegation)/(roles|groups|owners|chain)": [[]],
    r"caller/(person|agent|delegation)/(roles|groups|owners|chain)/\d+": [REMOVED],
    r"arguments/.+/\d+": [REMOVED],
}
FORBIDDEN = "x-forbidden"  # a label for arguments that are to be left out, so leaving them out is no loss
CASES = [(row, msgspec.to_builtins(table.input_of(row))) for table in TABLES for row in table.cases]
INPUTS = [document for _, document in CASES]
KINDS: dict[tuple[str, str], Any] = {(document["caller"]["mode"], row.expect): document for row, document in CASES}

Path = tuple[Any, ...]


def paths(value: Any, here: Path = ()) -> Iterator[Path]:
    """Return the path of every member and item below `value`."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in items:
        yield (*here, key)
        yield from paths(below, (*here, key))


def spoil(document: Any, path: Path, instead: Any) -> Any:
    """Return a copy without what stands at `path`, or with something else there; unchanged when nothing is there."""
    spoilt = deepcopy(document)
    place = spoilt
    for key in path[:-1]:
        try:
            place = place[key]
        except (KeyError, IndexError, TypeError):
            return spoilt
    try:
        if instead is REMOVED:
            del place[path[-1]]
        else:
            place[path[-1]] = deepcopy(instead)
    except (KeyError, IndexError, TypeError):
        return spoilt
    return spoilt


def is_statement(document: Any, path: Path, instead: Any) -> bool:
    """Say whether this is a list of restrictions that is emptied, which is a statement about the tool or the right.

    So is a call without an argument that is forbidden.
    """
    text = "/".join(str(key).replace("/", "~1") for key in path)
    if any(re.fullmatch(known, text) and instead in values for known, values in STATEMENTS.items()):
        return True
    forbidden = {("arguments", pointer[1:]) for pointer, of in labels_of(document).items() if FORBIDDEN in of}
    return (path in forbidden and instead is REMOVED) or (bool(forbidden) and path == ("arguments",) and instead == {})


def labels_of(document: Any) -> dict[str, list[str]]:
    """Return the labels of the arguments of a call, as far as they are there."""
    labels = document.get("tool", {}).get("argument_labels", {}) if isinstance(document.get("tool"), dict) else {}
    return {pointer: of for pointer, of in labels.items() if isinstance(of, list)} if isinstance(labels, dict) else {}


def rank(verdict: Any) -> int:
    """Order what came back: no verdict and an error are a deny."""
    return RANK[verdict["effect"]] if isinstance(verdict, dict) else 0


def owed(verdict: Any) -> set[tuple[str, str]]:
    """Return what an enforcer must do, pointer by pointer and person by person."""
    return {(duty["type"], item) for duty in verdict["duties"] for item in duty.get("pointers", duty.get("to", [""]))}


def limits(verdict: Any) -> dict[str, float]:
    """Return the strictest of each limit that an enforcer must keep."""
    found: dict[str, float] = {}
    for duty in verdict["duties"]:
        for name in ("max_items", "max_bytes"):
            if name in duty:
                found[name] = min(found.get(name, duty[name]), duty[name])
    return found


def assert_no_gain(before: Any, after: Any, what: str) -> None:
    """Fail when `after` lets more through, or with less to do, than `before`."""
    assert rank(after) <= rank(before), f"{what}: {before['effect']} became {after['effect']}"
    if rank(after) == RANK["allow"]:
        assert owed(before) <= owed(after), f"{what}: less is owed"
        loosened = [name for name, limit in limits(before).items() if limits(after).get(name, math.inf) > limit]
        assert not loosened, f"{what}: more comes back"


def assert_no_single_gain(document: Any, instead: Any, asked: Asked) -> None:
    """Spoil each place of a document by itself."""
    before = asked.verdict(document)
    for path in paths(document):
        if not is_statement(document, path, instead):
            assert_no_gain(before, asked.verdict(spoil(document, path, instead)), str(path))


@pytest.mark.parametrize("kind", KINDS, ids=" ".join)
@pytest.mark.parametrize("instead", INSTEAD, ids=IDS)
def test_no_single_loss_gains_anything(kind: tuple[str, str], instead: Any, asked: Asked) -> None:
    assert_no_single_gain(KINDS[kind], instead, asked)


@pytest.mark.slow
@pytest.mark.parametrize("document", [pytest.param(document, id=row.case) for row, document in CASES])
@pytest.mark.parametrize("instead", INSTEAD, ids=IDS)
def test_no_single_loss_gains_anything_in_any_row(document: Any, instead: Any, asked: Asked) -> None:
    assert_no_single_gain(document, instead, asked)


def test_the_losses_really_reach_what_the_call_is_allowed_by(asked: Asked) -> None:
    """A policy that ignored its input would pass the tests above."""
    document = KINDS["user_delegated", "allow"]
    denied = {path for path in paths(document) if rank(asked.verdict(spoil(document, path, REMOVED))) == 0}
    expected = {
        ("now",),
        ("caller",),
        ("caller", "mode"),
        ("caller", "person"),
        ("caller", "person", "entitlements"),
        ("caller", "person", "entitlements", 0),
        ("caller", "agent"),
        ("caller", "agent", "ceiling"),
        ("caller", "agent", "max_impact"),
        ("caller", "delegation"),
        ("caller", "delegation", "scope"),
        ("caller", "delegation", "max_impact"),
        ("caller", "delegation", "expires_at"),
        ("caller", "token"),
        ("caller", "token", "scopes"),
        ("tool",),
        ("tool", "server"),
        ("tool", "name"),
        ("tool", "risk_class"),
        ("tool", "labels"),
        ("tool", "required_scopes"),
        ("tool", "argument_labels"),
        ("arguments",),
        ("risk",),
        ("risk", "score"),
    }
    assert expected <= denied


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_handful_of_losses_gains_anything(data: st.DataObject, asked: Asked) -> None:
    document = data.draw(st.sampled_from(INPUTS))
    spoilt, what = document, []
    for _ in range(data.draw(st.integers(2, 5))):
        path = data.draw(st.sampled_from(list(paths(document))))
        instead = data.draw(st.sampled_from(INSTEAD))
        if not is_statement(document, path, instead):
            spoilt = spoil(spoilt, path, instead)
            what.append(path)
    assert_no_gain(asked.verdict(document), asked.verdict(spoilt), str(what))


def test_a_statement_that_a_tool_has_no_labels_is_believed(asked: Asked) -> None:
    document = next(document for document in INPUTS if asked.verdict(document)["duties"])
    assert asked.verdict(spoil(document, ("tool", "labels"), []))["duties"] == []
