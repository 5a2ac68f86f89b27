"""Tokens shaped like those of Keycloak, Entra ID, Okta, Auth0 and the standard are read as they are meant."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from pdp.errors import Refused
from pdp.identity.profiles import NAMES, PROFILES, ProfileName, issuer_as
from pdp.identity.tokens import TokenVerifier
from pdp.settings import IssuerSettings
from tests.conftest import START, FakeClock
from tests.idp import ABSENT, AUDIENCE, Idp, make_signers
from tests.profiles import ISSUERS, TENANT, Sample, samples

pytestmark = pytest.mark.promise("tokens.profiles")
SAMPLES = list(samples())
FIRST = {sample.profile: sample for sample in reversed(SAMPLES)}


@pytest.fixture(scope="module")
def idp() -> Idp:
    return Idp(START, signers=make_signers())


@pytest.fixture
def verifier(idp: Idp, tmp_path: Path, clock: FakeClock) -> TokenVerifier:
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps(idp.jwks()))
    return TokenVerifier([issuer_as(name, issuer=ISSUERS[name], jwks_file=path) for name in NAMES], clock)


def token(idp: Idp, sample: Sample, **changes: Any) -> str:
    """Sign a sample, claims changed as given."""
    return idp.token("RS256", sample.header, **{"iss": ISSUERS[sample.profile], **sample.claims, **changes})


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: f"{sample.profile}, {sample.name}")
async def test_a_token_is_read_as_its_issuer_means_it(sample: Sample, idp: Idp, verifier: TokenVerifier) -> None:
    read = (await verifier.verify(token(idp, sample), {ISSUERS[sample.profile]: [AUDIENCE]})).token
    assert (read.subject, read.client, read.scopes, read.session, read.actors) == sample.reads


def test_there_are_sixty_good_tokens_and_each_profile_has_some() -> None:
    assert len(SAMPLES) >= 60
    assert {sample.profile for sample in SAMPLES} == set(NAMES) == set(PROFILES)


@pytest.mark.parametrize(
    ("profile", "changes", "code"),
    [
        ("entra", {"tid": "another-tenant"}, "identity.tenant"),
        ("entra", {"tid": ABSENT}, "identity.claims"),
        ("entra", {"tid": ""}, "identity.claims"),
        ("entra", {"tid": [TENANT]}, "identity.claims"),
        ("entra", {"oid": ABSENT}, "identity.claims"),
        ("entra", {"azp": ABSENT}, "identity.claims"),
        ("entra", {"xms_act_fct": 11}, "identity.claims"),
        ("okta", {"uid": ABSENT}, "identity.claims"),
        ("okta", {"cid": ABSENT}, "identity.claims"),
        ("keycloak", {"azp": ABSENT}, "identity.claims"),
        ("keycloak", {"typ": "ID"}, "identity.token_type"),
        ("keycloak", {"typ": "Refresh"}, "identity.token_type"),
        ("keycloak", {"client_id": "another"}, "identity.ambiguous"),
        ("auth0", {"azp": ABSENT}, "identity.claims"),
        ("auth0", {"at_hash": "x"}, "identity.token_type"),
    ],
)
async def test_what_a_profile_always_has_is_required(
    profile: ProfileName, changes: dict[str, Any], code: str, idp: Idp, verifier: TokenVerifier
) -> None:
    with pytest.raises(Refused) as refusal:
        await verifier.verify(token(idp, FIRST[profile], **changes), {ISSUERS[profile]: [AUDIENCE]})
    assert refusal.value.code == code


def test_what_an_operator_sets_wins_over_the_profile() -> None:
    settings = IssuerSettings(issuer=ISSUERS["entra"], profile="entra", person_claim="sub")
    issuer = issuer_as(**settings.model_dump(exclude_none=True))
    assert (issuer.person_claim, issuer.scope_claim, issuer.tenant_claim) == ("sub", "scp", "tid")


def test_every_example_of_the_documentation_is_taken(clock: FakeClock) -> None:
    page = (Path(__file__).parent.parent.parent / "docs" / "identity.md").read_text()
    tables = [tomllib.loads(block)["issuers"] for block in re.findall(r"```toml\n(.*?)```", page, re.DOTALL)]
    settings = [IssuerSettings(**issuer) for table in tables for issuer in table]
    assert {item.profile for item in settings} == set(NAMES) - {"generic"}
    TokenVerifier([issuer_as(**item.model_dump(exclude_none=True)) for item in settings], clock)
