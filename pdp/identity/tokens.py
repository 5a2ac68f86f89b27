"""Verify access tokens: numbered strict checks around PyJWT, each with its own refusal (architecture, section 5).

     1. size                        6. one key for it, fit for signatures, bound to that algorithm
     2. canonical encoding          7. signature
     3. header                      8. claims: who, when, for how long, by whom
     4. issuer, by exact name       9. times and audience, again at every use
     5. type and algorithm         10. sender constraint, again at every use (`possession.py`, P1 to P8 in `dpop.py`)

PyJWT does step 7 and nothing else: alone it accepted 45 of 195 hostile tokens (research identity.md, section 1.7).
Step 6 refuses at load (`jwks.py`); revocation is asked for in `identify.py`, at every use.
"""

import hashlib
import logging
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from ..errors import Refused
from ..times import Clock
from .claims import VerifiedToken, check_audience, check_times, read_claims
from .issuers import Issuer, checked_issuers, plain_type
from .jose import Frame, must_fit, read_frame, read_object
from .keys import KeyRing, KeySet
from .possession import Possession, Shown
from .signature import check_signature

NOTHING_SHOWN = Shown()
REMEMBERED = 10_000  # verified tokens a process; a few kilobytes each

logger = logging.getLogger(__name__)


class Proof(Struct, frozen=True):
    """A token that was verified as its issuer's; `keys_stale` when that was out of reach for a while."""

    token: VerifiedToken
    issuer: Issuer
    keys_stale: bool


class _Remembered(Struct, frozen=True):
    token: VerifiedToken
    version: int


class TokenVerifier:
    """Verifies the access tokens of the configured issuers; remembers those it has verified."""

    def __init__(self, issuers: Iterable[Issuer], now: Clock) -> None:
        self._issuers = checked_issuers(issuers)
        self._now = now
        self._keys = KeyRing(self._issuers.values(), now)
        self._possession = Possession()
        self._remembered: OrderedDict[bytes, _Remembered] = OrderedDict()
        self.hits = self.misses = 0

    async def start(self) -> None:
        """Begin to fetch the issuers' keys; warn of what weakens them."""
        for issuer in self._issuers.values():
            if issuer.unsafe_any_client:
                logger.warning("unsafe_any_client: at %s an agent nobody registered acts as its person", issuer.issuer)
        await self._keys.start()

    async def close(self) -> None:
        """Stop fetching."""
        await self._keys.close()

    async def verify(self, text: str, audiences: Mapping[str, Sequence[str]], shown: Shown = NOTHING_SHOWN) -> Proof:
        """Return what a token proves on a server that accepts `audiences` by issuer, with what was `shown` beside it.

        Raises `Refused` `identity.*`.
        """
        must_fit(text)  # 1.
        name = hashlib.sha256(text.encode("ascii")).digest()
        recalled = await self._recall(name)
        self.hits, self.misses = self.hits + bool(recalled), self.misses + (not recalled)
        token, keys = recalled or await self._verify(text)
        now = self._now()
        issuer = self._issuers[token.issuer]
        check_times(token, issuer, now)  # 9.
        check_audience(token, audiences.get(token.issuer, ()))
        self._possession.check(text, token, issuer, shown, now)  # 10.
        self._remember(name, token, keys)
        return Proof(token=token, issuer=issuer, keys_stale=keys.is_stale(now))

    def stale_issuers(self) -> int:
        """Return how many issuers' keys could not be had, or renewed, for a while."""
        return self._keys.stale(self._now())

    async def signed(self, text: str, issuer: str) -> dict[str, Any]:
        """Return the claims of a token of another kind that `issuer` signed: steps 1 to 3, 6 and 7, and no more.

        What it claims is for the caller to check. Raises `Refused` `identity.*`.
        """
        must_fit(text)
        frame, known = read_frame(text), self._issuers[issuer]
        if frame.algorithm not in known.algorithms:
            raise Refused("identity.algorithm", f"the issuer's algorithms are {list(known.algorithms)}")
        key, _ = await self._keys.of(known).find(frame.kid)
        check_signature(frame, key)
        return read_object(frame.payload, "payload")

    async def _verify(self, text: str) -> tuple[VerifiedToken, KeySet]:
        frame = read_frame(text)  # 2. and 3.
        claims = read_object(frame.payload, "payload")
        issuer = self._issuer(claims)  # 4.
        _check_profile(frame, issuer)  # 5.
        key, keys = await self._keys.of(issuer).find(frame.kid)  # 6.
        check_signature(frame, key)  # 7.
        return read_claims(claims, frame.kind, issuer), keys  # 8.

    def _issuer(self, claims: dict[str, Any]) -> Issuer:
        named = claims.get("iss")
        issuer = self._issuers.get(named) if isinstance(named, str) else None
        if issuer is None:  # an unknown issuer is never looked up: the token would choose what we fetch
            raise Refused("identity.issuer_unknown")
        return issuer

    async def _recall(self, name: bytes) -> tuple[VerifiedToken, KeySet] | None:
        known = self._remembered.get(name)
        if known is None:
            return None
        keys = await self._keys.of(self._issuers[known.token.issuer]).current()
        return (known.token, keys) if known.version == keys.version else None

    def _remember(self, name: bytes, token: VerifiedToken, keys: KeySet) -> None:
        self._remembered[name] = _Remembered(token=token, version=keys.version)
        self._remembered.move_to_end(name)
        if len(self._remembered) > REMEMBERED:
            self._remembered.popitem(last=False)


def _check_profile(frame: Frame, issuer: Issuer) -> None:
    if plain_type(frame.kind) not in {plain_type(kind) for kind in issuer.token_types}:
        raise Refused("identity.token_type", f"the issuer's access tokens are {list(issuer.token_types)}")
    if frame.algorithm not in issuer.algorithms:
        raise Refused("identity.algorithm", f"the issuer's algorithms are {list(issuer.algorithms)}")
