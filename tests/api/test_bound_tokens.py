"""Bound tokens over HTTP, decided by the real policy: the holder is allowed, a thief with token and proof is not."""

from dataclasses import replace
from typing import Any

import pytest

from tests.holder import URL, Holder
from tests.idp import make_signer
from tests.service import Bench, add_pep

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.promise("tokens.bound")]


async def asked(pdp: Bench, caller: dict[str, Any], order: str = "o-1") -> tuple[str, list[str]]:
    """Return the decision on a read of an order, and its reasons."""
    answer = await pdp.ask("get_order", {"order": order}, caller=caller)
    return answer["decision"], [reason["code"] for reason in answer["reasons"]]


async def test_the_holder_may_call_and_repeat_and_a_thief_may_not(pdp: Bench) -> None:
    holder = Holder(pdp.clock(), make_signer("ES256"))
    token = pdp.token(cnf=holder.cnf)
    dpop = {"proof": holder.proof(token, jti="p-api"), "method": "POST", "url": URL}
    stolen = {"access_token": token, "dpop": dpop}
    assert await asked(pdp, stolen) == ("allow", [])
    assert await asked(pdp, stolen) == ("allow", [])
    assert await asked(pdp, stolen, "o-2") == ("deny", ["identity.proof_replayed"])
    assert await asked(pdp, {"access_token": token}) == ("deny", ["identity.sender_constraint"])
    elsewhere = {**stolen, "dpop": {**dpop, "url": "https://evil.example/mcp"}}
    assert await asked(pdp, elsewhere) == ("deny", ["identity.proof_url"])


async def test_a_key_that_takes_bound_tokens_only_gets_no_answer_for_others(pdp: Bench) -> None:
    key = await add_pep(pdp.settings, pdp.clock, bound_tokens_only=True, unsafe_assert_identity=True)
    await pdp.service.peps.poll()
    strict = replace(pdp, key=key)
    holder = Holder(pdp.clock(), make_signer("ES256"))
    token = pdp.token(cnf=holder.cnf)
    dpop = {"proof": holder.proof(token, jti="p-strict"), "method": "POST", "url": URL}
    assert await asked(strict, {"access_token": token, "dpop": dpop}) == ("allow", [])
    assert await asked(strict, {"access_token": pdp.token()}) == ("deny", ["identity.sender_constraint"])
    assert await asked(strict, {"asserted": {"person": "alice"}}) == ("deny", ["identity.assertion_refused"])
    assert await asked(pdp, {"access_token": pdp.token()}) == ("allow", []), "the control: another key"
