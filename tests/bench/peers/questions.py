"""The question that every decision point is asked, and six that must be denied: each lacks one thing.

What ours finds out itself (who the token speaks for, roles, delegation, ceiling, scopes, the approved definition) a
peer is told by whoever asks it. `Facts` are what such an adapter would have to look up.
"""

from typing import Any, NamedTuple

from pdp.query import definition_digest

from .. import people

AMOUNT, LIMIT = 2500, 10_000
DIGEST = definition_digest(people.WRITE)


class Question(NamedTuple):
    """May this person, through this agent, pay back so much? `lacks`: why not; empty when it must be allowed."""

    person: str = people.PEOPLE[0]
    agent: str = people.AGENTS[0]
    scope: str = people.SCOPES
    tool: str = people.WRITE["name"]
    digest: str = DIGEST
    amount: int = AMOUNT
    order: str = "o-1"
    lacks: str = ""


class Facts(NamedTuple):
    """What is known of a person, and of an agent they may have let act for them."""

    roles: list[str]
    delegated_to: list[str]
    delegated_scope: list[str]
    agent_ceiling: list[str]


DENIES = [
    Question(person="nobody", lacks="a person who is known"),
    Question(agent="stray-bot", lacks="a delegation to the agent"),
    Question(scope="openid tools:call orders", lacks="a scope of the token"),
    Question(tool="delete_customer", lacks="a right to the tool"),
    Question(digest="sha256:" + "0" * 64, lacks="an approved definition"),
    Question(amount=2 * LIMIT, lacks="an amount within the limit"),
]


def allowed() -> list[Question]:
    """Return the questions of the load: each person through one agent, and several orders."""
    turns = [(at, turn) for at in range(len(people.PEOPLE)) for turn in range(people.ORDERS)]
    return [Question(people.PEOPLE[at], people.AGENTS[at % 2], order=f"o-{at}{turn:05d}") for at, turn in turns]


def facts(question: Question) -> Facts:
    """Return what is known; nothing, of whom nobody knows."""
    known = question.person in people.PEOPLE
    scope = [f"{people.SERVER}/*", "mail/*"]
    ceiling = [f"{people.SERVER}/*", "orders/get_*"] if question.agent in people.AGENTS else []
    return Facts(["refunder", "reader"], people.AGENTS, scope, ceiling) if known else Facts([], [], [], ceiling)


def arguments(question: Question) -> dict[str, Any]:
    """Return the arguments of the call."""
    reason = "The parcel arrived damaged."
    return {"order": question.order, "amount": question.amount, "currency": "EUR", "reason": reason}
