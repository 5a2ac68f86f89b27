"""Readiness: a known allow and a known deny, asked through the whole path by an internal principal.

The principal, its one right and its two tools are rows like any others, owned by the source `mcp-pdp`; its issuer's
key is made at start and never leaves the process. No adapter key may ask about the probe's server. Records of probes
carry the adapter id `pdp:probe`.
"""

import asyncio
import json
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from .audit.office import Office
from .errors import Unrecorded
from .flow import World, answer
from .identity.feed import read_feed
from .identity.importer import import_feed
from .identity.issuers import Issuer
from .ids import new_id
from .policy.known import PEP, SERVER
from .query import Credential, Query, ToolRef, definition_digest
from .registry.labels import Review
from .registry.review import approve, submit

logger = logging.getLogger(__name__)

ISSUER = "urn:mcp-pdp:probe"
KNOWN_ALLOW = {"name": "known_allow", "inputSchema": {"type": "object", "properties": {}}}
KNOWN_DENY = {"name": "known_deny", "inputSchema": {"type": "object", "properties": {}}}
TOKEN_SECONDS = 60
KEPT_READY_S = 5.0  # pollers share one probe, so that they cannot fill the log: two records in this time
KEPT_NOT_READY_S = 1.0  # shorter, so that a service that recovered is used again soon

IDENTITIES = {
    "source": "mcp-pdp",
    "people": [
        {"id": PEP, "display": "readiness probe", "roles": [PEP], "aliases": [{"issuer": ISSUER, "subject": "probe"}]}
    ],
    "roles": [{"id": PEP, "entitlements": [{"permission": "call", "tool": f"{SERVER}/known_allow"}]}],
    "servers": [{"id": SERVER, "audiences": {ISSUER: [SERVER]}}],
}


@dataclass(frozen=True)
class ProbeKey:
    """The key of the internal issuer, made at start; only its public half is written down."""

    private: Ed25519PrivateKey
    jwks_file: Path

    def issuer(self) -> Issuer:
        """Return the issuer whose tokens only this process can make."""
        return Issuer(
            issuer=ISSUER,
            algorithms=("EdDSA",),
            jwks_file=self.jwks_file,
            max_lifetime_s=TOKEN_SECONDS,
            direct_clients=("pdp",),
        )

    def token(self, now: datetime) -> str:
        """Return a fresh access token of the probe (RFC 9068)."""
        claims = {
            "iss": ISSUER,
            "sub": "probe",
            "aud": SERVER,
            "client_id": "pdp",
            "iat": int(now.timestamp()),
            "exp": int((now + timedelta(seconds=TOKEN_SECONDS)).timestamp()),
            "jti": new_id("prb", now),
        }
        return jwt.encode(claims, self.private, "EdDSA", headers={"typ": "at+jwt", "kid": "probe"})


def new_probe_key(run_dir: Path, worker: int) -> ProbeKey:
    """Make the internal issuer's key; its public key set goes into `run_dir`."""
    private = Ed25519PrivateKey.generate()
    public: dict[str, Any] = json.loads(jwt.algorithms.OKPAlgorithm.to_jwk(private.public_key()))
    path = run_dir / f"probe-{worker}.jwks.json"
    path.write_text(json.dumps({"keys": [{**public, "kid": "probe", "use": "sig", "alg": "EdDSA"}]}))
    return ProbeKey(private, path)


async def seed_probe(office: Office) -> None:
    """Write the probe's principal, right and tools; nothing changes when they are there already."""
    await import_feed(office, read_feed(json.dumps(IDENTITIES).encode()))
    for taken in await submit(office, SERVER, [KNOWN_ALLOW, KNOWN_DENY], PEP):
        if taken.status == "submitted":
            tool = ToolRef(server=SERVER, name=taken.name, definition_digest=taken.digest)
            await approve(office, tool, Review(risk_class="read", owner="mcp-pdp"), PEP)


class Readiness:
    """Answers `problem()`: None when both probes came back right, else what did not; each change is logged."""

    def __init__(self, world: World, key: ProbeKey) -> None:
        self._world = world
        self._key = key
        self._lock = asyncio.Lock()
        self._until = 0.0
        self._problem: str | None = "not probed yet"

    @property
    def passed(self) -> bool:
        """Say whether both probes came back right when they were last asked."""
        return self._problem is None

    async def problem(self) -> str | None:
        """Probe, now and then however many ask."""
        async with self._lock:
            now = asyncio.get_running_loop().time()
            if now >= self._until:
                before, self._problem = self._problem, await self._probe()
                self._until = now + (KEPT_NOT_READY_S if self._problem else KEPT_READY_S)
                if self._problem != before:
                    logger.warning("not ready: %s", self._problem) if self._problem else logger.info("ready")
            return self._problem

    async def _probe(self) -> str | None:
        try:
            allowed = await answer(self._query(KNOWN_ALLOW), PEP, "readyz", self._world)
            denied = await answer(self._query(KNOWN_DENY), PEP, "readyz", self._world)
        except Unrecorded as error:
            return f"the log does not take entries: {error}"
        if allowed.decision != "allow":
            return f"the known allow came back as {allowed.decision} {[reason.code for reason in allowed.reasons]}"
        if [reason.code for reason in denied.reasons] != ["permits.none"]:
            return f"the known deny came back as {denied.decision} {[reason.code for reason in denied.reasons]}"
        return None

    def _query(self, definition: dict[str, Any]) -> Query:
        credential = Credential(access_token=self._key.token(self._world.now()))
        tool = ToolRef(server=SERVER, name=definition["name"], definition_digest=definition_digest(definition))
        return Query(caller=credential, tool=tool)
