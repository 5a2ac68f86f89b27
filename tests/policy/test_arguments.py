"""Guards on arguments with an organisation's values: folders, hosts, hours; calls are taken apart as the PDP does."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pdp.policy.cases import Row, Table, read_table
from pdp.policy.losses import INSTEAD
from pdp.policy.pack import Pack, build_pack
from pdp.policy.sources import Text
from tests.policy.engine import Asked, running
from tests.policy.rules import write
from tests.policy.test_mutations import assert_no_single_gain

pytestmark = pytest.mark.promise("policy.arguments")

CONFIG = """
guards:
  allowed_values: {tools: {reports/write: {/region: [eu, us]}}}
  no_forbidden_arguments: {labels: {shell: [/sudo]}, tools: {git/push: [/no_verify]}}
  paths_contained: {tools: {files/read: [/srv/a]}, servers: {files: [/srv/b]}, others: [docs]}
  hosts_allowed:
    tools: {web/fetch: {schemes: [https, http], hosts: ["*"], ports: [443, 80]}}
    others: {hosts: [api.example.com, "*.corp.example", 192.0.2.7, "2001:db8::1"]}
  in_time_window:
    tools: {payroll/run: [{weekdays: [6], from_hour: 0, to_hour: 24}, {weekdays: [0], from_hour: 22, to_hour: 24}]}
    frozen: {labels: {change: ["2026-01-05"]}}
"""
TABLE = """
tools:
  reports/write: {risk_class: write}
  git/push: {risk_class: write}
  box/run: {risk_class: write, labels: [shell]}
  files/read: {risk_class: read, argument_labels: {/file: [path]}}
  files/list: {risk_class: read, argument_labels: {/in/folders: [path]}}
  wiki/read: {risk_class: read, argument_labels: {/page: [path]}}
  web/fetch: {risk_class: read, argument_labels: {/url: [url]}}
  api/get: {risk_class: read, argument_labels: {/urls: [url]}}
  payroll/run: {risk_class: write}
  deploy/roll: {risk_class: write, labels: [change]}
people: {alice: {rights: [{tool: "*/*"}]}}
cases: []
"""
PATHS = "guards.paths_contained"
HOSTS = "guards.hosts_allowed"
CALLS: list[tuple[str, dict[str, Any], str | None]] = [
    ("reports/write", {"region": "eu"}, None),
    ("reports/write", {"region": "cn"}, "guards.allowed_values"),
    ("reports/write", {}, "guards.allowed_values"),
    ("git/push", {"no_verify": False}, None),
    ("git/push", {"no_verify": True}, "guards.no_forbidden_arguments"),
    ("box/run", {"command": "ls"}, None),
    ("box/run", {"command": "ls", "sudo": "root"}, "guards.no_forbidden_arguments"),
    ("files/read", {"file": "/srv/a"}, None),
    ("files/read", {"file": "/srv/a/x/y.txt"}, None),
    ("files/read", {"file": "/srv/a/"}, None),
    ("files/read", {"file": "/srv/b/x"}, PATHS),
    ("files/read", {"file": "/srv/ab"}, PATHS),
    ("files/read", {"file": "srv/a/x"}, PATHS),
    ("files/read", {"file": "/srv/a/../b"}, PATHS),
    ("files/read", {"file": "/srv/a/%2e%2e/b"}, PATHS),
    ("files/read", {"file": "/srv/a\\..\\b"}, PATHS),
    ("files/read", {"file": "/srv/a//x"}, PATHS),
    ("files/read", {"file": 7}, PATHS),
    ("files/read", {}, PATHS),
    ("files/list", {"in": {"folders": ["/srv/b", "/srv/b/x"]}}, None),
    ("files/list", {"in": {"folders": ["/srv/b", "/srv/a"]}}, PATHS),
    ("files/list", {"in": {"folders": ["/srv/b", "/srv/b/.."]}}, PATHS),
    ("files/list", {"in": {"folders": ["/srv/b", ["/srv/b"]]}}, PATHS),
    ("files/list", {"in": {"folders": []}}, PATHS),
    ("files/list", {"in": {"folders": {"0": "/srv/b"}}}, PATHS),
    ("files/list", {"in": [{"folders": "/srv/b"}]}, PATHS),
    ("wiki/read", {"page": "docs/start"}, None),
    ("wiki/read", {"page": "/docs/start"}, PATHS),
    ("wiki/read", {"page": "~/docs"}, PATHS),
    ("web/fetch", {"url": "https://www.example.com/a?b=c"}, None),
    ("web/fetch", {"url": "http://WWW.example.com:443"}, None),
    ("web/fetch", {"url": "https://www.example.com:8443/"}, HOSTS),
    ("web/fetch", {"url": "ftp://www.example.com/"}, HOSTS),
    ("web/fetch", {"url": "https://localhost/"}, HOSTS),
    ("web/fetch", {"url": "https://127.0.0.1/"}, HOSTS),
    ("web/fetch", {"url": "https://0x7f.1/"}, HOSTS),
    ("web/fetch", {"url": "https://2130706433/"}, HOSTS),
    ("web/fetch", {"url": "https://[::1]/"}, HOSTS),
    ("web/fetch", {"url": "https://[::ffff:169.254.169.254]/"}, HOSTS),
    ("web/fetch", {"url": "https://good.example@evil.example/"}, HOSTS),
    ("web/fetch", {"url": "https://good.example\\@evil.example/"}, HOSTS),
    ("web/fetch", {"url": "javascript:alert(1)"}, HOSTS),
    ("web/fetch", {"url": "file:///etc/passwd"}, HOSTS),
    ("api/get", {"urls": ["https://api.example.com/", "https://a.b.corp.example/x"]}, None),
    ("api/get", {"urls": ["https://192.0.2.7/", "https://[2001:DB8::1]/"]}, None),
    ("api/get", {"urls": ["https://api.example.com/", "https://evil.example/"]}, HOSTS),
    ("api/get", {"urls": ["https://api.example.com.evil.example/"]}, HOSTS),
    ("api/get", {"urls": ["https://corp.example/"]}, HOSTS),
    ("api/get", {"urls": ["http://api.example.com/"]}, HOSTS),
    ("api/get", {"urls": ["https://192.0.2.8/"]}, HOSTS),
    ("api/get", {"urls": "https://api.example.com/"}, None),
    ("api/get", {"urls": []}, HOSTS),
]
TIMES = [
    ("payroll/run", "2026-01-04T03:00:00Z", None),
    ("payroll/run", "2026-01-05T22:00:00Z", None),
    ("payroll/run", "2026-01-05T21:59:59Z", "guards.in_time_window"),
    ("deploy/roll", "2026-01-04T23:59:59Z", None),
    ("deploy/roll", "2026-01-05T00:00:00Z", "guards.in_time_window"),
    ("deploy/roll", "2026-01-06T00:00:00Z", None),
]


@pytest.fixture(scope="module")
def table() -> Table:
    """Return the tools and people of these tests."""
    return read_table(Text("mine.yaml", TABLE))


@pytest.fixture(scope="module")
def configured(opa: Path, source: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    """Return an OPA that runs the pack with the values of these tests."""
    org = write(tmp_path_factory.mktemp("mine"), {"config.yaml": CONFIG})
    bundle = build_pack(opa, source, org, tmp_path_factory.mktemp("built")).bundle
    with running(opa, tmp_path_factory.mktemp("s"), "--bundle", str(bundle)) as asked:
        yield asked


def document(table: Table, tool: str, arguments: dict[str, Any], now: str = "2026-01-04T12:00:00Z") -> Any:
    """Return the policy input of a call by Alice."""
    row = Row(case="", tool=tool, expect="allow", person="alice", arguments=arguments, now=now)
    return msgspec.to_builtins(table.input_of(row))


@pytest.mark.parametrize(("tool", "arguments", "broken"), CALLS, ids=lambda value: str(value)[:60])
def test_a_call_keeps_to_the_values_of_the_organisation(
    tool: str, arguments: dict[str, Any], broken: str | None, table: Table, configured: Asked
) -> None:
    verdict = configured.verdict(document(table, tool, arguments))
    assert verdict["broken_guards"] == ([broken] if broken else [])
    assert verdict["effect"] == ("deny" if broken else "allow")


@pytest.mark.parametrize(("tool", "now", "broken"), TIMES)
def test_a_call_keeps_to_the_hours_of_the_organisation(
    tool: str, now: str, broken: str | None, table: Table, configured: Asked
) -> None:
    assert configured.verdict(document(table, tool, {}, now))["broken_guards"] == ([broken] if broken else [])


@pytest.mark.slow
@pytest.mark.parametrize("instead", INSTEAD)
def test_no_loss_opens_a_folder_a_host_or_an_hour(instead: str, table: Table, configured: Asked, pack: Pack) -> None:
    for tool, arguments, _ in CALLS:
        assert_no_single_gain(document(table, tool, arguments), instead, configured, pack)
    for tool, now, _ in TIMES:
        assert_no_single_gain(document(table, tool, {}, now), instead, configured, pack)
