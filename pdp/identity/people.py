"""People: what the store knows about everyone, close at hand. No database when a decision finds its caller here.

The cache follows the change log of the store and forgets what changed. When it could not (`store/follow.py`), nothing
in it may be relied on: every question is refused with `facts.stale`, and one that has to go to the store, with
`facts.unavailable`.
"""

from collections import OrderedDict
from collections.abc import Iterable
from typing import TypeVar

from ..errors import Refused
from ..store import identity as stored
from ..store.changes import MANY, Change, latest, since
from ..store.follow import Follower
from ..store.identity import Server, SessionRecord, Unreadable
from ..store.revocations import client_revoked
from ..store.sql import Store, StoreUnavailable, reading
from ..times import Clock
from .rights import Principal
from .shelf import Shelf

PRINCIPALS = 10_000  # cached a process, with all their rights: about 100 MB when each holds fifty
ALIASES = 50_000  # cached a process, unknown ones too, so that a stranger costs one query
SESSIONS = 50_000  # cached a process
CLIENTS = 50_000  # cached a process, those that nobody revoked too
SERVERS = 1_000  # cached a process
USES = 100_000  # (person, agent, tool) triples remembered as used before

K = TypeVar("K")
V = TypeVar("V")
Named = tuple[str, str]  # issuer, and what it calls someone or something


class People:
    """Principals, aliases, sessions and servers by name, each as of `revision` or later."""

    def __init__(self, store: Store, now: Clock) -> None:
        self._store = store
        self.follower = Follower("the change log of identities", ("identity",), self._read, now)
        self._principals = Shelf[str, Principal | None](PRINCIPALS, lambda key: stored.find_principal(store, key))
        self._aliases = Shelf[Named, str | None](ALIASES, lambda key: stored.find_alias(store, *key))
        self._sessions = Shelf[Named, SessionRecord](SESSIONS, lambda key: stored.find_session(store, *key))
        self._clients = Shelf[Named, bool](CLIENTS, lambda key: client_revoked(store, *key))
        self._servers = Shelf[str, Server](SERVERS, lambda key: stored.find_server(store, key))
        self._used: OrderedDict[tuple[str | None, str | None, str, str], None] = OrderedDict()
        self.revision = 0

    def stale(self) -> str | None:
        """Say why nothing here may be relied on; None while it may."""
        return self.follower.stale()

    def age_s(self) -> float:
        """Return the seconds since the store was last followed."""
        return self.follower.age_s()

    async def get(self, principal: str) -> Principal | None:
        """Return a principal by id, None when there is none. Raises `Refused` with a `facts.*` code."""
        return await self._ask(self._principals, principal)

    async def named(self, issuer: str, subject: str) -> Principal | None:
        """Return the principal that `issuer` calls `subject`, None when there is none. Raises `Refused`."""
        principal = await self._ask(self._aliases, (issuer, subject))
        return await self.get(principal) if principal is not None else None

    async def session(self, issuer: str, identifier: str) -> SessionRecord:
        """Return what is known about a sign-in. Raises `Refused`."""
        return await self._ask(self._sessions, (issuer, identifier))

    async def clients_must_live(self, issuer: str, names: Iterable[str]) -> None:
        """Raise `Refused` `identity.client_revoked` when an operator revoked one of these clients of `issuer`."""
        for name in names:
            if await self._ask(self._clients, (issuer, name)):
                raise Refused("identity.client_revoked", name)

    async def server(self, identifier: str) -> Server:
        """Return the audiences and scopes of a server; an unknown one accepts no audience. Raises `Refused`."""
        return await self._ask(self._servers, identifier)

    def used_before(self, person: str | None, agent: str | None, server: str, tool: str) -> bool:
        """Say whether this tool was allowed before for exactly this person and agent, as far as we remember."""
        return (person, agent, server, tool) in self._used

    def remember_use(self, person: str | None, agent: str | None, server: str, tool: str) -> None:
        """Remember an allowed use; the flow says so after each allow."""
        use = (person, agent, server, tool)
        self._used[use] = None
        self._used.move_to_end(use)
        if len(self._used) > USES:
            self._used.popitem(last=False)

    async def poll(self) -> None:
        """Forget what changed since the last poll. Raises `StoreUnavailable`."""
        await self.follower.poll()

    async def _read(self) -> None:
        async with reading(self._store) as connection:
            newest = await latest(connection, "identity")
            changes = await since(connection, "identity", self.revision) if newest > self.revision else []
        if newest < self.revision or len(changes) >= MANY:  # a restored backup, or more than we have read
            self._forget_all()
        else:
            self._forget(changes)
        self.revision = newest

    async def _ask(self, shelf: Shelf[K, V], key: K) -> V:
        if why := self.follower.stale():
            raise Refused("facts.stale", why)
        try:
            return shelf.kept(key)
        except KeyError:
            return await self._load(shelf, key)

    async def _load(self, shelf: Shelf[K, V], key: K) -> V:
        try:
            return await shelf.get(key)
        except (StoreUnavailable, Unreadable) as error:
            raise Refused("facts.unavailable", str(error)) from error

    def _forget(self, changes: Iterable[Change]) -> None:
        touched: dict[str, set[str]] = {}
        for change in changes:
            touched.setdefault(change.kind, set()).add(change.key)
        if not touched:
            return
        if touched.keys() - {"principal", "group", "role", "alias", "session", "client", "server"}:
            self._forget_all()  # a kind that a newer release writes: unknown is everything
            return
        rights = frozenset(f"{kind}:{key}" for kind in ("group", "role") for key in touched.get(kind, ()))
        self._principals.drop(touched.get("principal", ()))
        if rights:
            self._principals.drop_where(lambda kept: kept is not None and not rights.isdisjoint(kept.depends))
        self._aliases.drop(_names(touched.get("alias", ())))
        self._sessions.drop(_names(touched.get("session", ())))
        self._clients.drop(_names(touched.get("client", ())))
        self._servers.drop(touched.get("server", ()))

    def _forget_all(self) -> None:
        self._principals.clear()
        self._aliases.clear()
        self._sessions.clear()
        self._clients.clear()
        self._servers.clear()


def _names(keys: Iterable[str]) -> list[Named]:
    """Take `<issuer> <name>` apart; an issuer holds no space."""
    return [(issuer, name) for issuer, _, name in (key.partition(" ") for key in keys)]
