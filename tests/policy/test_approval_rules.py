"""Who is asked, who may vote and when it is enough, as the pack says it, on both engines and as the PDP reads it."""

from typing import Any

import msgspec
import pytest

from pdp.approvals.review import Franchise, Plan, Standing
from pdp.engine import ELIGIBLE, PLAN, QUORUM
from tests.policy.engine import Asked

pytestmark = pytest.mark.promise("approvals.rules")
RIGHT = {"id": "e", "permission": "approve", "via": "direct", "constraints": [], "expires_at": "9999-12-31T23:59:59Z"}
PEER = {
    "id": "peer",
    "quorum": 1,
    "roles": ["approver"],
    "groups": ["finance"],
    "rights": ["approve"],
    "relations": ["tool_owner", "agent_owner"],
}


@pytest.mark.parametrize(
    ("impact", "score", "stages", "justification"),
    [
        ("read", 0, ["peer"], False),
        ("write", 69, ["peer"], False),
        ("write", 70, ["peer", "high_risk"], False),
        ("external", 0, ["peer"], False),
        ("destructive", 0, ["peer", "security"], True),
        ("privileged", 95, ["peer", "security", "high_risk"], True),
    ],
)
def test_the_stages_follow_the_class_of_impact_and_the_risk(
    impact: str, score: int, stages: list[str], justification: bool, asked: Asked
) -> None:
    plan = msgspec.convert(asked(PLAN, {"tool": {"risk_class": impact}, "risk": {"score": score}}), Plan)
    assert [stage.id for stage in plan.stages] == stages
    assert (plan.justification, plan.uses, plan.decide_within_s, plan.execute_within_s) == (justification, 1, 900, 300)


@pytest.mark.parametrize("call", [{}, {"tool": {"risk_class": "odd"}, "risk": {"score": 1}}, {"tool": None}])
def test_what_policy_has_no_plan_for_cannot_be_asked_about(call: Any, asked: Asked) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(asked(PLAN, call), Plan)


@pytest.mark.parametrize(
    ("approver", "may"),
    [
        ({"roles": ["approver"]}, True),
        ({"groups": ["finance"]}, True),
        ({"entitlements": [RIGHT]}, True),
        ({"id": "olga"}, True),
        ({"groups": ["payments"]}, True),
        ({}, False),
        ({"roles": ["approver-of-tea"]}, False),
        ({"entitlements": [RIGHT | {"permission": "call"}]}, False),
        ({"entitlements": [RIGHT | {"expires_at": "2025-01-01T00:00:00Z"}]}, False),
        ({"roles": None}, False),
        ({"roles": {"approver": True}}, False),
    ],
)
def test_eligible_is_who_holds_belongs_or_owns(approver: dict[str, Any], may: bool, asked: Asked) -> None:
    voting = {
        "stage": PEER,
        "approver": {"id": "carol", "roles": [], "groups": [], "entitlements": [], **approver},
        "tool": {"owner": "payments"},
        "agent": {"owners": ["olga"]},
        "now": "2026-01-05T10:00:00Z",
    }
    assert msgspec.convert(asked(ELIGIBLE, voting), Franchise).may_vote is may


YES, NO = "approve", "deny"


@pytest.mark.parametrize(
    ("votes", "state", "missing"),
    [
        ([], "open", {"peer": 2, "security": 1}),
        ([("a", "peer", YES)], "open", {"peer": 1, "security": 1}),
        ([("a", "peer", YES), ("a", "peer", YES), ("c", "security", YES)], "open", {"peer": 1}),
        ([("a", "peer", YES), ("b", "peer", YES), ("c", "peer", YES)], "open", {"security": 1}),
        ([("a", "peer", YES), ("b", "peer", YES), ("c", "security", YES)], "satisfied", {}),
        ([("a", "peer", YES), ("b", "peer", YES), ("c", "security", NO)], "rejected", {"security": 1}),
        ([("a", "elsewhere", YES), ("b", "peer", YES)], "open", {"peer": 1, "security": 1}),
    ],
)
def test_enough_is_every_stages_quorum_of_different_people_and_no_no(
    votes: list[tuple[str, str, str]], state: str, missing: dict[str, int], asked: Asked
) -> None:
    stages = [PEER | {"quorum": 2}, PEER | {"id": "security"}]
    cast = [{"person": person, "stage": stage, "vote": vote} for person, stage, vote in votes]
    standing = msgspec.convert(asked(QUORUM, {"stages": stages, "votes": cast}), Standing)
    assert standing.state == state
    assert {one.stage: one.votes for one in standing.missing} == missing
