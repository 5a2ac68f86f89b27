"""Who asks in the bench, and what: eight people through two agents, a tool that reads and one that writes.

Every call is the fullest kind: an agent acts for a person, so all five legs are looked at (architecture, section 2).
"""

import json
import secrets
from typing import Any

from pdp.query import definition_digest
from pdp.registry.labels import Review
from tests.idp import AUDIENCE, ISSUER, Idp

LATER = "2099-01-01T00:00:00Z"
SERVER = "payments"
CATALOG = "catalog"  # a second server, with as many tools as one list may name
PEOPLE = [f"person-{number}" for number in range(8)]
AGENTS = ["helpdesk-bot", "billing-bot"]
SIGNED_IN = 600  # seconds ago
ORDERS = 4  # different arguments a person

TEXT = {"type": "string", "maxLength": 200}
READ: dict[str, Any] = {
    "name": "get_order",
    "description": "Look up an order with its items and deliveries.",
    "inputSchema": {
        "type": "object",
        "properties": {"order": TEXT, "include": {"type": "array", "items": TEXT}, "locale": TEXT},
        "required": ["order"],
    },
}
WRITE: dict[str, Any] = {
    "name": "create_refund",
    "description": "Pay an amount back to the customer.",
    "inputSchema": {
        "type": "object",
        "properties": {"order": TEXT, "amount": {"type": "integer"}, "currency": TEXT, "reason": TEXT},
        "required": ["order", "amount", "currency"],
    },
}
REVIEWS = {
    "get_order": Review(risk_class="read", owner="orders", labels=["orders"], required_scopes=["orders"]),
    "create_refund": Review(
        risk_class="write",
        owner="payments",
        labels=["payments"],
        required_scopes=["refunds"],
        argument_labels={"/amount": ["money"]},
    ),
}


def alias(subject: str) -> list[dict[str, str]]:
    """Return the one alias of somebody."""
    return [{"issuer": ISSUER, "subject": subject}]


def right(tool: str, *constraints: dict[str, Any]) -> dict[str, Any]:
    """Return the right to call a tool."""
    return {"permission": "call", "tool": tool, "constraints": list(constraints)}


def agent(identifier: str) -> dict[str, Any]:
    """Return an agent with the usual ceiling."""
    common = {"owners": [PEOPLE[0]], "max_impact": "write", "ceiling": [f"{SERVER}/*", f"{CATALOG}/*", "orders/get_*"]}
    return {"id": identifier, "aliases": alias(f"client-{identifier}"), **common}


def delegation(person: str, to: str) -> dict[str, Any]:
    """Return what a person lets an agent do."""
    common = {"scope": [f"{SERVER}/*", f"{CATALOG}/*", "mail/*"], "max_impact": "write", "expires_at": LATER}
    return {"person": person, "agent": to, **common}


FEED: dict[str, Any] = {
    "source": "bench",
    "people": [{"id": person, "aliases": alias(f"sub-{person}"), "groups": ["support"]} for person in PEOPLE],
    "agents": [agent(identifier) for identifier in AGENTS],
    "groups": [
        {"id": "support", "members_of": ["staff"], "roles": ["refunder", "reader"]},
        {"id": "staff", "entitlements": [right("wiki/get_*"), right("mail/list_*"), right("calendar/*")]},
    ],
    "roles": [
        {"id": "reader", "entitlements": [right(f"{SERVER}/get_*"), right(f"{CATALOG}/*"), right("crm/get_*")]},
        {
            "id": "refunder",
            "entitlements": [
                right(f"{SERVER}/create_refund", {"pointer": "/amount", "op": "le", "value": 10000}),
                right("mail/send"),
            ],
        },
    ],
    "delegations": [delegation(person, to) for person in PEOPLE for to in AGENTS],
    "servers": [
        {"id": server, "audiences": {ISSUER: [AUDIENCE]}, "required_scopes": ["tools:call"]}
        for server in (SERVER, CATALOG)
    ],
}


def plain_tool(name: str) -> dict[str, Any]:
    """Return a definition of the usual size that takes no arguments unless it is given some."""
    properties = {"query": TEXT, "limit": {"type": "integer"}, "locale": TEXT}
    schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return {"name": name, "description": f"Look up what {name} knows about a customer.", "inputSchema": schema}


SCOPES = "openid profile tools:call orders refunds"


def token(idp: Idp, person: str, agent: str, scope: str = SCOPES) -> str:
    """Return a fresh token of a person who acts through an agent."""
    client = f"client-{agent}"
    return idp.token(
        sub=f"sub-{person}",
        client_id=client,
        act={"sub": client},
        sid=f"session-{person}",
        jti=secrets.token_hex(8),
        scope=scope,
        amr=["pwd", "otp"],
        auth_time=int(idp.moment.timestamp()) - SIGNED_IN,
    )


def tokens(idp: Idp) -> list[str]:
    """Return a fresh token of each of the people."""
    return [token(idp, person, AGENTS[number % len(AGENTS)]) for number, person in enumerate(PEOPLE)]


def asked(idp: Idp, definition: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the questions asked in turn: each person with one fresh token, and several arguments."""
    turns = ((at, held, turn) for at, held in enumerate(tokens(idp)) for turn in range(ORDERS))
    return [query(held, definition, f"o-{at}{turn:05d}") for at, held, turn in turns]


def queries(idp: Idp, definition: dict[str, Any]) -> list[bytes]:
    """Return the bodies of these questions."""
    return encoded(asked(idp, definition))


def encoded(questions: list[dict[str, Any]]) -> list[bytes]:
    """Return bodies as an adapter sends them."""
    return [json.dumps(question).encode() for question in questions]


def listing(held: str, tools: list[dict[str, Any]]) -> bytes:
    """Return the body that asks which tools of the catalog may be seen."""
    listed = [{"name": tool["name"], "definition_digest": definition_digest(tool)} for tool in tools]
    return json.dumps({"caller": {"access_token": held}, "server": CATALOG, "tools": listed}).encode()


def bare(held: str, tool: dict[str, Any]) -> bytes:
    """Return the question for one tool of the catalog without arguments or context: what a list asks for each."""
    named = {"server": CATALOG, "name": tool["name"], "definition_digest": definition_digest(tool)}
    return json.dumps({"caller": {"access_token": held}, "tool": named, "arguments": {}}).encode()


def query(held: str, definition: dict[str, Any], order: str) -> dict[str, Any]:
    """Return one decision request as an adapter sends it (contracts, section 1)."""
    details: dict[str, Any] = {"include": ["items", "deliveries", "payments"], "locale": "en-GB"}
    if definition is WRITE:
        details = {"amount": 2500, "currency": "EUR", "reason": "The parcel arrived damaged."}
    return {
        "caller": {"access_token": held},
        "tool": {"server": SERVER, "name": definition["name"], "definition_digest": definition_digest(definition)},
        "arguments": {"order": order, **details},
        "context": {
            "mcp_method": "tools/call",
            "request_id": order,
            "traceparent": f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01",
            "protocol_version": "2026-07-28",
            "intent": {
                "prompt": f"My order {order} arrived damaged. Please look it up and tell me what can be done about it.",
                "turn": "3",
                "model": "assistant-large",
            },
            "client_info": {"name": "helpdesk", "version": "4.2.0"},
        },
    }
