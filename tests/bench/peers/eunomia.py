"""Eunomia (PyPI `eunomia-ai`): authorization for agents in Python, asked over HTTP. Rules on attributes, allow or deny.

Measured twice: as it is installed, with its registry of entities in SQLite looked up at each check; and without
registry, told everything by whoever asks. Its conditions compare an attribute with a constant, never two attributes, so
there is one rule for each agent, and lists are handed over as text. Operators read `value OPERATOR attribute`.
"""

import json
from typing import Any

from .. import people
from .questions import DIGEST, LIMIT, Question, arguments, facts

PATH = "/check"
POLICIES = "/admin/policies"
ENTITIES = "/admin/fetchers/registry/entities"


def policy() -> dict[str, Any]:
    """Return the policy: a rule for each agent, and a deny for everything else."""
    return {"name": "tools", "rules": [_rule(agent) for agent in people.AGENTS], "default_effect": "deny"}


def entities() -> list[dict[str, Any]]:
    """Return what the registry knows: the people, with roles and delegations."""
    return [
        {"uri": f"person:{person}", "type": "principal", "attributes": _known(Question(person=person))}
        for person in people.PEOPLE
    ]


def body(question: Question, *, registered: bool) -> bytes:
    """Return the body of a check; of registered people the registry knows roles and delegations."""
    said = {"agent": question.agent, "scopes": f" {question.scope} ", "ceiling": _text(facts(question).agent_ceiling)}
    principal: dict[str, Any] = {"type": "principal", "attributes": said}
    if registered:
        principal["uri"] = f"person:{question.person}"
    else:
        principal["attributes"] = said | _known(question)
    tool = {"server": people.SERVER, "name": question.tool, "digest": question.digest}
    resource = {"type": "resource", "attributes": tool | {"arguments": arguments(question)}}
    return json.dumps({"principal": principal, "resource": resource, "action": "call"}).encode()


def _rule(agent: str) -> dict[str, Any]:
    ours = f" {people.SERVER}/* "
    principal = [
        _condition("agent", "equals", agent),
        _condition("roles", "contains", " refunder "),
        _condition("delegated_to", "contains", f" {agent} "),
        _condition("delegated_scope", "contains", ours),
        _condition("ceiling", "contains", ours),
        _condition("scopes", "contains", " refunds "),
        _condition("scopes", "contains", " tools:call "),
    ]
    resource = [
        _condition("server", "equals", people.SERVER),
        _condition("name", "equals", people.WRITE["name"]),
        _condition("digest", "equals", DIGEST),
        _condition("arguments.amount", "gte", LIMIT),  # the limit is at least the amount
    ]
    conditions = {"principal_conditions": principal, "resource_conditions": resource}
    return {"name": f"refunds-{agent}", "effect": "allow", "actions": ["call"], **conditions}


def _condition(path: str, operator: str, value: str | int) -> dict[str, Any]:
    return {"path": f"attributes.{path}", "operator": operator, "value": value}


def _known(question: Question) -> dict[str, str]:
    known = facts(question)
    lists = {"roles": known.roles, "delegated_to": known.delegated_to, "delegated_scope": known.delegated_scope}
    return {name: _text(values) for name, values in lists.items()}


def _text(values: list[str]) -> str:
    return f" {' '.join(values)} "
