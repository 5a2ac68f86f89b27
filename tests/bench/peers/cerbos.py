"""Cerbos (npm `cerbos`): a policy decision point in Go, asked over HTTP. Its policy is the same rule in its language.

Measured twice: as it is installed, and with what it has of our work switched on: it verifies the token's signature
against a local key set and takes the scopes from it, and it writes decisions to a file (buffered, not synced).
"""

import json
from pathlib import Path
from typing import Any

from .. import people
from .questions import DIGEST, LIMIT, Question, arguments, facts

PATH = "/api/check/resources"
KEY_SET = "idp"
OURS = f"{people.SERVER}/*"


def policy(version: str) -> dict[str, Any]:
    """Return the resource policy; version `token` believes scopes and subject only as far as the token says so."""
    scopes = 'request.auxData.jwt.scope.split(" ")' if version == "token" else "P.attr.scopes"
    holds = [
        f'R.attr.server == "{people.SERVER}" && R.attr.name == "{people.WRITE["name"]}"',
        f'R.attr.definition_digest == "{DIGEST}"',
        f"R.attr.arguments.amount <= {LIMIT}",
        "P.attr.agent in P.attr.delegated_to",
        f'"{OURS}" in P.attr.delegated_scope',
        f'"{OURS}" in P.attr.agent_ceiling',
        f'"refunds" in {scopes} && "tools:call" in {scopes}',
    ]
    if version == "token":
        holds += [
            'request.auxData.jwt.sub == "sub-" + P.id && request.auxData.jwt.client_id == "client-" + P.attr.agent'
        ]
    condition = {"match": {"all": {"of": [{"expr": one} for one in holds]}}}
    rule = {"actions": ["call"], "effect": "EFFECT_ALLOW", "roles": ["refunder"], "condition": condition}
    described = {"resource": "tool", "version": version, "rules": [rule]}
    return {"apiVersion": "api.cerbos.dev/v1", "resourcePolicy": described}


def configure(folder: Path, port: int, grpc_port: int, jwks: Path) -> Path:
    """Write policies and configuration into a folder; returns the configuration's path. Nothing leaves this machine."""
    policies = folder / "policies"
    policies.mkdir(parents=True)
    for version in ("default", "token"):
        (policies / f"tool_{version}.json").write_text(json.dumps(policy(version)))
    log = {"backend": "file", "enabled": True, "accessLogsEnabled": False, "decisionLogsEnabled": True}
    settings: dict[str, Any] = {
        "server": {"httpListenAddr": f"127.0.0.1:{port}", "grpcListenAddr": f"127.0.0.1:{grpc_port}"},
        "storage": {"driver": "disk", "disk": {"directory": str(policies), "watchForChanges": False}},
        "telemetry": {"disabled": True},
        "auxData": {"jwt": {"keySets": [{"id": KEY_SET, "local": {"file": str(jwks)}}]}},
    }
    if folder.name.endswith("_log"):
        settings["audit"] = log | {"file": {"path": str(folder / "decisions.log")}}
    file = folder / "cerbos.yaml"
    file.write_text(json.dumps(settings))  # JSON is YAML
    return file


def body(question: Question, token: str | None) -> bytes:
    """Return the body of a check; with a token, of the policy that verifies it."""
    known = facts(question)
    version = "token" if token else "default"
    attributes = {
        "agent": question.agent,
        "delegated_to": known.delegated_to,
        "delegated_scope": known.delegated_scope,
        "agent_ceiling": known.agent_ceiling,
        "scopes": question.scope.split(),
    }
    # Cerbos wants a role of everybody: a stranger has one that gives nothing.
    roles = known.roles or ["stranger"]
    principal = {"id": question.person, "policyVersion": version, "roles": roles, "attr": attributes}
    tool = {"server": people.SERVER, "name": question.tool, "definition_digest": question.digest}
    resource = {"kind": "tool", "id": question.tool, "policyVersion": version}
    resource["attr"] = tool | {"arguments": arguments(question)}  # type: ignore[assignment]
    asked: dict[str, Any] = {"principal": principal, "resources": [{"actions": ["call"], "resource": resource}]}
    if token:
        asked["auxData"] = {"jwt": {"token": token, "keySetId": KEY_SET}}
    return json.dumps(asked).encode()
