"""The floor under every approval policy: who may never agree to a call, whatever the rules say. Pure.

A person, known and active, and nobody who stands behind the call: not the one it is made for, not the agent, nor any
agent in its chain, nor (for an agent that acts by itself) its owners; and once a person.
"""

from typing import NamedTuple

from ..errors import Rejected


class Asked(NamedTuple):
    """Who stands behind the call that people are asked about; `owners` are those of an agent that acts by itself."""

    person: str | None
    agent: str | None
    chain: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()


class Voter(NamedTuple):
    """Who votes, as verified from their own token; `kind` is the store's: person, agent or service."""

    id: str
    kind: str
    through: str | None = None  # the agent that acted for them, if one did


def behind(asked: Asked) -> frozenset[str]:
    """Return everybody who stands behind a call."""
    return frozenset(one for one in (asked.person, asked.agent, *asked.chain, *asked.owners) if one is not None)


def check_voter(voter: Voter, asked: Asked, voted: frozenset[str]) -> Voter:
    """Return the voter who may be asked whether policy finds them eligible. Raises `Rejected` 403 or 409."""
    if voter.kind != "person" or voter.through is not None:
        raise Rejected(
            403, "approvals.not_a_person", "Only a person votes, with their own sign-in and no agent between."
        )
    if voter.id in behind(asked):
        raise Rejected(403, "approvals.own_call", "Nobody agrees to a call that is made by or for themselves.")
    if voter.id in voted:
        raise Rejected(409, "approvals.voted", "You have voted on this request; one vote a person.")
    return voter
