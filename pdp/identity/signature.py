"""Check a signature with a key that is bound to one algorithm: the only thing that PyJWT does for us."""

import jwt
from jwt import PyJWK

from ..errors import Refused
from .jose import Frame

_jws = jwt.PyJWS(options={"verify_signature": True, "enforce_minimum_key_length": True})


def check_signature(frame: Frame, key: PyJWK) -> None:
    """Raise `Refused` `identity.algorithm` or `identity.signature` unless `key` made the signature."""
    if key.algorithm_name != frame.algorithm:
        raise Refused("identity.algorithm", f"the key is for {key.algorithm_name}")
    try:
        payload = _jws.decode(frame.text, key, algorithms=[key.algorithm_name])
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        raise Refused("identity.signature", type(error).__name__) from None
    if payload != frame.payload:
        raise Refused("identity.token_malformed", "two readers saw two payloads")
