"""A caller with a bound token: proved for exactly one call, and policy is told by what."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pdp.errors import Refused
from pdp.identify import identify
from pdp.query import Dpop, Query
from tests.conftest import FakeClock
from tests.flow.people import Part, opened
from tests.holder import URL, Holder
from tests.idp import b64, make_signer

pytestmark = pytest.mark.promise("tokens.bound")


@pytest.fixture
async def part(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Part]:
    async with opened(tmp_path, clock) as part:
        yield part


def asked(part: Part, token: str, **shown: Any) -> Query:
    """Return a query with what is shown beside its token."""
    query = part.query(token=token)
    return msgspec.structs.replace(query, caller=msgspec.structs.replace(query.caller, **shown))


async def test_a_proof_serves_one_call_and_its_retry_and_no_other(part: Part, clock: FakeClock) -> None:
    holder = Holder(clock(), make_signer("ES256"))
    token = part.idp.token(cnf=holder.cnf)
    query = asked(part, token, dpop=Dpop(holder.proof(token), "POST", URL))
    for _ in range(2):
        assert (await identify(query, part.world)).session.sender_constrained == "dpop"
    for other in (
        msgspec.structs.replace(query, arguments={"amount": 2}),
        msgspec.structs.replace(query, tool=msgspec.structs.replace(query.tool, name="get_balance")),
    ):
        with pytest.raises(Refused, match=r"identity\.proof_replayed"):
            await identify(other, part.world)


async def test_a_certificate_is_told_to_policy(part: Part) -> None:
    thumbprint = b64(bytes(32))
    token = part.idp.token(cnf={"x5t#S256": thumbprint})
    found = await identify(asked(part, token, certificate_thumbprint=thumbprint), part.world)
    assert found.session.sender_constrained == "mtls"
    with pytest.raises(Refused, match=r"identity\.sender_constraint"):
        await identify(asked(part, token), part.world)
