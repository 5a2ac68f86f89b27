"""What the browser keeps for us, sealed: the session, and a sign-in under way. Nothing is kept on the server.

A cookie is encrypted and authenticated (Fernet) under a key for its purpose, so that one cannot be used as the other;
it is HttpOnly, SameSite=Lax, and over TLS Secure with the `__Host-` prefix, which no other host can set.
"""

import base64
import hashlib
import hmac
from typing import Generic, TypeVar

import msgspec
from cryptography.fernet import Fernet, InvalidToken
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from ..errors import Rejected
from ..times import Clock

MAX_COOKIE = 4000  # characters: browsers keep 4096 of name, value and attributes together (RFC 6265, section 6.1)
T = TypeVar("T", bound=Struct)


class Session(Struct, frozen=True):
    """Who signed in: their access token, verified anew for every page, and the secret of their forms."""

    token: str
    form_secret: str


class SignIn(Struct, frozen=True):
    """A sign-in under way: what its answer must repeat, and where it leads."""

    state: str
    nonce: str
    verifier: str
    to: str


class Cookie(Generic[T]):
    """One cookie of ours; `kind` is what it holds, `lives_s` how long at most."""

    def __init__(self, name: str, kind: type[T], lives_s: int, key: bytes, *, secure: bool) -> None:
        self._name = f"__Host-{name}" if secure else name
        self._kind = kind
        self._lives_s = lives_s
        self._secure = secure
        self._sealer = Fernet(base64.urlsafe_b64encode(hmac.digest(key, name.encode(), hashlib.sha256)))

    def read(self, request: Request, now: Clock) -> T | None:
        """Return what a browser brought back; None when it is absent, too old, or not ours as we made it."""
        sealed = request.cookies.get(self._name, "")
        try:
            plain = self._sealer.decrypt_at_time(sealed, self._lives_s, int(now().timestamp()))
            return msgspec.msgpack.decode(plain, type=self._kind)
        except (InvalidToken, ValueError, msgspec.DecodeError):  # ValueError: letters outside ASCII
            return None

    def give(self, response: Response, value: T, now: Clock) -> None:
        """Let a response hand it out. Raises `Rejected` 502 when it is larger than a browser keeps."""
        plain = msgspec.msgpack.encode(value)
        sealed = self._sealer.encrypt_at_time(plain, int(now().timestamp())).decode()
        if len(sealed) > MAX_COOKIE:
            raise Rejected(
                502, "console.token_oversize", "The issuer's token is too large for a cookie: let it name fewer groups."
            )
        self._set(response, sealed, self._lives_s)

    def take(self, response: Response) -> None:
        """Let a response take it away."""
        self._set(response, "", 0)

    def _set(self, response: Response, value: str, lives_s: int) -> None:
        response.set_cookie(
            self._name, value, max_age=lives_s, path="/", secure=self._secure, httponly=True, samesite="lax"
        )
