"""Where traces go: over OTLP/HTTP, as the standard `OTEL_*` variables say, and over no open line unless that is wanted.

What OpenTelemetry's specification tells its SDK to pass over (an unknown sampler, a number that is none) it warns of,
and takes the default. What it cannot work with is a sentence of ours that names the variable.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from .addresses import is_this_machine
from .errors import Fault

if TYPE_CHECKING:
    import requests
    from opentelemetry.sdk.trace import TracerProvider

BASE, OF_TRACES = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
COLLECTOR = "http://localhost:4318"  # OpenTelemetry Protocol Exporter, "Endpoint URLs for OTLP/HTTP"; so is the path
PATH = "/v1/traces"

logger = logging.getLogger(__name__)


def open_provider(environ: Mapping[str, str], worker: int, *, unsafe_plain: bool) -> TracerProvider:
    """Return the SDK's provider of traces, which are sent as `environ` says. Raises `Fault` saying what to correct.

    `unsafe_plain`: whether they may go to another machine without TLS.
    """
    endpoint = endpoint_in(environ)
    _must_not_be_overheard(endpoint, unsafe_plain=unsafe_plain)
    try:
        return _provider(endpoint, worker)
    except ImportError:
        raise Fault("PDP_TRACES needs OpenTelemetry's SDK: pip install 'mcp-pdp[otel]', or unset it.") from None
    except (ValueError, RuntimeError) as error:
        raise Fault(_what_to_correct(environ, str(error))) from None


def endpoint_in(environ: Mapping[str, str]) -> SplitResult:
    """Return the URL that traces are posted to. Raises `Fault`, without the value: it may hold a password."""
    named = OF_TRACES if environ.get(OF_TRACES) else BASE
    url = environ.get(OF_TRACES) or (environ.get(BASE) or COLLECTOR).removesuffix("/") + PATH
    try:
        parts = urlsplit(url)
        is_url = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_url = False
    if not is_url:
        raise Fault(f"{named} is not the URL of a collector: give one such as https://collector.example:4318.")
    return parts


def _must_not_be_overheard(endpoint: SplitResult, *, unsafe_plain: bool) -> None:
    if endpoint.scheme == "https" or is_this_machine(str(endpoint.hostname)):
        return
    if not unsafe_plain:
        raise Fault(
            f"Traces would go to {endpoint.hostname} over plain HTTP, where who is on the way reads them: give an "
            f"https URL in {BASE}, a collector on this machine, or set PDP_UNSAFE_PLAIN_TRACES=1."
        )
    logger.warning("unsafe_plain_traces: traces can be read on the way to %s", endpoint.hostname)


def _provider(endpoint: SplitResult, worker: int) -> TracerProvider:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    ours: dict[str, Any] = {"service.name": "mcp-pdp", "service.version": version("mcp-pdp"), "pdp.worker": worker}
    resource = Resource.create(ours).merge(OTELResourceDetector().detect())  # what the operator says wins
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    session = _direct() if endpoint.scheme == "http" else None
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint.geturl(), session=session)))
    return provider


def _direct() -> requests.Session:
    """Return a session that goes where it is told: a proxy of the environment would be another machine on the way."""
    import requests

    session = requests.Session()
    session.trust_env = False
    return session


def _what_to_correct(environ: Mapping[str, str], said: str) -> str:
    """Name the variable the SDK complains of: it says its name, or that of the argument it was read for."""
    given = sorted(name for name in environ if name.startswith("OTEL_"))
    named = [name for name in given if name in said or name.removeprefix("OTEL_BSP_").lower() in said]
    return (
        f"OpenTelemetry cannot work with {' and '.join(named or given)} ({said.rstrip('.')}): "
        "correct it as its specification says (SDK environment variables), or unset it."
    )
