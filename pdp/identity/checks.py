"""The checks of an access token and of a DPoP proof, in their order, with the codes each can refuse with.

`make docs` prints this table; `tests/house/test_checks.py` holds it against the modules that do the checks.
"""

from typing import NamedTuple


class Check(NamedTuple):
    """One step: its number, what is checked, the module of `pdp/identity` that refuses, and with which codes."""

    number: str
    what: str
    module: str
    codes: tuple[str, ...]


CHECKS = (
    Check("1", "size, ASCII", "jose", ("identity.token_oversize", "identity.token_malformed")),
    Check("2", "three segments in canonical base64url", "jose", ("identity.token_malformed",)),
    Check(
        "3",
        "header and payload: strict JSON, no member twice, no key or extension in the header",
        "jose",
        ("identity.token_malformed", "identity.token_type", "identity.algorithm"),
    ),
    Check("4", "issuer: configured, by exact name; never looked up", "tokens", ("identity.issuer_unknown",)),
    Check("5", "type and algorithm: those of the issuer", "tokens", ("identity.token_type", "identity.algorithm")),
    Check(
        "6",
        "key: published by the issuer, strong, for signatures, for one algorithm",
        "keys",
        ("identity.key_unknown", "identity.keys_unavailable"),
    ),
    Check(
        "7",
        "signature",
        "signature",
        ("identity.signature", "identity.algorithm", "identity.token_malformed"),
    ),
    Check(
        "8",
        "claims: purpose, tenant, person, client, actors, lifetime, binding",
        "claims",
        (
            "identity.token_type",
            "identity.tenant",
            "identity.claims",
            "identity.ambiguous",
            "identity.binding",
            "identity.lifetime",
        ),
    ),
    Check(
        "9",
        "times and audience, at every use",
        "claims",
        ("identity.expired", "identity.not_yet_valid", "identity.audience"),
    ),
    Check(
        "10",
        "sender constraint, at every use",
        "possession",
        ("identity.sender_constraint", "identity.certificate"),
    ),
    Check("P1", "proof: form, as strict as a token", "dpop", ("identity.proof_malformed",)),
    Check("P2", "proof: type and algorithm", "dpop", ("identity.proof_type", "identity.proof_algorithm")),
    Check("P3", "proof: a public key in its header", "dpop", ("identity.proof_key",)),
    Check("P4", "proof: the key the token is bound to", "dpop", ("identity.proof_key_other",)),
    Check("P5", "proof: signature by that key", "dpop", ("identity.proof_signature",)),
    Check(
        "P6",
        "proof: method, address and token of this request",
        "dpop",
        ("identity.proof_claims", "identity.proof_method", "identity.proof_url", "identity.proof_token"),
    ),
    Check("P7", "proof: made within the last minute", "dpop", ("identity.proof_time", "identity.proof_claims")),
    Check(
        "P8",
        "proof: used for one call only, also after a clock was set back",
        "replays",
        ("identity.proof_replayed", "identity.proof_time", "identity.proofs_full"),
    ),
)
