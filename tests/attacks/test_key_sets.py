"""Key sets: a key that is weak, meant for something else or ambiguous verifies nothing."""

from math import prod
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from pdp.identity.jwks import MAX_KEYS, ROCA_PRIMES, pick, read_keys
from tests.idp import b64, make_signer

pytestmark = pytest.mark.promise("keys.hygiene")
ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")
GOOD = {algorithm: make_signer(algorithm).public_jwk() for algorithm in ALGORITHMS}


def read(*keys: Any) -> dict[str | None, Any]:
    return read_keys({"keys": list(keys)}, ALGORITHMS)


def rsa_jwk(modulus: int, exponent: int = 65537) -> dict[str, Any]:
    """Return an RSA key with these numbers, sound or not."""
    numbers = {"n": modulus.to_bytes((modulus.bit_length() + 7) // 8), "e": exponent.to_bytes(4).lstrip(b"\0")}
    return {"kty": "RSA", "alg": "RS256", "kid": "odd", **{name: b64(value) for name, value in numbers.items()}}


def short_modulus() -> int:
    """Return the modulus of a sound key of 1024 bits."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505  # that it is weak is the point
    return int(key.public_key().public_numbers().n)


def roca_modulus() -> int:
    """Return 2048 bits with the fingerprint of CVE-2017-15361: a power of 65537 modulo the product of small primes."""
    product = prod(ROCA_PRIMES)
    modulus = (1 << 2047) // product * product + pow(65537, 12345, product) + product
    return modulus if modulus % 2 else modulus + product


def strong_modulus() -> int:
    return int(rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key().public_numbers().n)


def test_good_keys_are_read_and_each_is_bound_to_one_algorithm() -> None:
    keys = read(*GOOD.values())
    assert {kid: key.algorithm_name for kid, key in keys.items()} == {
        "rsa-1": "RS256",
        "pss-1": "PS256",
        "ec-1": "ES256",
        "ed-1": "EdDSA",
    }


def test_a_key_that_declares_no_algorithm_is_bound_to_the_first_that_fits() -> None:
    bare = {name: value for name, value in GOOD["PS256"].items() if name != "alg"}
    assert [key.algorithm_name for key in read(bare).values()] == ["RS256"]
    assert [key.algorithm_name for key in read_keys({"keys": [bare]}, ("ES256", "PS256")).values()] == ["PS256"]


@pytest.mark.parametrize(
    "unfit",
    [
        {"use": "enc"},
        {"use": None},
        {"key_ops": ["encrypt"]},
        {"key_ops": []},
        {"key_ops": "verify"},
        {"alg": "ES384"},
        {"alg": "RS256"},
        {"alg": "HS256"},
        {"alg": None},
        {"kty": "RSA"},
        {"kty": "oct"},
        {"crv": "P-384"},
        {"crv": ["P-256"]},
        {"crv": {}},
        {"kty": ["EC"]},
        {"crv": "secp256k1"},
        {"kid": 1},
        {"kid": ""},
        {"kid": "a\n"},
        {"kid": "a" * 600},
        {"x": "AAAA"},
        {"x": None},
        {"y": b64(bytes(32))},
    ],
)
def test_a_key_that_is_unfit_is_left_out_and_does_not_spoil_the_others(unfit: dict[str, Any]) -> None:
    assert set(read({**GOOD["ES256"], **unfit}, GOOD["EdDSA"])) == {"ed-1"}
    with pytest.raises(ValueError, match="no key in it"):
        read({**GOOD["ES256"], **unfit})


@pytest.mark.parametrize(
    "weak",
    [
        rsa_jwk(short_modulus()),
        rsa_jwk(strong_modulus(), 3),
        rsa_jwk(strong_modulus(), 65536),
        rsa_jwk((1 << 9000) + 1),
        rsa_jwk(roca_modulus()),
    ],
    ids=["1024 bits", "exponent 3", "even exponent", "9000 bits", "ROCA"],
)
def test_a_weak_rsa_key_is_left_out(weak: dict[str, Any]) -> None:
    assert set(read(weak, GOOD["EdDSA"])) == {"ed-1"}


def test_an_honest_key_is_not_taken_for_a_weak_one() -> None:
    assert set(read(rsa_jwk(strong_modulus()))) == {"odd"}


def private(algorithm: str) -> dict[str, Any]:
    """Return a private key as no issuer should ever publish it."""
    if algorithm == "RS256":
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        return {**RSAAlgorithm.to_jwk(key, as_dict=True), "kid": "leaked"}
    return {**ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()), as_dict=True), "kid": "leaked"}


@pytest.mark.parametrize("leak", [private("RS256"), private("ES256"), {"kty": "oct", "k": "c2VjcmV0", "kid": "s"}])
def test_a_set_that_publishes_a_secret_is_not_used_at_all(leak: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="secret"):
        read(GOOD["EdDSA"], leak)


def test_two_keys_of_one_name_make_the_set_ambiguous() -> None:
    with pytest.raises(ValueError, match="share a kid"):
        read(GOOD["EdDSA"], {**GOOD["ES256"], "kid": "ed-1"})
    nameless = [{name: value for name, value in GOOD[a].items() if name != "kid"} for a in ("EdDSA", "ES256")]
    with pytest.raises(ValueError, match="share a kid"):
        read(*nameless)


def test_a_set_too_long_to_be_one_is_not_used() -> None:
    with pytest.raises(ValueError, match="more than"):
        read(*({**GOOD["EdDSA"], "kid": f"k{i}"} for i in range(MAX_KEYS + 1)))


@pytest.mark.parametrize("document", [None, [], {}, {"keys": None}, {"keys": {}}, {"keys": [1]}, {"keys": ["x"]}, "x"])
def test_what_is_no_key_set_is_not_used(document: Any) -> None:
    with pytest.raises(ValueError, match="not a JWK set"):
        read_keys(document, ALGORITHMS)


def test_a_token_without_a_kid_is_served_by_the_only_key_and_by_none_of_several() -> None:
    assert pick(read(GOOD["EdDSA"]), None) is not None
    assert pick(read(GOOD["EdDSA"], GOOD["ES256"]), None) is None
    assert pick(read(GOOD["EdDSA"]), "another") is None


def test_a_sound_key_on_a_curve_that_its_algorithm_does_not_use_is_left_out() -> None:
    key = ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP384R1()).public_key(), as_dict=True)
    assert set(read({**key, "kid": "p384", "alg": "ES256"}, GOOD["EdDSA"])) == {"ed-1"}
    assert set(read({**key, "kid": "p384"}, GOOD["EdDSA"])) == {"ed-1"}
