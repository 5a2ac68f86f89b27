"""Who is at the console: the person whose token the session holds, verified again for every page."""

from dataclasses import dataclass
from typing import NamedTuple

from starlette.requests import Request

from ..approvals.desk import VotingDesk
from ..approvals.floor import Voter
from ..approvals.voters import person_of
from ..errors import PdpError, Refused, Rejected
from .cookies import Cookie, Session, SignIn
from .guard import posted
from .oidc import Provider
from .render import Pages
from .site import Site

UNAUTHENTICATED = 401


class SignedOut(PdpError):
    """There is no session, or its token is not good any more."""


class Visitor(NamedTuple):
    """A person who is signed in, under the name people know them by."""

    voter: Voter
    name: str
    session: Session


@dataclass(frozen=True)
class Console:
    """What the pages work with, opened and closed by `app.py`."""

    site: Site
    voting: VotingDesk
    provider: Provider
    session: Cookie[Session]
    sign_in: Cookie[SignIn]
    pages: Pages

    async def visitor(self, request: Request) -> Visitor:
        """Return who is signed in. Raises `SignedOut`, and `Rejected` 403 or 503."""
        session = self.session.read(request, self.voting.world.now)
        if session is None:
            raise SignedOut
        try:
            voter = await person_of(f"Bearer {session.token}", self.voting.world)
        except Rejected as rejected:
            if rejected.status == UNAUTHENTICATED:
                raise SignedOut from None
            raise
        return Visitor(voter, await self.name(voter.id), session)

    async def sender(self, request: Request) -> tuple[Visitor, dict[str, str]]:
        """Return who sent a form, and its fields. Raises `SignedOut`, and `Rejected`."""
        visitor = await self.visitor(request)
        return visitor, await posted(request, visitor.session, self.site)

    async def name(self, identifier: str) -> str:
        """Return how people call somebody; their id when nobody said."""
        try:
            found = await self.voting.world.people.get(identifier)
        except Refused:  # the store is away; an id is a name too
            return identifier
        return (found.registered.display if found else "") or identifier
