"""Who is at the approvals desk: a person, by a token of their own that was issued for it.

The token is verified as every caller's is, for the server `pdp.approvals`, whose audiences a feed lists like those of
any other; one that an MCP server takes too is no good, because whoever runs that server holds it. No agent may stand
between: somebody's agent must not agree to what it wants to do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import Refused, Rejected
from ..identify import identify
from ..query import Credential, Query, ToolRef
from ..store.identity import find_other_audiences
from ..store.sql import StoreUnavailable
from .floor import Voter

if TYPE_CHECKING:
    from ..flow import World

SERVER = "pdp.approvals"
DESK = ToolRef(server=SERVER, name="vote")


async def voter_of(authorization: str | None, world: World) -> Voter:
    """Return the person behind an Authorization header. Raises `Rejected` 401 with the code that says why, or 503."""
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Rejected(401, "access.unauthenticated", "A person's token is required.", headers=CHALLENGE)
    try:
        caller = await identify(Query(Credential(access_token=token), DESK), world)
        await _must_be_ours_alone(token, world)
    except StoreUnavailable:
        raise Rejected(503, "store.unavailable", "Who you are cannot be looked up now.", headers=CHALLENGE) from None
    except Refused as refusal:
        status = 503 if refusal.code.startswith("facts.") else 401
        raise Rejected(status, refusal.code, refusal.meaning.title, headers=CHALLENGE) from None
    if caller.person is None:
        return Voter(caller.agent or "", "agent")
    return Voter(caller.person, "person", caller.agent)


async def person_of(authorization: str | None, world: World) -> Voter:
    """Return the same for those who may look at requests: an agent is turned away. Raises `Rejected` 401, 403, 503."""
    voter = await voter_of(authorization, world)
    if voter.kind != "person" or voter.through is not None:
        raise Rejected(403, "approvals.not_a_person", "Only a person looks at requests, with their own sign-in.")
    return voter


async def _must_be_ours_alone(text: str, world: World) -> None:
    """Raise `Rejected` 401 for a token that another registered server accepts, by its audiences or by ours."""
    token = (await world.tokens.verify(text, (await world.people.server(SERVER)).audiences)).token
    if not (await find_other_audiences(world.store, SERVER, token.issuer)).isdisjoint(token.audience):
        title = "This token is good for an MCP server too, which could vote with it: sign in for approvals alone."
        raise Rejected(401, "approvals.token_shared", title, headers=CHALLENGE)


CHALLENGE = {"WWW-Authenticate": "Bearer"}
