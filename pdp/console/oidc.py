"""Sign people in: OpenID Connect, authorization code with PKCE, state and nonce (OpenID Connect Core 1.0; RFC 9700).

What we want is an access token for the desk, which is verified like every caller's. The ID token only proves that
the answer belongs to the sign-in that this browser began.
"""

import base64
import hashlib
import hmac
import logging
import secrets
from typing import Any
from urllib.parse import urlencode

from ..errors import Refused, Rejected
from ..identity.discovery import endpoint, metadata_of
from ..identity.tokens import TokenVerifier
from ..net import Fetcher, Unfetchable
from ..times import Clock
from .cookies import SignIn
from .site import ROOT, Client, Site

ANSWERS_WITHIN_S = 10.0  # the token endpoint; a person waits
MAX_ANSWER = 64 * 1024  # bytes: three tokens
LEEWAY_S = 30

logger = logging.getLogger(__name__)
AWAY = Rejected(502, "console.issuer_away", "The sign-in service did not answer as it should. Try again in a minute.")
STRANGE = Rejected(400, "console.sign_in", "That sign-in did not begin here, or took too long. Begin again.")


class Provider:
    """The issuer where people sign in, seen from the console."""

    def __init__(self, site: Site, tokens: TokenVerifier, now: Clock) -> None:
        self._client: Client = site.client
        self._back = f"{site.origin}{ROOT}/login/done"
        self._tokens = tokens
        self._now = now
        self._fetcher = Fetcher()
        self._metadata: dict[str, Any] | None = None

    async def close(self) -> None:
        """Let go of the connections."""
        await self._fetcher.close()

    async def begin(self, to: str) -> tuple[SignIn, str]:
        """Return a new sign-in that leads to the page `to`, and the URL where it goes on. Raises `Rejected` 502."""
        begun = SignIn(secrets.token_urlsafe(32), secrets.token_urlsafe(32), secrets.token_urlsafe(32), to)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(begun.verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "response_type": "code",
            "client_id": self._client.id,
            "redirect_uri": self._back,
            "scope": self._client.scope,
            "state": begun.state,
            "nonce": begun.nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            **self._wanted(),
        }
        there = await self._endpoint("authorization_endpoint")
        return begun, f"{there}{'&' if '?' in there else '?'}{urlencode(query)}"

    async def finish(self, begun: SignIn, answer: dict[str, str]) -> str:
        """Return the access token of whoever signed in. Raises `Rejected` 400 or 502."""
        issuer = answer.get("iss", self._client.issuer.issuer)  # RFC 9207: another issuer's answer is not ours
        if not hmac.compare_digest(answer.get("state", "").encode(), begun.state.encode()):
            raise STRANGE.fresh()
        if issuer != self._client.issuer.issuer or "code" not in answer:
            raise Rejected(400, "console.sign_in", "The sign-in was not completed. Begin again.")
        told = await self._redeem(answer["code"], begun.verifier)
        await self._check(told.get("id_token"), begun.nonce)
        token = told.get("access_token")
        if not isinstance(token, str) or str(told.get("token_type", "")).lower() != "bearer":
            logger.warning("the console's issuer gave no bearer token")
            raise AWAY.fresh()
        return token

    async def _redeem(self, code: str, verifier: str) -> dict[str, Any]:
        fields = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._back,
            "code_verifier": verifier,
            **self._wanted(),
        }
        basic = (self._client.id, self._client.secret) if self._client.secret else None
        fields |= {} if basic else {"client_id": self._client.id}
        try:
            where = await self._endpoint("token_endpoint")
            told = await self._fetcher.form(where, fields, MAX_ANSWER, ANSWERS_WITHIN_S, basic)
        except Unfetchable as error:
            logger.warning("the console's issuer did not give a token: %s", error)
            self._metadata = None  # its address may have changed
            raise AWAY.fresh() from None
        if not isinstance(told, dict):
            raise AWAY.fresh()
        return told

    async def _check(self, id_token: Any, nonce: str) -> None:
        """Check the ID token (OpenID Connect Core, section 3.1.3.7). Raises `Rejected` 400 or 502."""
        if not isinstance(id_token, str):
            logger.warning("the console's issuer gave no ID token: it must speak OpenID Connect")
            raise AWAY.fresh()
        try:
            claims = await self._tokens.signed(id_token, self._client.issuer.issuer)
        except Refused as refusal:
            logger.warning("the ID token of a sign-in was refused (%s: %s)", refusal.code, refusal.note)
            raise AWAY.fresh() from None
        audience = claims.get("aud")
        audiences = audience if isinstance(audience, list) else [audience]
        expires = claims.get("exp")
        fits = (
            claims.get("iss") == self._client.issuer.issuer,
            self._client.id in audiences,
            claims.get("azp", self._client.id) == self._client.id,
            isinstance(expires, int | float) and expires > self._now().timestamp() - LEEWAY_S,
            hmac.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()),
        )
        if not all(fits):
            raise STRANGE.fresh()

    def _wanted(self) -> dict[str, str]:
        """Return what the access token is to be for: `resource` (RFC 8707), and the older name of some issuers."""
        resource = self._client.resource
        return {"resource": resource, "audience": resource} if resource else {}

    async def _endpoint(self, name: str) -> str:
        try:
            if self._metadata is None:
                self._metadata = await metadata_of(self._client.issuer, self._fetcher)
            return endpoint(self._metadata, name, self._client.issuer)
        except (Unfetchable, ValueError) as error:
            logger.warning("the console cannot reach its issuer: %s", error)
            raise AWAY.fresh() from None
