"""Where the policy comes from: one place, checked here whoever built it, and with keys only if one of them signed."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pdp.errors import Fault
from pdp.policy.archive import read_archive, write_archive
from pdp.policy.bundle import read_bundle, read_content
from pdp.policy.keys import read_signing_key
from pdp.policy.law import Rule
from pdp.policy.origin import Origin, load
from pdp.policy.pack import REVISION_TAG, Pack, PackRefused, manifest_of
from pdp.policy.sign import sign
from pdp.query import digest
from tests.conftest import START
from tests.policy.engine import running
from tests.policy.rules import org, rule, write
from tests.policy.signing import MAKE, Files, private_key, public_key, saved

pytestmark = pytest.mark.promise("policy.origin")
Load = Callable[[Origin], Pack]


@pytest.fixture
def loaded(opa: Path, tmp_path: Path) -> Load:
    """Return what loads an origin."""
    return lambda origin: load(origin, opa, tmp_path / "target", START)


@pytest.fixture
def built(opa: Path, tmp_path: Path) -> Pack:
    """Return the default pack with a rule, a value and a table of an organisation's own."""
    folder = org(tmp_path, "guards", "holds if input.tool.name == data.config.guards.mine.name")
    table = "tools: {a/b: {risk_class: read}}\npeople: {p: {}}\ncases: [{case: x, tool: a/b, person: p, expect: deny}]"
    write(folder, {"config.yaml": "guards: {mine: {name: x}}", "cases/mine.yaml": table})
    return load(Origin(org_dir=folder), opa, tmp_path / "elsewhere", START)


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """Return a folder with one public key; the private one is beside it."""
    key = MAKE["ed"]()
    private_key(tmp_path / "release.pem", key)
    return public_key(tmp_path / "keys" / "release.pem", key).parent


@pytest.fixture
def signed(built: Pack, keys: Path, tmp_path: Path) -> Path:
    """Return a signed bundle."""
    files = sign(read_archive(built.bundle), read_signing_key(keys.parent / "release.pem"), START)
    return saved(tmp_path / "signed.tar.gz", files)


def test_a_bundle_is_the_policy_it_was_built_from(built: Pack, pack: Pack, loaded: Load) -> None:
    read = loaded(Origin(bundle=built.bundle))
    assert dataclasses.replace(read, bundle=built.bundle) == built
    assert read.bundle != built.bundle
    assert read.rules.keys() - pack.rules.keys() == {"guards.mine"}
    assert read.signed is None
    assert read.served == read.bundle


def test_a_signed_bundle_says_who_and_when_and_keeps_its_signature_for_others(
    *, built: Pack, signed: Path, keys: Path, opa: Path, loaded: Load, tmp_path: Path
) -> None:
    read = loaded(Origin(bundle=signed, keys=keys))
    assert read.signed
    assert (read.signed.key_id, read.signed.issued_at) == ("release", "2026-01-05T10:00:00Z")
    assert dataclasses.replace(read, bundle=built.bundle, signed=None, signed_bundle=None) == built
    signed.unlink()
    trust = ("--verification-key", str(keys / "release.pem"), "--signing-alg", "EdDSA")
    with running(opa, tmp_path, *trust, "--bundle", str(read.served)) as asked:
        assert asked.verdict({})["revision"] == built.revision


@pytest.mark.promise("policy.signed")
def test_with_keys_only_a_signed_bundle_is_loaded(built: Pack, keys: Path, loaded: Load, tmp_path: Path) -> None:
    with pytest.raises(Fault, match="PDP_POLICY_KEYS is set, so only a signed bundle is loaded"):
        loaded(Origin(keys=keys))
    with pytest.raises(Fault, match="PDP_POLICY_KEYS is set, so only a signed bundle is loaded"):
        loaded(Origin(keys=keys, org_dir=tmp_path / "org"))
    with pytest.raises(PackRefused, match="It is not signed, and PDP_POLICY_KEYS is set"):
        loaded(Origin(keys=keys, bundle=built.bundle))


@pytest.mark.promise("policy.signed")
def test_a_signature_that_nobody_checks_is_refused(signed: Path, loaded: Load) -> None:
    with pytest.raises(PackRefused, match="It is signed, and nobody here checks that"):
        loaded(Origin(bundle=signed))


def test_a_bundle_beside_folders_is_refused(built: Pack, source: Path, loaded: Load, tmp_path: Path) -> None:
    for more in ({"policy_dir": source}, {"org_dir": tmp_path / "org"}):
        with pytest.raises(Fault, match="PDP_POLICY_BUNDLE holds the whole policy"):
            loaded(Origin(bundle=built.bundle, **more))


def test_what_is_watched_is_where_the_policy_comes_from(source: Path) -> None:
    assert Origin().places == [source]
    assert Origin(policy_dir=Path("a"), org_dir=Path("b")).places == [Path("a"), Path("b")]
    assert Origin(bundle=Path("c")).places == [Path("c")]
    assert Origin(bundle=Path("c"), keys=Path("k")).places == [Path("c"), Path("k")]


def forged(files: Files, path: str, text: str, words: dict[str, Any] | None = None, **config: Any) -> Files:
    """Return a bundle with another rule in it whose manifest and revision are right, as a careful attacker makes it."""
    data, body = json.loads(files["data.json"]), text.encode()
    code = path.removesuffix(".rego").replace("/", ".")
    if words is not None:
        data["manifest"]["rules"][code] = words
    data["config"] |= config
    rules = {
        code: Rule(code=code, folder=code.split(".")[0], name=code.split(".")[1], text="", **said)
        for code, said in data["manifest"]["rules"].items()
    }
    manifest = manifest_of(rules)
    texts = {name: content.decode() for name, content in (files | {path: body}).items() if name.endswith(".rego")}
    revision = digest(REVISION_TAG, {"files": texts, "manifest": manifest, "config": data["config"]})
    head = json.loads(files[".manifest"]) | {"revision": revision}
    data["manifest"] = manifest | {"revision": revision}
    return files | {path: body, "data.json": json.dumps(data).encode(), ".manifest": json.dumps(head).encode()}


SAID = {"title": "T", "description": "D", "remedy": "R", "owner": "O", "severity": "low"}
MINE = {**SAID, "file": "org/guards/other.rego", "stage": "call", "good": [{"tool": {"name": "x"}}], "bad": [{}]}


@pytest.mark.parametrize(
    ("path", "body", "says"),
    [
        ("guards/other.rego", "holds if not input.tool.name", "`not` holds when the fact is missing"),
        ("guards/other.rego", "holds if input.tool.nam", r"undefined ref: input\.tool\.nam"),
        ("guards/other.rego", "holds if time.now_ns() > 1", "undefined function time.now_ns"),
        ("guards/other.rego", 'holds if input.tool.name == "x"', "its manifest is not their own"),
    ],
)
def test_a_bundle_with_a_rule_that_breaks_our_laws_is_refused_though_its_digests_are_right(
    *, path: str, body: str, says: str, pack: Pack, loaded: Load, tmp_path: Path
) -> None:
    files = forged(read_archive(pack.bundle), path, rule("guards", "other", body), MINE)
    bundle = saved(tmp_path / "forged.tar.gz", files)
    assert "guards.other" in read_bundle(bundle).rules
    with pytest.raises(PackRefused, match=says):
        loaded(Origin(bundle=bundle))


@pytest.mark.promise("policy.signed")
def test_a_compiled_module_beside_the_rules_is_refused_even_when_it_is_signed(
    built: Pack, keys: Path, loaded: Load, tmp_path: Path
) -> None:
    files = read_archive(built.bundle) | {"policy.wasm": b"\0asm"}
    bundle = saved(tmp_path / "wasm.tar.gz", sign(files, read_signing_key(keys.parent / "release.pem"), START))
    with pytest.raises(PackRefused, match=r"policy\.wasm"):
        loaded(Origin(bundle=bundle, keys=keys))


@pytest.mark.promise("policy.signed")
def test_a_signature_does_not_make_a_bad_rule_good(pack: Pack, keys: Path, loaded: Load, tmp_path: Path) -> None:
    files = forged(
        read_archive(pack.bundle), "guards/other.rego", rule("guards", "other", "holds if not input.tool.name"), MINE
    )
    bundle = saved(tmp_path / "forged.tar.gz", sign(files, read_signing_key(keys.parent / "release.pem"), START))
    with pytest.raises(PackRefused, match="`not` holds when the fact is missing"):
        loaded(Origin(bundle=bundle, keys=keys))


def test_values_that_do_not_fit_our_schema_are_refused(pack: Pack, loaded: Load, tmp_path: Path) -> None:
    files = read_archive(pack.bundle)
    path = "guards/risk_ceiling.rego"
    changed = forged(files, path, files[path].decode(), gates={**pack.config["gates"], "amount": {"open_up_to": "x"}})
    bundle = saved(tmp_path / "forged.tar.gz", changed)
    with pytest.raises(PackRefused, match=r"gates\.amount"):
        loaded(Origin(bundle=bundle))


def test_the_archive_of_a_bundle_is_never_what_opa_is_given(built: Pack, loaded: Load, tmp_path: Path) -> None:
    files = read_archive(built.bundle)
    spaced = files | {"data.json": json.dumps(json.loads(files["data.json"]), indent=2).encode()}
    bundle = saved(tmp_path / "spaced.tar.gz", dict(reversed(spaced.items())))
    assert read_content(files, bundle) == read_content(spaced, bundle)
    assert loaded(Origin(bundle=bundle)).bundle.read_bytes() != write_archive(spaced)
