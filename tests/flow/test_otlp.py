"""Where traces go: what a wrong `OTEL_*` variable comes to, and that no open line leads off this machine unasked."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import TracerProvider

from pdp.errors import Fault
from pdp.otlp import endpoint_in, open_provider
from tests.collector import collecting
from tests.commands import run
from tests.conftest import ROOT

ENDPOINT, OF_TRACES = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"


@contextmanager
def provider(*, unsafe_plain: bool = False) -> Iterator[TracerProvider]:
    """Open a provider as the environment says."""
    opened = open_provider(os.environ, 0, unsafe_plain=unsafe_plain)
    try:
        yield opened
    finally:
        opened.shutdown()


def given(patch: pytest.MonkeyPatch, **variables: str) -> None:
    """Set variables, and one that nobody may blame."""
    patch.setenv("OTEL_SERVICE_NAME", "pdp-1")
    for name, value in variables.items():
        patch.setenv(name, value)


@pytest.mark.promise("traces.settings")
@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("OTEL_BSP_MAX_QUEUE_SIZE", "64", "less than or equal to max_queue_size"),  # a batch is 512 unless set too
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0", "must be a positive integer"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4096", "less than or equal to max_queue_size"),
        ("OTEL_BSP_SCHEDULE_DELAY", "-1", "must be positive"),
        ("OTEL_SPAN_LINK_COUNT_LIMIT", "many", "non-negative integer"),
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "-1", "non-negative integer"),
        (ENDPOINT, "collector:4318", "https://collector.example:4318"),
        (ENDPOINT, "http://localhost:port", "https://collector.example:4318"),
        (OF_TRACES, "https://", "https://collector.example:4318"),
        (OF_TRACES, "https://[::1", "https://collector.example:4318"),
    ],
)
def test_a_variable_the_sdk_cannot_work_with_is_named_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, why: str
) -> None:
    given(monkeypatch, **{name: value})
    with pytest.raises(Fault) as wrong, provider():
        pass
    assert name in str(wrong.value)
    assert why in str(wrong.value)
    assert "OTEL_SERVICE_NAME" not in str(wrong.value)


@pytest.mark.promise("traces.settings")
def test_a_variable_the_sdk_does_not_name_is_among_those_to_look_at(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "OTEL_PYTHON_EXPORTER_OTLP_HTTP_TRACES_CREDENTIAL_PROVIDER"
    given(monkeypatch, **{name: "nobody", ENDPOINT: "https://collector.example"})
    with pytest.raises(Fault, match=f"(?s){name}.*nobody"), provider():
        pass


@pytest.mark.promise("traces.settings")
def test_a_password_in_a_url_is_not_repeated() -> None:
    for url in ("ftp://pdp:hush@collector", "http://pdp:hush@collector:x"):
        with pytest.raises(Fault) as wrong:
            endpoint_in({ENDPOINT: url})
        assert "hush" not in str(wrong.value)


@pytest.mark.promise("traces.settings")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_TRACES_SAMPLER", "sometimes"),
        ("OTEL_BSP_SCHEDULE_DELAY", "soon"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "no header"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zip"),
        ("OTEL_RESOURCE_ATTRIBUTES", "nothing"),
    ],
)
def test_what_the_specification_passes_over_is_warned_of_and_traces_go_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str, value: str
) -> None:
    given(monkeypatch, **{name: value})
    with provider() as opened:
        assert opened.get_tracer("test").start_span("traced").is_recording()
    assert caplog.records, "an operator is told"


@pytest.mark.promise("traces.settings")
@pytest.mark.parametrize(
    ("name", "value"), [("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "-1"), ("OTEL_BSP_MAX_QUEUE_SIZE", "64")]
)
def test_a_service_ends_its_start_with_that_sentence(tmp_path: Path, name: str, value: str) -> None:
    environ = {**os.environ, "PDP_DATA_DIR": str(tmp_path), "PDP_TRACES": "1", name: value}
    done = run("serve", "--port", "0", environ=environ, cwd=ROOT)
    assert done.returncode == 1
    assert f"pdp: OpenTelemetry cannot work with {name} (" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.promise("traces.private")
@pytest.mark.parametrize("url", ["http://collector.example:4318", "http://192.0.2.1", "HTTP://[2001:db8::1]:4318"])
@pytest.mark.parametrize("name", [ENDPOINT, OF_TRACES])
def test_traces_go_to_another_machine_over_tls_unless_an_unsafe_name_lets_them(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str, url: str
) -> None:
    given(monkeypatch, **{name: url})
    with pytest.raises(Fault, match="PDP_UNSAFE_PLAIN_TRACES"), provider():
        pass
    with provider(unsafe_plain=True):
        assert [record.getMessage() for record in caplog.records if "unsafe_plain_traces" in record.getMessage()]


@pytest.mark.promise("traces.private")
@pytest.mark.parametrize(
    "url", ["", "http://localhost:4318/", "http://127.0.0.1:4318", "http://[::1]:4318", "https://collector.example"]
)
def test_a_collector_here_or_behind_tls_needs_no_leave(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, url: str
) -> None:
    given(monkeypatch, **{ENDPOINT: url})
    with provider():
        assert not caplog.records


@pytest.mark.promise("traces.private")
async def test_no_proxy_of_the_environment_carries_an_open_line_away(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")  # whatever is sent there is lost
    async with collecting(monkeypatch) as collector:
        with provider() as opened:
            opened.get_tracer("test").start_span("traced").end()
            assert [span.name for span in await collector.spans(bool)] == ["traced"]


@pytest.mark.promise("traces.settings")
@pytest.mark.parametrize(
    ("variables", "url"),
    [
        ({}, "http://localhost:4318/v1/traces"),
        ({ENDPOINT: "https://c.example:1/otlp/"}, "https://c.example:1/otlp/v1/traces"),
        ({OF_TRACES: "https://c.example/as-it-is", ENDPOINT: "https://d.example"}, "https://c.example/as-it-is"),
        ({OF_TRACES: "", ENDPOINT: "https://d.example"}, "https://d.example/v1/traces"),
    ],
)
def test_the_address_is_read_as_the_specification_says(variables: dict[str, str], url: str) -> None:
    assert endpoint_in(variables).geturl() == url
