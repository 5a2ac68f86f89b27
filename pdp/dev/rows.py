"""What the demo does and what must come of it: one row a call. Read it as the demo's specification."""

from typing import Any, Literal

from msgspec import Struct, field


class Vote(Struct, frozen=True):
    """A yes, in the console, to what this row's call asked. `refused`: a try with `pdp approve`, and its code."""

    who: str
    refused: str = ""


class Row(Struct, frozen=True, kw_only=True):
    """One call. `who` names a sample caller (seed.py); `because` are the codes that must be among the reasons."""

    who: str
    tool: str
    arguments: dict[str, Any]
    decision: Literal["allow", "deny", "needs_approval"]
    because: frozenset[str] = frozenset()
    shows: str = ""
    hides: str = ""
    drift: bool = False
    meta: dict[str, Any] = field(default_factory=dict)
    votes: tuple[Vote, ...] = ()  # before the call


PROMPT = {"mcp-pdp/intent": {"prompt": "Refund Carla's late delivery, please.", "turn": "t-7", "model": "demo-model"}}

ROWS = (
    Row(who="alice", tool="create_refund", arguments={"order": "o-1", "amount": 40}, decision="allow"),
    Row(
        who="alice-helpdesk",
        tool="create_refund",
        arguments={"order": "o-1", "amount": "25"},  # text, as models send it: decided on and run as 25
        decision="allow",
        meta=PROMPT,
        shows='"refunded": 65',
    ),
    Row(who="nightly", tool="list_orders", arguments={}, decision="allow"),
    Row(
        who="nightly",
        tool="create_refund",
        arguments={"order": "o-1", "amount": 5},
        decision="deny",
        because=frozenset({"permits.none", "guards.agent_ceiling", "guards.impact_within"}),
    ),
    Row(
        who="bob",
        tool="create_refund",
        arguments={"order": "o-1", "amount": 40},
        decision="deny",
        because=frozenset({"permits.none"}),
    ),
    Row(
        who="alice-retired",
        tool="create_refund",
        arguments={"order": "o-1", "amount": 40},
        decision="deny",
        because=frozenset({"identity.agent_inactive"}),
    ),
    Row(
        who="stolen",
        tool="get_order",
        arguments={"order": "o-1"},
        decision="deny",
        because=frozenset({"identity.audience"}),
    ),
    Row(
        who="expired",
        tool="get_order",
        arguments={"order": "o-1"},
        decision="deny",
        because=frozenset({"identity.expired"}),
    ),
    Row(
        who="alice",
        tool="create_refund",
        arguments={"order": "o-2", "amount": 20_000},  # her right ends at 10,000
        decision="deny",
        because=frozenset({"permits.none"}),
    ),
    Row(
        who="alice-helpdesk",
        tool="create_refund",
        arguments={"order": "o-2", "amount": 7_500},  # above 5,000 a human must agree
        decision="needs_approval",
        because=frozenset({"gates.amount"}),
        shows="Ask the user to get it approved",
    ),
    Row(
        who="alice-helpdesk",
        tool="create_refund",
        arguments={"order": "o-2", "amount": 7_500},  # the same call, once somebody else has agreed
        votes=(Vote("alice-approves", refused="approvals.own_call"), Vote("carol-approves")),
        decision="allow",
        shows='"refunded": 7500',
    ),
    Row(
        who="alice-helpdesk",
        tool="create_refund",
        arguments={"order": "o-2", "amount": 7_500},  # once more: that was one call, and this is another
        decision="needs_approval",
        because=frozenset({"gates.amount"}),
    ),
    Row(
        who="alice-helpdesk",
        tool="create_refund",
        arguments={"order": "o-2", "amount": 7_600},  # nobody agreed to this
        decision="needs_approval",
        because=frozenset({"gates.amount"}),
    ),
    Row(
        who="alice",
        tool="delete_customer",
        arguments={"customer": "c-2"},
        decision="needs_approval",
        because=frozenset({"gates.destructive"}),
    ),
    Row(
        who="alice",
        tool="get_customer",
        arguments={"customer": "c-1"},
        decision="allow",
        shows="Carla Cole",
        hides="078-05-1120",
    ),
    Row(who="alice-helpdesk", tool="export_report", arguments={"day": "today"}, decision="allow"),
    Row(
        who="alice-helpdesk",
        tool="export_report",
        arguments={"day": "today"},
        drift=True,  # the server has changed its words since they were approved
        decision="deny",
        because=frozenset({"tool.drifted"}),
    ),
    Row(
        who="alice",
        tool="create_refund",
        arguments={"order": "o-1", "amount": 5, "to_account": "x-1"},  # a key that nothing declares
        decision="deny",
        because=frozenset({"tool.arguments"}),
    ),
)
