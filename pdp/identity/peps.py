"""The adapters that may ask: their keys, and one snapshot in memory that follows the store.

A key reads `pdp_<id>_<secret>`; the store holds only SHA-256 of the secret, which has 256 random bits, so a slow
hash would protect nothing (research identity.md, section 6). It names one adapter, its servers and scopes, and expires.
"""

import base64
import hashlib
import logging
import secrets
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Literal

import msgspec
from msgspec import Struct

from ..errors import Rejected
from ..identify import Asker
from ..ids import new_id
from ..store.changes import latest
from ..store.follow import Follower
from ..store.keys import Row, all_keys
from ..store.sql import Store, reading
from ..times import Clock

logger = logging.getLogger(__name__)

INTERNAL = frozenset({"pdp.probe", "pdp.approvals"})  # servers that only the PDP itself asks about
Right = Literal["decide", "signals", "identity", "registry", "policy", "audit", "approvals"]
RIGHTS: tuple[Right, ...] = ("decide", "signals", "identity", "registry", "policy", "audit", "approvals")
FLAGS = ("unsafe_assert_identity", "bound_tokens_only")  # stored as 0 and 1
SECRET_BYTES = 32
STALE_AFTER_S = 60.0  # longer than for facts: until then an outage is a recorded deny; then a key may be long revoked


class Pep(Struct, frozen=True):
    """An adapter in good standing. `servers` may hold `*`, which stands for every server."""

    id: str
    secret_digest: str
    servers: frozenset[str]
    scopes: frozenset[str]
    expires_at: str
    unsafe_assert_identity: bool = False
    bound_tokens_only: bool = False

    @property
    def asker(self) -> Asker:
        """Return what this key lets its adapter do, and demands."""
        return Asker(self.id if self.unsafe_assert_identity else None, self.bound_tokens_only)

    def must(self, right: Right) -> None:
        """Raise `Rejected` 403 without the scope `right`."""
        if right not in self.scopes:
            raise Rejected(403, "access.scope", f"The key lacks the scope `{right}`.")

    def serves(self, server: str) -> bool:
        """Say whether the key lists `server`."""
        return server not in INTERNAL and (server in self.servers or "*" in self.servers)

    def must_serve(self, server: str) -> None:
        """Raise `Rejected` 403 unless the key lists `server`: for one that the caller named, not for what we found."""
        if not self.serves(server):
            raise Rejected(403, "access.server", "The key does not list this server.")


def new_key(now: datetime) -> tuple[str, str, str]:
    """Return the id, the key to hand over once, and the digest to keep."""
    identifier = new_id("pep", now)
    secret = base64.urlsafe_b64encode(secrets.token_bytes(SECRET_BYTES)).rstrip(b"=").decode()
    return identifier, f"pdp_{identifier.removeprefix('pep_')}_{secret}", secret_digest(secret)


def secret_digest(secret: str) -> str:
    """Return the digest under which a key's secret is stored."""
    return hashlib.sha256(secret.encode()).hexdigest()


class Peps:
    """Keys by id. While the store is away the last snapshot stands for a while, and then admits nobody."""

    def __init__(self, store: Store, now: Clock) -> None:
        self._store = store
        self.follower = Follower("the list of adapter keys", ("keys",), self._read, now, STALE_AFTER_S)
        self._revision = -1
        self._peps: Mapping[str, Pep] = MappingProxyType({})

    def __call__(self) -> Mapping[str, Pep]:
        """Return the current snapshot. Raises `Rejected` 503 when it could not be followed for too long."""
        if self.follower.stale():  # one of the keys may have been revoked meanwhile
            raise Rejected(503, "access.stale", "Keys cannot be checked now.", headers={"Retry-After": "1"})
        return self._peps

    def age_s(self) -> float:
        """Return the seconds since the store was last followed."""
        return self.follower.age_s()

    async def poll(self) -> None:
        """Read the keys again if any changed. Raises `StoreUnavailable`."""
        await self.follower.poll()

    async def _read(self) -> None:
        async with reading(self._store) as connection:
            revision = await latest(connection, "keys")
            if revision == self._revision:
                return
            rows = await all_keys(connection)
        peps = {pep.id: pep for pep in map(_pep, rows) if pep}
        for identifier in sorted(peps.keys() - self._peps.keys()):  # at the start, and when one is made
            if peps[identifier].unsafe_assert_identity:
                logger.warning(
                    "the adapter key %s may vouch for callers without their tokens (unsafe_assert_identity): "
                    "whoever holds it can be anybody on its servers",
                    identifier,
                )
        self._peps = MappingProxyType(peps)
        self._revision = revision


def _pep(row: Row) -> Pep | None:
    """Read a row; one that is revoked or cannot be read is no key."""
    if row["revoked_at"] is not None:
        return None
    try:
        return msgspec.convert({**row, **{name: bool(row[name]) for name in FLAGS}}, Pep)
    except msgspec.ValidationError as error:
        logger.error("the adapter key %s cannot be read and admits nobody: %s", row["id"], error)  # noqa: TRY400
        return None
