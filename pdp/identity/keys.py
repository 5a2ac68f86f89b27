"""The keys of issuers: fetched by us, kept while the issuer is away, and not to be exhausted by strangers.

Not `PyJWKClient`: five tokens with made-up key ids stall it for everyone (research identity.md, section 1.6). Here a
set is renewed in the background; an unknown key id causes at most one fetch in `RETRY_S`, failures counted, for which
only the tokens that name unknown keys wait; and while an issuer is away its last set serves for `MAX_AGE_S`.
"""

import asyncio
import json
import logging
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from jwt import PyJWK
from msgspec import Struct

from ..errors import Fault, Refused
from ..net import Fetcher, Unfetchable
from ..recurring import Recurring
from ..times import Clock
from .discovery import FETCH_TIMEOUT_S, MAX_DOCUMENT, endpoint, metadata_of
from .issuers import Issuer
from .jwks import Keys, pick, read_keys

logger = logging.getLogger(__name__)

RENEW_AFTER_S = 150  # half of five minutes, the time a withdrawn key may go on working
STALE_AFTER_S = 600  # older than this is evidence of risk: the issuer was not reached several times
MAX_AGE_S = 24 * 3600  # published: how long an issuer may be away before its tokens are refused
RETRY_S = 30  # between fetches that someone else's token can cause
RETRY_WITHOUT_KEYS_S = 5  # the same while there are no keys at all, such as when both have just started
LOOK_EVERY_S = 5.0  # how often the background looks whether a set is due


class KeySet(Struct, frozen=True):
    """The keys of one issuer. `version` changes when, and only when, the keys do. `fetched_at` is None for a file."""

    version: int
    keys: Keys
    document: str
    fetched_at: datetime | None

    def age_s(self, now: datetime) -> float:
        """Return the seconds since the issuer confirmed these keys; a clock that was set back makes none young."""
        return abs((now - self.fetched_at).total_seconds()) if self.fetched_at else 0.0

    def is_stale(self, now: datetime) -> bool:
        """Say whether the issuer was out of reach for a while."""
        return self.age_s(now) > STALE_AFTER_S


class IssuerKeys:
    """The current key set of one issuer."""

    def __init__(self, issuer: Issuer, now: Clock, fetcher: Fetcher) -> None:
        self._issuer = issuer
        self._fetcher = fetcher
        self._now = now
        self._current = _from_file(issuer.jwks_file, issuer) if issuer.jwks_file else None
        self._jwks_uri = issuer.jwks_uri
        self._tried_at: datetime | None = None
        self._fetching: asyncio.Task[None] | None = None

    async def find(self, kid: str | None) -> tuple[PyJWK, KeySet]:
        """Return the key a token names. Raises `Refused` `identity.key_unknown` or `identity.keys_unavailable`."""
        current = await self.current()
        key = pick(current.keys, kid)
        if key is None and await self._refetched():
            current = await self.current()
            key = pick(current.keys, kid)
        if key is None:
            raise Refused("identity.key_unknown", f"{self._issuer.issuer} publishes no such key")
        return key, current

    async def current(self) -> KeySet:
        """Return the key set, at most `MAX_AGE_S` old. Raises `Refused` `identity.keys_unavailable`."""
        if self._usable() is None:
            await self._refetched()
        usable = self._usable()
        if usable is None:
            raise Refused("identity.keys_unavailable", f"the keys of {self._issuer.issuer} could not be fetched")
        return usable

    def is_stale(self, now: datetime) -> bool:
        """Say whether there are no keys, or none that the issuer has confirmed lately."""
        return self._current is None or self._current.is_stale(now)

    async def renew(self) -> None:
        """Fetch the set again when it is due; failures are logged, and the old set serves on."""
        known = self._current
        due = known is None or (known.fetched_at is not None and known.age_s(self._now()) > RENEW_AFTER_S)
        if due:
            await self._refetched()

    async def close(self) -> None:
        """Stop a fetch that is under way."""
        if self._fetching:
            self._fetching.cancel()
            with suppress(asyncio.CancelledError):
                await self._fetching

    def _usable(self) -> KeySet | None:
        known = self._current
        return known if known is not None and known.age_s(self._now()) <= MAX_AGE_S else None

    async def _refetched(self) -> bool:
        """Fetch, or wait for the fetch under way; say whether there was one. All who wait share it."""
        if self._fetching is None:
            if self._issuer.jwks_file or not self._may_try():
                return False
            self._tried_at = self._now()
            self._fetching = asyncio.create_task(self._fetch())
        await asyncio.shield(self._fetching)
        return True

    def _may_try(self) -> bool:
        if self._tried_at is None:
            return True
        gap = RETRY_S if self._current else RETRY_WITHOUT_KEYS_S
        return abs((self._now() - self._tried_at).total_seconds()) >= gap

    async def _fetch(self) -> None:
        try:
            document = await self._document()
            keys = read_keys(document, self._issuer.algorithms)
        except (Unfetchable, ValueError) as error:
            self._jwks_uri = self._issuer.jwks_uri  # discover anew next time
            logger.warning("the keys of %s were not fetched, the last ones serve on: %s", self._issuer.issuer, error)
        else:
            self._current = _newer(self._current, keys, document, self._now())
        finally:
            self._fetching = None

    async def _document(self) -> Any:
        if self._jwks_uri is None:
            self._jwks_uri = await self._discover()
        return await self._fetcher.json(self._jwks_uri, MAX_DOCUMENT, FETCH_TIMEOUT_S)

    async def _discover(self) -> str:
        return endpoint(await metadata_of(self._issuer, self._fetcher), "jwks_uri", self._issuer)


class KeyRing:
    """The keys of all issuers, renewed in the background."""

    def __init__(self, issuers: Iterable[Issuer], now: Clock) -> None:
        self._fetcher = Fetcher()
        self._issuers = {issuer.issuer: IssuerKeys(issuer, now, self._fetcher) for issuer in issuers}
        self._renewing = [
            Recurring(f"renewing the keys of {name}", keys.renew, LOOK_EVERY_S) for name, keys in self._issuers.items()
        ]

    def of(self, issuer: Issuer) -> IssuerKeys:
        """Return the keys of a configured issuer."""
        return self._issuers[issuer.issuer]

    def stale(self, now: datetime) -> int:
        """Return how many issuers' keys are stale."""
        return sum(keys.is_stale(now) for keys in self._issuers.values())

    async def start(self) -> None:
        """Begin to fetch; does not wait, because an issuer that is away must not keep us from starting."""
        for renewing in self._renewing:
            renewing.start()

    async def renew(self) -> None:
        """Fetch every set that is due."""
        await asyncio.gather(*(keys.renew() for keys in self._issuers.values()))

    async def close(self) -> None:
        """Stop renewing."""
        await asyncio.gather(*(renewing.close() for renewing in self._renewing))
        await asyncio.gather(*(keys.close() for keys in self._issuers.values()))
        await self._fetcher.close()


def _from_file(path: Path, issuer: Issuer) -> KeySet:
    try:
        document = json.loads(path.read_bytes())
        keys = read_keys(document, issuer.algorithms)
    except OSError as error:
        raise Fault(f"Issuer {issuer.issuer}: `jwks_file` {path} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise Fault(f"Issuer {issuer.issuer}: `jwks_file` {path} is not a usable JWK set: {error}.") from None
    return KeySet(version=1, keys=keys, document="", fetched_at=None)


def _newer(known: KeySet | None, keys: Keys, document: Any, now: datetime) -> KeySet:
    text = json.dumps(document, sort_keys=True)
    if known is not None and known.document == text:
        return KeySet(version=known.version, keys=known.keys, document=text, fetched_at=now)
    return KeySet(version=known.version + 1 if known else 1, keys=keys, document=text, fetched_at=now)
