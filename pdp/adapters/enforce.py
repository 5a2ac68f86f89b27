"""Enforce: ask about a call, then run it or say why not. Knows no transport and no framework.

Whatever is not a readable allow whose duties we can perform ends in a reply that says the tool did not run.
"""

import logging
import time
from asyncio import CancelledError
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any

from msgspec import Struct

from ..answer import Answer
from ..errors import Refused
from ..query import Credential, Query, ToolRef, digest
from . import replies
from .canonical import Misfit, canonical_arguments
from .client import Client, Listed, Outcome, PdpAway
from .definitions import Definition
from .duties import Owed, read_duties
from .notify import Notice, Notify, log_notice, tell
from .outcomes import Outcomes
from .replies import Result

logger = logging.getLogger(__name__)

RESULT_TAG = "mcp-pdp/result/v1"

Run = Callable[[dict[str, Any]], Awaitable[Result]]
"""Runs the tool with the arguments decided on and returns its result as a wire dict."""


Wait = Callable[[Answer], Awaitable[Result]]
"""Deals with a call that waits for people, and returns what its caller reads."""


async def told_at_once(answer: Answer) -> Result:
    """Return the reply that says so: a `Wait` that does not wait."""
    return replies.pending(answer)


class Call(Struct, frozen=True):
    """One tool call as it arrived. `definition` is None for a tool that the server does not list now."""

    tool: str
    arguments: dict[str, Any]
    token: str | None
    definition: Definition | None
    toolset_digest: str
    context: dict[str, Any]


class Enforcer:
    """Enforces the PDP's decisions for the one server that the PDP knows as `server`."""

    def __init__(self, client: Client, server: str, notify: Notify = log_notice) -> None:
        self._client = client
        self._server = server
        self._notify = notify
        self._outcomes = Outcomes(client)

    async def call(self, call: Call, run: Run, wait: Wait = told_at_once) -> Result:
        """Run an allowed call and return its result; return the reply that explains it for every other.

        What needs an approval is `wait`'s to deal with; to find out what became of it, it asks by another `call`.
        """
        arguments, misfit = _canonical(call)
        if misfit is not None and not misfit.sayable:
            logger.warning("call of %s denied without a decision: %s", call.tool, misfit.hint)
            return replies.refused(misfit)
        try:
            answer = await self._client.decide(self._query(call, arguments))
        except Refused as refusal:
            logger.warning("call of %s denied, %s: %s", call.tool, refusal.code, refusal.note)
            return replies.refused(refusal)
        if call.definition is None or any(reason.code == "tool.unknown" for reason in answer.reasons):
            self._leave(answer)
            return replies.unknown(call.tool)
        if misfit is not None:
            self._leave(answer)
            return replies.refused(misfit, answer.id) if answer.decision != "deny" else _denied(answer, misfit)
        if answer.decision != "allow":
            return await wait(answer) if answer.decision == "needs_approval" else replies.denied(answer)
        return await self._allowed(answer, call.definition, arguments, run)

    async def visible(self, token: str | None, definitions: Sequence[Definition]) -> frozenset[str]:
        """Return the names of the tools that the caller may call at all: none when the PDP does not say."""
        if token is None or not definitions:
            return frozenset()
        listed = [Listed(definition.name, definition.digest) for definition in definitions]
        try:
            return await self._client.visible(Credential(access_token=token), self._server, listed)
        except PdpAway as away:
            logger.warning("no tools are shown, %s: %s", away.code, away.note)
            return frozenset()

    async def close(self) -> None:
        """Wait for the outcomes on their way and close the connections. A later call opens them again."""
        await self._outcomes.drain()
        await self._client.close()

    def _query(self, call: Call, arguments: dict[str, Any]) -> Query:
        if call.token is None:
            raise Refused("identity.token_missing")
        known = call.definition.digest if call.definition else None
        tool = ToolRef(self._server, call.tool, definition_digest=known, toolset_digest=call.toolset_digest)
        return Query(Credential(access_token=call.token), tool, arguments, call.context)

    async def _allowed(self, answer: Answer, definition: Definition, arguments: dict[str, Any], run: Run) -> Result:
        try:
            owed = read_duties(answer.duties)
            if owed.to:
                await tell(self._notify, Notice(list(owed.to), self._server, definition.name, answer.id))
        except Refused as refusal:
            logger.error("call of %s denied, %s: %s", definition.name, refusal.code, refusal.note)  # noqa: TRY400
            self._leave(answer)
            return replies.refused(refusal, answer.id)
        return await self._run(answer.id, owed, arguments, run)

    async def _run(self, decision: str, owed: Owed, arguments: dict[str, Any], run: Run) -> Result:
        started = time.perf_counter()
        outcome = Outcome("failed")
        handed_on = replies.withheld(decision)
        try:
            with _KeptBack(decision, active=owed.changes_results):
                result = await run(arguments)
                handed_on = _handed_on(result, owed, decision)
                outcome = _executed(result, handed_on, started)
        except CancelledError:
            outcome = Outcome("unknown")
            raise
        finally:
            self._outcomes.tell(decision, outcome)
        return replies.traced(handed_on, decision)

    def _leave(self, answer: Answer) -> None:
        """Say that an allowed call was not made after all."""
        if answer.decision == "allow":
            self._outcomes.tell(answer.id, Outcome("not_executed"))


class _KeptBack(AbstractContextManager[None]):
    """Keeps back what a tool raises when its results are redacted or limited: an error's text may hold the rest."""

    def __init__(self, decision: str, *, active: bool) -> None:
        self._decision = decision
        self._active = active

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        kept = self._active and isinstance(error, Exception)
        if kept:
            logger.warning("an error under %s is withheld: %s", self._decision, kind)
        return kept


def _canonical(call: Call) -> tuple[dict[str, Any], Misfit | None]:
    """Return the arguments to decide on. Those that do not fit are asked about as they came, for the record only."""
    schema = call.definition.wire.get("inputSchema", {}) if call.definition else {"additionalProperties": True}
    try:
        return canonical_arguments(call.arguments, schema), None
    except Misfit as misfit:
        return call.arguments, misfit


def _denied(answer: Answer, misfit: Misfit) -> Result:
    reply = replies.denied(answer)
    if any(reason.code == misfit.code for reason in answer.reasons):
        reply["content"][0]["text"] += f"\n{misfit.hint}."
    return reply


def _handed_on(result: Result, owed: Owed, decision: str) -> Result:
    try:
        return owed.performed(result)
    except (Refused, RecursionError) as reason:
        logger.warning("result of %s is withheld: %s", decision, getattr(reason, "note", reason))
        return replies.withheld(decision)


def _executed(result: Result, handed_on: Result, started: float) -> Outcome:
    """Describe a call that came back. `unknown`: it asked for more input, or goes on as a task."""
    try:
        result_digest = digest(RESULT_TAG, handed_on)
    except ValueError:
        result_digest = None
    return Outcome(
        "executed" if result.get("resultType", "complete") == "complete" and "content" in result else "unknown",
        is_error=bool(result.get("isError", False)),
        duration_ms=round((time.perf_counter() - started) * 1000, 3),
        result_digest=result_digest,
    )
