"""Outcome: what became of an allowed call, told once by the adapter that asked, and recorded beside the decision."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from .answer import Decision, Receipt
from .errors import Rejected
from .query import digest

if TYPE_CHECKING:
    from .flow import World

RESULT_TAG = "mcp-pdp/result/v1"
RAN = {"executed", "failed"}

logger = logging.getLogger(__name__)


class Outcome(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What became of a call. `result_digest` is over the canonical JSON of the result, `duration_ms` milliseconds."""

    disposition: Literal["executed", "not_executed", "failed", "unknown"]
    is_error: bool | UnsetType = UNSET
    duration_ms: Annotated[float, Meta(ge=0)] | UnsetType = UNSET
    result_digest: Annotated[str, Meta(pattern=r"^sha256:[0-9a-f]{64}\Z")] | UnsetType = UNSET
    result: Any = UNSET


class Told(Struct, frozen=True, omit_defaults=True):
    """The answer to an outcome: where it stands in the log."""

    id: str
    receipt: Receipt


class Recorded(Struct, frozen=True, omit_defaults=True):
    """The body of an `outcome` record. A result is kept as its digest: what it holds is not ours to copy.

    `unenforced`: the tool ran although the adapter was not told `allow`.
    """

    decision: str
    pep: str
    outcome: Outcome
    unenforced: bool = False


def read_outcome(value: Any) -> Outcome:
    """Read an outcome; a result that came along is replaced by its digest. Raises `Rejected` 400."""
    try:
        outcome = msgspec.convert(value, Outcome)
        if outcome.result is UNSET:
            return outcome
        computed = digest(RESULT_TAG, outcome.result)
    except (msgspec.ValidationError, ValueError):
        raise Rejected(400, "outcome.malformed", "The body is not an outcome.") from None
    return msgspec.structs.replace(outcome, result=UNSET, result_digest=computed)


async def record_outcome(decision: str, pep: str, told: Decision, outcome: Outcome, world: World) -> Told:
    """Write the outcome of a decision that the adapter was `told` into the log. Raises `Unrecorded`."""
    deadline = asyncio.get_running_loop().time() + world.record_within
    unenforced = told != "allow" and outcome.disposition in RAN
    if unenforced:
        logger.error("%s ran a call that %s did not allow: it does not enforce, revoke its key", pep, decision)
    body = Recorded(decision=decision, pep=pep, outcome=outcome, unenforced=unenforced)
    return Told(decision, await world.log.append("outcome", body, durable=unenforced, deadline=deadline))
