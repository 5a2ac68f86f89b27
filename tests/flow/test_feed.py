"""A feed is read strictly: what is misspelt is an error that names its place, never a right nobody has."""

from typing import Any

import msgspec
import pytest

from pdp.errors import Fault
from pdp.identity.feed import read_feed
from pdp.identity.rows import wanted_rows

pytestmark = pytest.mark.promise("feed.strict")
CONTRACT = b"""
source: corp-directory
people:
  - {id: alice, display: Alice, aliases: [{issuer: https://idp.example, subject: 00u1}], groups: [support], roles: []}
agents:
  - id: helpdesk-bot
    aliases: [{issuer: https://idp.example, subject: client-7}]
    owners: [alice]
    max_impact: write
    ceiling: ["payments/*"]
groups: [{id: support, members_of: [staff], roles: [refunder]}]
roles:
  - id: refunder
    entitlements:
      - {permission: call, tool: payments/create_refund, constraints: [{pointer: /amount, op: le, value: 10000}]}
delegations:
  - {person: alice, agent: helpdesk-bot, scope: ["payments/*"], max_impact: write, expires_at: 2027-01-01T00:00:00Z}
"""


def entitlement(**changes: Any) -> dict[str, Any]:
    return {"roles": [{"id": "r", "entitlements": [{"permission": "call", "tool": "a/b", **changes}]}]}


def subagent(**changes: Any) -> dict[str, Any]:
    line = {"id": "a", "owners": [], "max_impact": "read", "ceiling": []}
    return {"agents": [{**line, "subagents": [{"agent": "b", **changes}]}]}


def constraint(**changes: Any) -> dict[str, Any]:
    return entitlement(constraints=[{"pointer": "/amount", "op": "le", "value": 1, **changes}])


def test_the_example_of_the_contract_is_read() -> None:
    feed = read_feed(CONTRACT)
    assert feed.delegations[0].expires_at.year == 2027
    assert len(wanted_rows(feed)["entitlements"]) == 1


def test_yaml_and_json_say_the_same() -> None:
    feed = read_feed(CONTRACT)
    assert read_feed(msgspec.json.encode(feed)) == feed


def test_the_same_feed_always_wants_the_same_rows() -> None:
    assert wanted_rows(read_feed(CONTRACT)) == wanted_rows(read_feed(CONTRACT))


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ({"poeple": []}, "poeple"),
        ({"people": [{"id": "a", "group": ["b"]}]}, r"`group` - at `\$.people\[0\]`"),
        ({"people": [{"display": "A"}]}, r"people\[0\]"),
        ({"people": [{"id": ""}]}, r"people\[0\].id"),
        ({"people": [{"id": 7}]}, r"people\[0\].id"),
        ({"people": [{"id": True}]}, r"people\[0\].id"),
        ({"people": [{"id": "a\nb"}]}, r"people\[0\].id"),
        ({"people": [{"id": "a\n"}]}, r"people\[0\].id"),
        ({"people": [{"id": "a" * 257}]}, r"people\[0\].id"),
        ({"people": [{"id": "a", "status": "retired"}]}, r"people\[0\].status"),
        ({"people": [{"id": "a", "aliases": [{"issuer": "a b", "subject": "s"}]}]}, r"aliases\[0\].issuer"),
        ({"people": [{"id": "a", "groups": [{"id": "g", "expires_at": "2027-01-01"}]}]}, r"groups\[0\]"),
        ({"people": [{"id": "a", "groups": [{"id": "g", "expires_at": "2027-01-01T00:00:00"}]}]}, r"groups\[0\]"),
        ({"agents": [{"id": "a", "owners": [], "max_impact": "write"}]}, r"ceiling"),
        ({"agents": [{"id": "a", "owners": [], "max_impact": "all", "ceiling": []}]}, r"max_impact"),
        ({"agents": [{"id": "a", "owners": [], "max_impact": "read", "ceiling": ["*"]}]}, r"agents\[0\]"),
        (subagent(scope=["*"]), r"subagents\[0\]"),
        (subagent(agent="a", scope=[]), r"agents\[0\]"),
        (subagent(max_impact="read", scope=[]), r"subagents\[0\]"),
        ({"servers": [{"id": "a/b", "audiences": {}}]}, r"servers\[0\].id"),
        ({"servers": [{"id": "a", "audiences": {"i": "aud"}}]}, r"audiences"),
        (entitlement(tool="payments"), r"entitlements\[0\]"),
        (entitlement(tool="pay*ments/x"), r"entitlements\[0\]"),
        (entitlement(permission=""), r"permission"),
        (entitlement(expires_at="soon"), r"expires_at"),
        (constraint(pointer="amount"), r"pointer"),
        (constraint(pointer=""), r"pointer"),
        (constraint(op="lt"), r"op"),
        (constraint(value="1"), r"constraints\[0\]"),
        (constraint(value=True), r"constraints\[0\]"),
        (constraint(op="in"), r"constraints\[0\]"),
        (constraint(op="eq", value=[1]), r"constraints\[0\]"),
        (constraint(op="prefix"), r"constraints\[0\]"),
        (constraint(op="eq", value=None), r"value"),
        (constraint(op="eq", value={"a": 1}), r"value"),
        ({"signals": [{"id": "s", "entity_kind": "person", "entity": "a", "code": "c", "weight": 1001}]}, "signals"),
    ],
)
def test_what_is_wrong_is_named_by_its_place(document: dict[str, Any], place: str) -> None:
    with pytest.raises(Fault, match=place):
        read_feed(msgspec.json.encode({"source": "s", **document}))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"people: []",
        b"source: s\nsource: t",
        b"source: s\npeople: [{id: a, id: b}]",
        b'{"source": "s", "source": "t"}',
        b'{"source": "s"',
        b"source: s\npeople: [{id: no}]",
        b"source: s\npeople: [{id: 00012}]",
        b"source: !!python/object/apply:os.system ['true']",
        b"source: s\ndelegations: [{person: a, agent: b, scope: [], max_impact: read, expires_at: 2027-01-01}]",
        b"source: s\nroles: [{id: r, entitlements: [{permission: c, tool: a/b, constraints: [%s]}]}]"
        % b"{pointer: /a, op: le, value: .nan}",
        b"source: s\nroles: [{id: r, entitlements: [{permission: c, tool: a/b, expires_at: 0001-01-01T00:00:00Z}]}]",
        b"\xff\xfe",
    ],
)
def test_what_is_not_a_feed_is_a_fault(body: bytes) -> None:
    with pytest.raises(Fault):
        wanted_rows(read_feed(body))
