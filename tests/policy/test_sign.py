"""Signed bundles: what we sign stock OPA accepts, what it signed we accept, and every attack on either is refused."""

import hmac
import json
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pdp.errors import Fault
from pdp.policy.archive import read_archive
from pdp.policy.fingerprint import fingerprint
from pdp.policy.keys import Keys, read_keys, read_signing_key
from pdp.policy.pack import Pack, PackRefused
from pdp.policy.sign import SIGNATURES, sign, verify
from tests.conftest import START
from tests.policy.engine import running
from tests.policy.signing import MAKE, Files, by_hand, claims_of, private_key, public_key, saved, token, with_token

pytestmark = pytest.mark.promise("policy.signed")
BUNDLE = Path("policy.tar.gz")
RULE = "guards/risk_ceiling.rego"
ALGORITHMS = {"ed": "EdDSA", "ec": "ES256", "rsa": "RS256"}


@pytest.fixture(scope="module")
def privates() -> dict[str, Any]:
    """Return a private key of every kind by its id, and one that nobody trusts."""
    return {name: make() for name, make in MAKE.items()} | {"stranger": MAKE["ed"]()}


@pytest.fixture(scope="module")
def folder(privates: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with `private/ID.pem` and, for those we trust, `public/ID.pem`."""
    folder = tmp_path_factory.mktemp("keys")
    for name, key in privates.items():
        private_key(folder / "private" / f"{name}.pem", key)
        if name != "stranger":
            public_key(folder / "public" / f"{name}.pem", key)
    return folder


@pytest.fixture(scope="module")
def keys(folder: Path) -> Keys:
    """Return the keys we trust."""
    return read_keys(folder / "public")


@pytest.fixture(scope="module")
def files(pack: Pack) -> Files:
    """Return the files of the default bundle."""
    return read_archive(pack.bundle)


@pytest.fixture(scope="module")
def signed(files: Files, folder: Path) -> Files:
    """Return them signed by `ed`."""
    return signed_by("ed", files, folder)


def signed_by(name: str, files: Files, folder: Path, now: datetime = START) -> Files:
    """Sign files with one of the private keys."""
    return sign(files, read_signing_key(folder / "private" / f"{name}.pem"), now)


def verdict_of_opa(opa: Path, bundle: Path, folder: Path, name: str) -> str:
    """Return what stock OPA has against a bundle, or nothing."""
    trust = ("--verification-key", str(folder / "public" / f"{name}.pem"), "--signing-alg", ALGORITHMS[name])
    command = [str(opa), "build", "--bundle", str(bundle), *trust, "--output", str(bundle.with_name("out.tar.gz"))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).strip() if done.returncode else ""


@pytest.mark.parametrize("name", ALGORITHMS)
def test_what_we_sign_is_accepted_by_us_and_by_opa(
    *, name: str, files: Files, folder: Path, keys: Keys, opa: Path, tmp_path: Path
) -> None:
    ours = signed_by(name, files, folder)
    bundle = saved(tmp_path / "policy.tar.gz", ours)
    said = verify(read_archive(bundle), bundle, keys, START)
    assert (said.key_id, said.issued_at) == (name, "2026-01-05T10:00:00Z")
    assert verdict_of_opa(opa, bundle, folder, name) == ""


@pytest.mark.parametrize("name", ALGORITHMS)
def test_what_opa_signs_is_accepted_by_us(
    *, name: str, files: Files, folder: Path, keys: Keys, opa: Path, tmp_path: Path
) -> None:
    bundle, claims = saved(tmp_path / "policy.tar.gz", files), tmp_path / "claims.json"
    claims.write_text(json.dumps({"keyid": name, "iat": int(START.timestamp())}))
    key = ("--signing-key", str(folder / "private" / f"{name}.pem"), "--signing-alg", ALGORITHMS[name])
    command = [str(opa), "sign", "--bundle", str(bundle), *key, "--claims-file", str(claims), "--output-file-path", "."]
    subprocess.run(command, cwd=tmp_path, check=True)
    theirs = files | {SIGNATURES: (tmp_path / SIGNATURES).read_bytes()}
    assert verify(theirs, BUNDLE, keys, START) == verify(signed_by(name, files, folder), BUNDLE, keys, START)


def test_a_sidecar_with_the_key_runs_what_we_sign_and_refuses_what_was_edited(
    signed: Files, pack: Pack, folder: Path, opa: Path, tmp_path: Path
) -> None:
    bundle = saved(tmp_path / "p.tar.gz", signed)
    trust = ("--verification-key", str(folder / "public" / "ed.pem"), "--signing-alg", "EdDSA")
    with running(opa, tmp_path, *trust, "--bundle", str(bundle)) as asked:
        assert asked.verdict({})["revision"] == pack.revision
    saved(bundle, signed | {RULE: signed[RULE] + b"\n"})
    with pytest.raises(AssertionError, match="did not become ready"), running(opa, tmp_path, *trust, "-b", str(bundle)):
        pass


def edited_data(files: Files) -> Files:
    """Raise an amount in the data."""
    return files | {"data.json": files["data.json"].replace(b'"open_up_to":5000', b'"open_up_to":5001')}


def without(files: Files, name: str) -> Files:
    """Take one file out."""
    return {key: body for key, body in files.items() if key != name}


@pytest.mark.parametrize(
    ("change", "says", "opa_says"),
    [
        (lambda files: files | {RULE: files[RULE] + b"\n"}, f"{RULE}: It was changed", "digest mismatch"),
        (edited_data, "data.json: It was changed", "digest mismatch"),
        (lambda files: files | {"data.json": b"{"}, "data.json: It was changed", ""),
        (lambda files: files | {"lib/new.rego": b"package lib.new\n"}, "lib/new.rego: It was added", "not included"),
        (lambda files: files | {"x.txt": b""}, "x.txt: It was added", "not included"),
        (lambda files: without(files, RULE), f"{RULE}: It was removed", "not found in the target bundle"),
        (lambda files: without(files, SIGNATURES), "It is not signed", "missing .signatures.json"),
    ],
)
def test_a_bundle_that_is_not_what_was_signed_is_refused_by_us_and_by_opa(
    *,
    change: Callable[[Files], Files],
    says: str,
    opa_says: str,
    signed: Files,
    keys: Keys,
    folder: Path,
    opa: Path,
    tmp_path: Path,
) -> None:
    changed = change(dict(signed))
    assert changed != signed
    with pytest.raises(PackRefused, match=says):
        verify(changed, BUNDLE, keys, START)
    against = verdict_of_opa(opa, saved(tmp_path / "policy.tar.gz", changed), folder, "ed")
    assert against
    assert opa_says in against


def test_white_space_in_a_document_is_no_change(signed: Files, keys: Keys) -> None:
    spaced = signed | {"data.json": json.dumps(json.loads(signed["data.json"]), indent=2).encode()}
    assert verify(spaced, BUNDLE, keys, START) == verify(signed, BUNDLE, keys, START)


class Attacker:
    """Writes signatures over the same files."""

    def __init__(self, files: Files, privates: dict[str, Any], folder: Path) -> None:
        self.files = files
        self.privates = privates
        self.claims = claims_of(signed_by("ed", files, folder))
        self.public = (folder / "public" / "rsa.pem").read_bytes()

    def token(self, name: str = "ed", *, kid: str | None = "ed", **changes: Any) -> str:
        """Sign changed claims."""
        claims = {key: value for key, value in (self.claims | changes).items() if value is not None}
        return token(claims, self.privates[name], "EdDSA", **({"kid": kid} if kid else {}))

    def shared_secret(self) -> str:
        """Use the public key as the secret of an HMAC."""
        head = by_hand({"alg": "HS256", "kid": "rsa"}, self.claims).rpartition(".")[0]
        return head + "." + by_hand({}, {}, hmac.digest(self.public, head.encode(), "sha256")).rpartition(".")[2]


@pytest.mark.parametrize(
    ("attack", "says"),
    [
        (lambda a: a.token("stranger"), "not made by the key ed"),
        (lambda a: a.token("stranger", kid="stranger"), "signed by 'stranger', a key that is not trusted"),
        (lambda a: a.token("ed", kid="ec"), "says 'EdDSA', and the key ec only makes ES256"),
        (lambda a: by_hand({"alg": "none", "kid": "ed"}, a.claims), "cannot be read|says 'none'"),
        (lambda a: by_hand({"alg": "none", "kid": "ed"}, a.claims, b"x"), "says 'none', and the key ed only makes"),
        (lambda a: by_hand({"alg": "EdDSA", "kid": "ed"}, a.claims, b"x" * 64), "not made by the key ed"),
        (lambda a: a.shared_secret(), "says 'HS256', and the key rsa only makes RS256"),
        (lambda a: a.token(kid=None), "does not name one key"),
        (lambda a: a.token(keyid="rsa"), "does not name one key"),
        (lambda a: a.token(iat=None), "missing required field `iat`"),
        (lambda a: a.token(iat="2026-01-05"), "Expected `int`"),
        (lambda a: a.token(iat=-1), "not yet"),
        (lambda a: a.token(iat=int(START.timestamp()) + 61), "which is not yet"),
        (lambda a: a.token(iat=10**30), "not yet|cannot be read"),
        (lambda a: a.token(scope="write"), "Invalid enum value 'write'"),
        (lambda a: a.token(exp=1), "unknown field `exp`"),
        (lambda a: a.token(files=[]), "It was added"),
        (lambda a: a.token(files=[*a.claims["files"], a.claims["files"][0]]), "names a file twice"),
        (lambda a: a.token(files=[{**item, "algorithm": "MD5"} for item in a.claims["files"]]), "MD5"),
        (lambda a: a.token() + "=", "not base64url"),
        (lambda a: a.token().partition(".")[0], "not three segments"),
        (lambda a: token(a.claims, a.privates["ed"], "EdDSA", kid="ed", crit=["x"]), "the header has"),
        (lambda a: token(a.claims, a.privates["ed"], "EdDSA", kid="ed", jwk={}), "the header has"),
    ],
)
def test_a_signature_that_is_not_one_of_a_trusted_key_is_refused(
    *,
    attack: Callable[[Attacker], str],
    says: str,
    files: Files,
    privates: dict[str, Any],
    keys: Keys,
    folder: Path,
) -> None:
    attacker = Attacker(files, privates, folder)
    assert verify(with_token(files, attacker.token()), BUNDLE, keys, START).key_id == "ed"
    with pytest.raises(PackRefused, match=says):
        verify(with_token(files, attack(attacker)), BUNDLE, keys, START)


@pytest.mark.parametrize(
    "text",
    ['{"signatures": []}', '{"signatures": ["x", "x"]}', '{"signatures": ["x"], "plugin": "x"}', "{}", "[]", "{", ""],
)
def test_a_file_of_signatures_that_does_not_hold_one_is_refused(text: str, files: Files, keys: Keys) -> None:
    with pytest.raises(PackRefused, match="cannot be read"):
        verify(files | {SIGNATURES: text.encode()}, BUNDLE, keys, START)


def test_a_clock_that_is_a_little_ahead_is_forgiven(files: Files, folder: Path, keys: Keys) -> None:
    ahead = signed_by("ed", files, folder, START + timedelta(seconds=60))
    assert verify(ahead, BUNDLE, keys, START).issued_at == "2026-01-05T10:01:00Z"


ODD: list[Any] = [
    *("", "\u2028\u2029", "<&>", '\x00\x1f\x7f\b\f\n\r\t"\\/', "é", "\U0001f600"),
    *({"b": 1, "a": 2, "é": 3, "\ue000": 4, "\U0001f600": 5, "<": 6}, [], {}, None, True, [[], [{}]]),
]
NUMBERS = "[0, -0, 1.0, 1.50, 1e5, 1E+5, 1e-7, 123456789012345678901234567890, 0.1, -0.0, 9007199254740993]"
texts = st.text(st.characters(exclude_categories=["Cs"]))
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
    max_leaves=10,
)


def digests_of_opa(documents: list[str], key: Path, opa: Path, folder: Path) -> list[str]:
    """Return the digests that OPA signs for documents."""
    for number, document in enumerate(documents):
        place = folder / "signed" / f"d{number}"
        place.mkdir(parents=True, exist_ok=True)
        (place / "data.json").write_text(document)
    command = [str(opa), "sign", "--bundle", ".", "--signing-key", str(key), "--signing-alg", "EdDSA", "-o", ".."]
    subprocess.run(command, cwd=folder / "signed", check=True)
    files = claims_of({SIGNATURES: (folder / SIGNATURES).read_bytes()})["files"]
    found = {item["name"]: item["hash"] for item in files}
    return [found[f"d{number}/data.json"] for number, _ in enumerate(documents)]


def test_odd_documents_have_the_digest_that_opa_gives_them(folder: Path, opa: Path, tmp_path: Path) -> None:
    documents = [NUMBERS, *(json.dumps(value) for value in ODD), *(json.dumps(v, ensure_ascii=False) for v in ODD)]
    ours = [fingerprint("data.json", document.encode()) for document in documents]
    assert ours == digests_of_opa(documents, folder / "private" / "ed.pem", opa, tmp_path)


@given(documents=st.lists(values, min_size=1, max_size=20))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_document_has_the_digest_that_opa_gives_it(
    documents: list[Any], folder: Path, opa: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    written = [json.dumps(value) for value in documents]
    ours = [fingerprint("data.json", document.encode()) for document in written]
    assert ours == digests_of_opa(written, folder / "private" / "ed.pem", opa, tmp_path_factory.mktemp("documents"))


def test_a_private_key_that_others_may_read_is_not_used(privates: dict[str, Any], tmp_path: Path) -> None:
    file = private_key(tmp_path / "key.pem", privates["ed"])
    file.chmod(0o640)
    with pytest.raises(Fault, match="chmod 600"):
        read_signing_key(file)


def test_only_a_private_key_signs(privates: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    file.touch(0o600)
    locked = privates["ed"].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    for pem, says in ((locked, "is encrypted"), (b"", "no private key"), (b"text", "no private key")):
        file.write_bytes(pem)
        with pytest.raises(Fault, match=says):
            read_signing_key(file)
    with pytest.raises(Fault, match="No such file"):
        read_signing_key(tmp_path / "none.pem")
    public_key(file, privates["ed"])
    with pytest.raises(Fault, match="no private key"):
        read_signing_key(file)


@pytest.mark.parametrize(
    "weak",
    [
        lambda: rsa.generate_private_key(public_exponent=65537, key_size=1024),  # noqa: S505  # that is the point
        lambda: ec.generate_private_key(ec.SECP384R1()),
    ],
)
def test_a_key_of_another_kind_is_refused_on_both_sides(weak: Callable[[], Any], tmp_path: Path) -> None:
    key = weak()
    with pytest.raises(Fault, match="another kind of key"):
        read_signing_key(private_key(tmp_path / "private.pem", key))
    with pytest.raises(Fault, match="another kind of key"):
        read_keys(public_key(tmp_path / "public.pem", key))


def test_a_folder_of_keys_holds_public_keys_and_nothing_else(privates: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(Fault, match="not there"):
        read_keys(tmp_path / "none")
    with pytest.raises(Fault, match="holds no key"):
        read_keys(tmp_path)
    public_key(tmp_path / "a.pem", privates["ed"])
    (tmp_path / ".hidden").touch()
    assert read_keys(tmp_path).keys() == read_keys(tmp_path / "a.pem").keys() == {"a"}
    private_key(tmp_path / "b.pem", privates["ed"])
    with pytest.raises(Fault, match="is a private key"):
        read_keys(tmp_path)
    (tmp_path / "b.pem").write_text("text")
    with pytest.raises(Fault, match="no public key"):
        read_keys(tmp_path)
    (tmp_path / "b.pem").rename(tmp_path / "b.txt")
    with pytest.raises(Fault, match="not a PEM file"):
        read_keys(tmp_path)


def test_the_time_of_a_signature_is_in_whole_seconds(files: Files, folder: Path, keys: Keys) -> None:
    late = datetime(2026, 1, 5, 10, 0, 0, 999_999, tzinfo=UTC)
    assert verify(signed_by("ed", files, folder, late), BUNDLE, keys, START).issued_at == "2026-01-05T10:00:00Z"
