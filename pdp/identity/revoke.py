"""Kill switches: stop a session, a person, an agent, a client or a delegation, everywhere, until it is reinstated.

Each is on record as `identity.revoked` inside the transaction that makes it. Every replica learns of it from the
change log within its poll interval (`store/follow.py`), so a call is denied half a second later, at most two.
"""

from typing import get_args

from msgspec import Struct

from ..audit.office import Office
from ..errors import Fault
from ..store.revocations import (
    Kind,
    Name,
    add_revocation,
    delegations_to,
    names_of_principal,
    registered,
    remove_revocation,
    revoked_because,
)
from ..store.sql import StoreConnection, changing

KINDS: tuple[Kind, ...] = get_args(Kind)
OF_AN_ISSUER = frozenset({"client", "session"})  # known only by the name their issuer gives them
MAX_REASON = 512


class NotRegistered(Fault):
    """There is nothing of that kind and id."""


class Target(Struct, frozen=True):
    """What to stop. `issuer`: of a client or session, and of nothing else."""

    kind: Kind
    id: str
    issuer: str = ""

    @property
    def name(self) -> Name:
        """Return the key it is stored under."""
        return self.kind, self.issuer, self.id


class Revoked(Struct, frozen=True):
    """What was stopped now; empty when all of it was stopped before."""

    revoked: list[Target]


class Reinstated(Struct, frozen=True):
    """What may act again; empty when it was not revoked."""

    reinstated: list[Target]


async def revoke(office: Office, target: Target, by: str, reason: str, *, everything: bool = False) -> Revoked:
    """Stop `target`; with `everything`, of an agent, all that was delegated to it too. Doing it again is harmless.

    Raises `NotRegistered`, `Fault` for a target that cannot be one, `Unrecorded` and `StoreUnavailable`.
    """
    must_be_a_target(target, everything=everything)
    done: list[Target] = []
    async with changing(office.store) as connection:  # what an import under way brings is stopped too
        if target.kind not in OF_AN_ISSUER and not await registered(connection, target.kind, target.id):
            raise NotRegistered(f"No {target.kind} is registered as {target.id}: see `pdp identity show`.")
        for one, why in await _meant(connection, target, reason, everything=everything):
            if await add_revocation(connection, one.name, by, why, office.now()):
                done.append(one)
                await office.put_on_record("identity.revoked", _told(one, by, why))
    return Revoked(done)


async def _meant(
    connection: StoreConnection, target: Target, reason: str, *, everything: bool
) -> list[tuple[Target, str]]:
    """Return all that goes with a target: its names too, so that nobody comes back under another id."""
    ids = await delegations_to(connection, target.id) if everything else []
    names = await names_of_principal(connection, target.id) if target.kind in {"person", "agent"} else []
    return [
        (target, reason),
        *((Target("client", name, issuer), _with(target)) for issuer, name in names),
        *((Target("delegation", identifier), reason) for identifier in ids),
    ]


async def reinstate(office: Office, target: Target, by: str, reason: str) -> Reinstated:
    """Let `target` act again, as far as its feed says it may. Raises `Fault`, `Unrecorded`, `StoreUnavailable`."""
    must_be_a_target(target)
    async with changing(office.store) as connection:
        names = await revoked_because(connection, _with(target))
        done = []
        for one in [target, *(Target("client", name, issuer) for issuer, name in names)]:
            if await remove_revocation(connection, one.name, office.now()):
                done.append(one)
                await office.put_on_record("identity.changed", {**_told(one, by, reason), "change": "reinstated"})
    return Reinstated(done)


def must_be_a_target(target: Target, *, everything: bool = False) -> None:
    """Raise `Fault` for a kind, an issuer or an `everything` that do not go together."""
    if target.kind not in KINDS:
        raise Fault(f"{target.kind} cannot be revoked: name one of {', '.join(KINDS)}.")
    if not target.id:
        raise Fault("The id is empty: tokens without a session would all count as that one.")
    if (target.kind in OF_AN_ISSUER) != bool(target.issuer):
        raise Fault("A client or session, and nothing else, is named together with its issuer.")
    if everything and target.kind != "agent":
        raise Fault("Only an agent has delegations to revoke with it.")


def _with(target: Target) -> str:
    return f"with {target.kind} {target.id}"


def _told(target: Target, by: str, reason: str) -> dict[str, str]:
    told = {"kind": target.kind, "id": target.id, "by": by, "reason": reason[:MAX_REASON]}
    return {**told, "issuer": target.issuer} if target.issuer else told
