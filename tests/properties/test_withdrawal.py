"""What can be taken back, when, and by whom."""

from typing import Any

import pytest

from pdp.approvals.withdrawal import those_concerned, withdrawal_open

pytestmark = pytest.mark.promise("console.withdraws")
NOW, LATER = "2026-01-01T00:00:00.000Z", "2026-01-01T00:00:01.000Z"
REQUEST: dict[str, Any] = {"state": "open", "expires_at": LATER, "person": "alice", "owners": []}
APPROVAL: dict[str, Any] = {"state": "active", "not_after": LATER}
APPROVED = {**REQUEST, "state": "approved"}


@pytest.mark.parametrize(
    ("request_", "approval", "step"),
    [
        (REQUEST, None, "cancel"),
        ({**REQUEST, "expires_at": NOW}, None, None),
        ({**REQUEST, "state": "denied"}, None, None),
        (APPROVED, APPROVAL, "revoke"),
        (APPROVED, {**APPROVAL, "not_after": NOW}, None),
        (APPROVED, {**APPROVAL, "state": "spent"}, None),
        (APPROVED, {**APPROVAL, "state": "revoked"}, None),
    ],
)
def test_only_what_still_counts_can_be_taken_back(request_: Any, approval: Any, step: str | None) -> None:
    assert withdrawal_open(request_, approval, NOW) == step


def test_a_question_is_of_those_behind_the_call_and_a_right_also_of_those_who_voted() -> None:
    votes = [{"person": "carol"}]
    alone = {**REQUEST, "person": None, "owners": ["olga"]}
    assert those_concerned("cancel", REQUEST, votes) == {"alice"}
    assert those_concerned("revoke", REQUEST, votes) == {"alice", "carol"}
    assert those_concerned("cancel", alone, votes) == {"olga"}
    assert those_concerned("revoke", alone, votes) == {"olga", "carol"}
