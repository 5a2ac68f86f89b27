"""Traces: one span a decision, and below it one a word of the sentence (OpenTelemetry). Off unless `PDP_TRACES` is on.

Off, a decision makes no object for it: `Case.word` hands its step on as it is. On, the SDK's own sampler picks what is
traced, its own thread sends it, and what that thread cannot send in time it drops: no decision waits for a collector.

A span names a tool only if it is registered; anything else in a query is the caller's own text and may be a secret.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, TypeVar

from .errors import Fault, Refused

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span, Tracer

    from .flow import Case

T = TypeVar("T")

MOST_CODES = 8  # reasons on a span; the record has all of them
LETS_GO_WITHIN_S = 2.0  # at the end, for spans that were not sent yet: a collector that hangs must not hold us up
OURS = ("engine.", "facts.", "audit.", "deadline", "fault")  # codes that mean a part broke: the span is an error

logger = logging.getLogger(__name__)


class Traces:
    """Begins the traces of decisions. `registered(server, tool)`: whether a tool may be named."""

    def __init__(self, provider: TracerProvider, registered: Callable[[str, str], bool]) -> None:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._provider = provider
        self._tracer = provider.get_tracer("mcp-pdp", version("mcp-pdp"))
        self._w3c = TraceContextTextMapPropagator()
        self._registered = registered

    def begin(self, case: Case, arrived: float | None) -> Trace | None:
        """Return the trace of a call, below the span its context names; None when the sampler leaves it out.

        `arrived`: when its first byte was read, in seconds of `time.perf_counter()`.
        """
        zero_ns = time.time_ns() - time.perf_counter_ns()
        began_ns = zero_ns + int((arrived or case.started) * 1e9)
        span = self._tracer.start_span("decision", self._parent(case.query.context), start_time=began_ns)
        if not span.is_recording():
            return None
        trace = Trace(self._tracer, span, zero_ns, self._registered)
        if arrived is not None:
            trace.add("query", began_ns, zero_ns + int(case.started * 1e9))
        return trace

    async def close(self) -> None:
        """Send what is left, within bounds."""
        gone = asyncio.Event()
        loop = asyncio.get_running_loop()

        def shut() -> None:
            self._provider.shutdown()
            if not loop.is_closed():
                loop.call_soon_threadsafe(gone.set)

        threading.Thread(target=shut, name="pdp-traces-end", daemon=True).start()
        try:
            async with asyncio.timeout(LETS_GO_WITHIN_S):
                await gone.wait()
        except TimeoutError:
            logger.warning("the last traces were not sent: the collector did not answer in %s s", LETS_GO_WITHIN_S)

    def _parent(self, context: dict[str, Any]) -> Context:
        given = context.get("traceparent")
        return self._w3c.extract({"traceparent": given} if isinstance(given, str) else {})


class Trace:
    """The span of one decision, and of its words."""

    def __init__(self, tracer: Tracer, span: Span, zero_ns: int, registered: Callable[[str, str], bool]) -> None:
        from opentelemetry.context import Context
        from opentelemetry.trace import set_span_in_context

        self._tracer = tracer
        self._span = span
        self._below = set_span_in_context(span, Context())
        self._zero_ns = zero_ns  # of `perf_counter`, in the time of day: a clock that is set in between bends no span
        self._registered = registered
        self._said_ns = 0

    @property
    def id(self) -> str:
        """Return the trace's id, 32 hex digits."""
        return f"{self._span.get_span_context().trace_id:032x}"

    async def timed(self, word: str, step: Awaitable[T]) -> T:
        """Take a step and add its span, with the code of its refusal; one that the deadline cut is `unfinished`."""
        began_ns = self._now_ns()
        about: dict[str, Any] = {"pdp.unfinished": True}
        try:
            done = await step
            about = {}
        except Refused as refusal:
            about = {"pdp.code": refusal.code}
            raise
        finally:
            self._said_ns = self._now_ns()
            self.add(word, began_ns, self._said_ns, about)
        return done

    def add(self, word: str, began_ns: int, ended_ns: int, about: dict[str, Any] | None = None) -> None:
        """Add the span of a word."""
        self._tracer.start_span(word, self._below, attributes=about, start_time=began_ns).end(ended_ns)

    def end(self, case: Case, outcome: str, codes: Sequence[str]) -> None:
        """End the trace with what became of the call."""
        from opentelemetry.trace import StatusCode

        now_ns, tool = self._now_ns(), case.query.tool
        if not codes or codes[0] != "audit.unavailable":
            self.add("answer", self._said_ns or now_ns, now_ns)
        about = {
            "pdp.decision.id": case.id,
            "pdp.outcome": outcome,
            "pdp.codes": list(codes[:MOST_CODES]),
            "pdp.policy.revision": case.policy.pack.revision,
        }
        if self._registered(tool.server, tool.name):
            about |= {"pdp.tool.server": tool.server, "pdp.tool.name": tool.name}
        self._span.set_attributes(about)
        broken = next((code for code in codes if code.startswith(OURS)), None)
        if broken:
            self._span.set_attribute("error.type", broken)
            self._span.set_status(StatusCode.ERROR)
        self._span.end(now_ns)

    def _now_ns(self) -> int:
        return self._zero_ns + time.perf_counter_ns()


def open_traces(registered: Callable[[str, str], bool], worker: int) -> Traces:
    """Return traces that are sent over OTLP/HTTP, as the standard `OTEL_*` variables say. Raises `Fault`."""
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import OTELResourceDetector, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise Fault("PDP_TRACES needs OpenTelemetry's SDK: pip install 'mcp-pdp[otel]', or unset it.") from None
    ours: dict[str, Any] = {"service.name": "mcp-pdp", "service.version": version("mcp-pdp"), "pdp.worker": worker}
    resource = Resource.create(ours).merge(OTELResourceDetector().detect())  # what the operator says wins
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Traces(provider, registered)
