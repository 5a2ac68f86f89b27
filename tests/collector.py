"""A collector of traces: a real HTTP server on loopback that reads what OpenTelemetry's exporter posts (OTLP)."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.receiver import Post, Receiver, receiving

ROOT = ""


@dataclass(frozen=True)
class Span:
    """One span as it was sent. Ids are hex, times nanoseconds; a link is a trace and a span of it."""

    trace: str
    id: str
    parent: str
    name: str
    began: int
    ended: int
    attributes: dict[str, Any]
    failed: bool
    links: list[tuple[str, str]]


@dataclass(frozen=True)
class Collector:
    """What came in, and how the service is told to send it here."""

    receiver: Receiver

    @property
    def raw(self) -> bytes:
        """Return everything that was posted."""
        return b"".join(post.body for post in self.receiver.posts)

    async def spans(self, enough: Callable[[list[Span]], bool]) -> list[Span]:
        """Return all spans so far, once they are enough; waits for more posts, bounded."""
        while not enough(found := [span for post in self.receiver.posts for span in read_spans(post)]):
            await self.receiver.until(len(self.receiver.posts) + 1)
        return found

    async def tree(self, decision: str) -> tuple[Span, dict[str, Span]]:
        """Return the span of a decision, and those below it by name."""

        def of(spans: list[Span]) -> Span | None:
            return next((span for span in spans if span.attributes.get("pdp.decision.id") == decision), None)

        spans = await self.spans(lambda spans: of(spans) is not None)
        root = of(spans)
        assert root is not None
        return root, {span.name: span for span in spans if span.parent == root.id}


@asynccontextmanager
async def collecting(patch: pytest.MonkeyPatch) -> AsyncIterator[Collector]:
    """Run a collector, and let the standard variables name it."""
    async with receiving() as receiver:
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url.removesuffix("/hook"))
        patch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
        yield Collector(receiver)


def read_spans(post: Post) -> list[Span]:
    """Read one post of the exporter."""
    sent = ExportTraceServiceRequest()
    sent.ParseFromString(post.body)
    return [
        Span(
            trace=span.trace_id.hex(),
            id=span.span_id.hex(),
            parent=span.parent_span_id.hex(),
            name=span.name,
            began=span.start_time_unix_nano,
            ended=span.end_time_unix_nano,
            attributes={item.key: _value(item.value) for item in span.attributes},
            failed=span.status.code == span.status.STATUS_CODE_ERROR,
            links=[(link.trace_id.hex(), link.span_id.hex()) for link in span.links],
        )
        for resource in sent.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    return getattr(value, kind)


async def within(seconds: float, thing: Any) -> Any:
    """Return what comes of a coroutine, which must not take longer."""
    async with asyncio.timeout(seconds):
        return await thing
