"""Wycheproof's JWS and JWK vectors (C2SP/wycheproof): what is invalid is refused; every valid one we refuse is listed.

The vectors sign the text `foo`, so they are asked of the steps that read the frame, the keys and the signature.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pdp.errors import Refused
from pdp.identity.issuers import ALGORITHMS
from pdp.identity.jose import read_frame
from pdp.identity.jwks import pick, read_keys
from pdp.identity.signature import check_signature

pytestmark = pytest.mark.promise("tokens.wycheproof")
FILES = ("json_web_signature_test.json", "json_web_key_test.json", "json_web_crypto_test.json")

NO_SECRETS = "a shared secret is never accepted: whoever verifies could also sign"
REFUSED_THOUGH_VALID: dict[str, dict[int, str]] = {  # by file and vector id
    FILES[0]: {
        **dict.fromkeys((1, 348, 352, 357, 358, 359, 372, 373, 376, 377), NO_SECRETS),
        **dict.fromkeys(
            (259, 264, 268, 272, 320, 325), "an empty payload carries no claims, so it is no token of ours"
        ),
        **dict.fromkeys((346, 350), "the vector declares a PS256 key for a PS384 signature: one key, one algorithm"),
        **dict.fromkeys((347, 351), "the vector declares the algorithm ES521, which does not exist"),
    },
    FILES[1]: dict.fromkeys((2, 13, 14, 15), NO_SECRETS),
    FILES[2]: dict.fromkeys((1, 48), NO_SECRETS),
}


def vectors(folder: Path, file: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield every JWS vector with the key set a verifier holds."""
    for group in json.loads((folder / file).read_text())["testGroups"]:
        held = group.get("public") or group["private"]
        keys = held if "keys" in held else {"keys": [held]}
        for vector in group["tests"]:
            if "jws" in vector:
                yield keys, vector


def accepts(keys: dict[str, Any], text: Any) -> bool:
    """Say whether a signature is accepted; anything but a refusal is an error."""
    try:
        usable = read_keys(keys, tuple(ALGORITHMS))
    except ValueError:
        return False
    try:
        frame = read_frame(text if isinstance(text, str) else json.dumps(text))
        key = pick(usable, frame.kid)
        if key is None:
            return False
        check_signature(frame, key)
    except Refused:
        return False
    return True


@pytest.mark.parametrize("file", FILES)
def test_every_vector_comes_out_as_published_but_for_the_deviations_listed(file: str, shared_data: Path) -> None:
    folder = shared_data / "vectors" / "wycheproof"
    if not folder.is_dir():
        pytest.skip(f"Wycheproof's vectors are not at {folder}: the suite was not run")
    wrong, seen = [], {}
    for keys, vector in vectors(folder, file):
        seen[vector["tcId"]] = vector["result"]
        expected = vector["result"] == "valid" and vector["tcId"] not in REFUSED_THOUGH_VALID[file]
        if accepts(keys, vector["jws"]) != expected:
            wrong.append(f"{vector['tcId']} {vector['comment']} ({vector['result']}, {vector['flags']})")
    assert len(seen) > 20
    assert {seen[number] for number in REFUSED_THOUGH_VALID[file]} == {"valid"}, "only a valid vector deviates"
    assert not wrong, "\n".join(wrong)
