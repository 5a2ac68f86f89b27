"""Traces: one span a decision, and below it one a word of the sentence (OpenTelemetry). Off unless `PDP_TRACES` is on.

Off, a decision makes no object for it: `Case.word` hands its step on as it is. On, the SDK's own sampler picks what is
traced, its own thread sends it, and what that thread cannot send in time it drops: no decision waits for a collector.

While a decision is on its way its words are only noted. The SDK is called twice, in `Traces.begin` and `Trace.end`, and
`flow.py` lets nothing that fails in there reach the decision. A call that is never answered leaves no span behind.

A span names a tool only if it is registered; anything else in a query is the caller's own text and may be a secret.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, TypeVar

from .errors import Refused

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Link, Span, Tracer

    from .flow import Case

T = TypeVar("T")

MOST_CODES = 8  # reasons on a span; the record has all of them
LETS_GO_WITHIN_S = 2.0  # at the end, for spans that were not sent yet: a collector that hangs must not hold us up
OURS = ("engine.", "facts.", "audit.", "deadline", "fault")  # codes that mean a part broke: the span is an error
UNFINISHED = {"pdp.unfinished": True}

logger = logging.getLogger(__name__)


class Traces:
    """Begins the traces of decisions. `registered(server, tool)`: whether a tool may be named."""

    def __init__(self, provider: TracerProvider, registered: Callable[[str, str], bool]) -> None:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self.provider = provider
        self._tracer = provider.get_tracer("mcp-pdp", version("mcp-pdp"))
        self._w3c = TraceContextTextMapPropagator()
        self._registered = registered

    def begin(self, case: Case, arrived: float | None) -> Trace | None:
        """Return the trace of a call, linked to the span its context names; None when the sampler leaves it out.

        `arrived`: when its first byte was read, in seconds of `time.perf_counter()`.
        """
        from opentelemetry.context import Context

        zero_ns = time.time_ns() - time.perf_counter_ns()
        began_ns = zero_ns + int((arrived or case.started) * 1e9)
        links = self._links(case.query.context)
        span = self._tracer.start_span("decision", Context(), links=links, start_time=began_ns)
        if not span.is_recording():
            return None
        trace = Trace(self._tracer, span, zero_ns, self._registered)
        if arrived is not None:
            trace.words.append(_Word("query", began_ns, zero_ns + int(case.started * 1e9), {}))
        return trace

    async def close(self) -> None:
        """Send what is left, within bounds."""
        gone = asyncio.Event()
        loop = asyncio.get_running_loop()

        def shut() -> None:
            self.provider.shutdown()
            if not loop.is_closed():
                loop.call_soon_threadsafe(gone.set)

        threading.Thread(target=shut, name="pdp-traces-end", daemon=True).start()
        try:
            async with asyncio.timeout(LETS_GO_WITHIN_S):
                await gone.wait()
        except TimeoutError:
            logger.warning("the last traces were not sent: the collector did not answer in %s s", LETS_GO_WITHIN_S)

    def _links(self, context: Mapping[str, Any]) -> list[Link]:
        """Return the caller's own span, never as a parent: whoever names one would say what is sampled (0037)."""
        from opentelemetry.trace import Link, get_current_span

        given = context.get("traceparent")
        named = self._w3c.extract({"traceparent": given} if isinstance(given, str) else {})
        span = get_current_span(named).get_span_context()
        return [Link(span)] if span.is_valid else []


@dataclass(slots=True)
class _Word:
    """A word of the sentence, as far as it got. Times are nanoseconds of the day."""

    name: str
    began_ns: int
    ended_ns: int | None = None
    about: Mapping[str, Any] = field(default_factory=lambda: UNFINISHED)


class Trace:
    """The span of one decision, begun, and what is noted of its `words` for theirs. `id`: 32 hex digits."""

    def __init__(self, tracer: Tracer, span: Span, zero_ns: int, registered: Callable[[str, str], bool]) -> None:
        self.id = f"{span.get_span_context().trace_id:032x}"
        self.words: list[_Word] = []
        self._tracer = tracer
        self._span = span
        self._zero_ns = zero_ns  # of `perf_counter`, in the time of day: a clock that is set in between bends no span
        self._registered = registered

    async def timed(self, word: str, step: Awaitable[T]) -> T:
        """Take a step and note it, with the code of its refusal; one that the deadline cut stays unfinished."""
        noted = _Word(word, self._now_ns())
        self.words.append(noted)
        try:
            done = await step
            noted.about = {}
        except Refused as refusal:
            noted.about = {"pdp.code": refusal.code}
            raise
        finally:
            noted.ended_ns = self._now_ns()
        return done

    def end(self, case: Case, outcome: str, codes: Sequence[str]) -> None:
        """Make the spans, with what became of the call."""
        from opentelemetry.trace import StatusCode

        now_ns = self._now_ns()
        if not codes or codes[0] != "audit.unavailable":
            said_ns = max((word.ended_ns or now_ns for word in self.words), default=now_ns)
            self.words.append(_Word("answer", said_ns, now_ns, {}))
        self._make_words(now_ns)
        self._span.set_attributes(self._about(case, outcome, codes))
        broken = next((code for code in codes if code.startswith(OURS)), None)
        if broken:
            self._span.set_attribute("error.type", broken)
            self._span.set_status(StatusCode.ERROR)
        self._span.end(now_ns)

    def _make_words(self, now_ns: int) -> None:
        from opentelemetry.context import Context
        from opentelemetry.trace import set_span_in_context

        below = set_span_in_context(self._span, Context())
        for word in self.words:
            span = self._tracer.start_span(word.name, below, attributes=word.about, start_time=word.began_ns)
            span.end(word.ended_ns or now_ns)

    def _about(self, case: Case, outcome: str, codes: Sequence[str]) -> dict[str, Any]:
        tool = case.query.tool
        about = {
            "pdp.decision.id": case.id,
            "pdp.outcome": outcome,
            "pdp.codes": list(codes[:MOST_CODES]),
            "pdp.policy.revision": case.policy.pack.revision,
        }
        if self._registered(tool.server, tool.name):
            about |= {"pdp.tool.server": tool.server, "pdp.tool.name": tool.name}
        return about

    def _now_ns(self) -> int:
        return self._zero_ns + time.perf_counter_ns()
