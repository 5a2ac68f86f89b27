"""Nothing becomes more permissive by losing a fact: each field of each case removed, or made null, true, [] or {}.

One thing is a statement and not a loss: a shorter list of restrictions says that there are fewer (a tool without
labels, a right without constraints). Registry and store own those lists; `RESTRICTIONS` names them, and they alone may
be emptied or shortened. Every other value for them, and everything else, must not help
(docs/decisions/0011-lost-facts.md).
"""

from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pdp.decide import Reply
from pdp.policy.losses import INSTEAD, RANK, RESTRICTIONS, Loss, gains, is_asked_for, losses, spoilt
from pdp.policy.pack import Pack
from tests.policy.engine import Asked
from tests.policy.test_cases import TABLES

pytestmark = pytest.mark.promise("policy.no_gain_by_loss")

CASES = [(row, msgspec.to_builtins(table.input_of(row))) for table in TABLES for row in table.cases]
INPUTS = [document for _, document in CASES]
KINDS: dict[tuple[str, str], Any] = {(document["caller"]["mode"], row.expect): document for row, document in CASES}


def rank(verdict: Any) -> int:
    """Order what came back: no verdict and an error are a deny."""
    return RANK[verdict["effect"]] if isinstance(verdict, dict) else 0


def verdict_on(asked: Asked, document: Any) -> Reply | None:
    """Return the verdict as the PDP reads it, or None."""
    verdict = asked.verdict(document)
    return msgspec.convert(verdict, Reply) if isinstance(verdict, dict) else None


def assert_no_gain(before: Any, after: Any, lost: list[Loss], pack: Pack) -> None:
    """Fail when `after` lets more through, or with less to do, than `before`, in any rule and on the whole.

    A rule that forbids an argument asks for it to be left out.
    """
    for gain in gains(before, after):
        text = pack.rules[gain.code].text if gain.code in pack.rules else ""
        assert any(is_asked_for(loss, text) for loss in lost), (gain, lost)


def assert_no_single_gain(document: Any, instead: str, asked: Asked, pack: Pack) -> None:
    """Spoil each place of a document by itself."""
    before = verdict_on(asked, document)
    for loss in losses(document, RESTRICTIONS):
        if loss.instead == instead:
            assert_no_gain(before, verdict_on(asked, spoilt(document, loss)), [loss], pack)


@pytest.mark.parametrize("kind", KINDS, ids=" ".join)
@pytest.mark.parametrize("instead", INSTEAD)
def test_no_single_loss_gains_anything(kind: tuple[str, str], instead: str, asked: Asked, pack: Pack) -> None:
    assert_no_single_gain(KINDS[kind], instead, asked, pack)


@pytest.mark.slow
@pytest.mark.parametrize("document", [pytest.param(document, id=row.case) for row, document in CASES])
@pytest.mark.parametrize("instead", INSTEAD)
def test_no_single_loss_gains_anything_in_any_row(document: Any, instead: str, asked: Asked, pack: Pack) -> None:
    assert_no_single_gain(document, instead, asked, pack)


def test_the_losses_really_reach_what_the_call_is_allowed_by(asked: Asked) -> None:
    """A policy that ignored its input would pass the tests above."""
    document = KINDS["user_delegated", "allow"]
    removed = [loss for loss in losses(document) if loss.instead == "removed"]
    denied = {loss.path for loss in removed if rank(asked.verdict(spoilt(document, loss))) == 0}
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
def test_no_handful_of_losses_gains_anything(data: st.DataObject, asked: Asked, pack: Pack) -> None:
    document = data.draw(st.sampled_from(INPUTS))
    lost, what = document, list[Loss]()
    for _ in range(data.draw(st.integers(2, 5))):
        loss = data.draw(st.sampled_from(list(losses(document, RESTRICTIONS))))
        lost = spoilt(lost, loss)
        what.append(loss)
    assert_no_gain(verdict_on(asked, document), verdict_on(asked, lost), what, pack)


def test_a_statement_that_a_tool_has_no_labels_is_believed(asked: Asked) -> None:
    document = next(document for document in INPUTS if asked.verdict(document)["duties"])
    assert asked.verdict(spoilt(document, Loss(("tool", "labels"), "[]")))["duties"] == []
