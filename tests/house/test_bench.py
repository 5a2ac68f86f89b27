"""What the bench reports follows from its samples: medians, ratios, promises kept or missed, pages and charts."""

import argparse
import asyncio
import re
import signal
import time
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.bench import chart, command, promised, report, rounds
from tests.bench.answers import READERS
from tests.bench.crowd import Imported
from tests.bench.peers.questions import DENIES, Question
from tests.bench.rows import ALL, DEFAULT, KINDS, Row
from tests.bench.scale import Scale, Size
from tests.bench.tally import Measured, Tally, WrongAnswer
from tests.conftest import ROOT

pytestmark = pytest.mark.promise("house.bench")


def row(name: str, connections: int, p50: float = 100.0, **more: float) -> Row:
    """Return a row; what is not given is that of raw OPA at rest."""
    figures = {"p99_us": 300.0, "rps": 1000.0, "pdp_cpu_us": 0.0, "opa_cpu_us": 400.0} | more
    return Row(name, connections, p50_us=p50, **figures)


def measured(p50: float, rps: float) -> Measured:
    """Return one run of a row."""
    return Measured(asked=10, p50_us=p50, p99_us=2 * p50, rps=rps, own_cpu_us=0.0)


def raw(name: str = "raw_opa") -> list[Row]:
    """Return raw OPA at each number of connections."""
    return [row(name, connections) for connections in (1, 16, 64)]


def good() -> list[Row]:
    """Return a run that keeps every promise, most of them exactly."""
    return [
        *raw(),
        *raw("raw_opa_write"),
        row("decision_read", 1, 180.0),
        row("decision_read", 16, rps=650.0, p99_us=600.0, pdp_cpu_us=150.0),
        row("decision_write", 64, rps=500.0),
        row("decision_wasm", 1, 80.0),
        row("decision_wasm", 16, pdp_cpu_us=300.0, opa_cpu_us=0.0),
    ]


def test_a_row_is_the_median_of_its_rounds_and_a_batch_counts_its_decisions() -> None:
    runs = [rounds.Sample(measured(p50, 40.0), 1.0, 2.0, each=50) for p50 in (900.0, 100.0, 300.0)]
    (found,) = rounds.medians({("batch_50", 1): runs})
    assert (found.p50_us, found.p99_us, found.rps) == (300.0, 600.0, 2000.0)
    assert (found.pdp_cpu_us, found.opa_cpu_us) == (1.0, 2.0)


def test_ratios_are_to_raw_opa_at_as_many_connections_and_count_all_cpu() -> None:
    asked = row("adapter_call", 16, 250.0, rps=500.0, pdp_cpu_us=100.0, opa_cpu_us=500.0, adapter_cpu_us=200.0)
    cells = dict(zip(report.HEADINGS, report.cells(asked, [row("raw_opa", 1, 1.0), *raw(), asked]), strict=True))
    assert (cells["p50 /raw"], cells["p99 /raw"], cells["req/s /raw"]) == ("2.50", "1.00", "0.50")
    assert (cells["all CPU"], cells["per CPU s"], cells["per CPU s /raw"]) == ("800 us", "1,250", "0.50")


def test_a_row_without_its_raw_opa_has_no_ratios() -> None:
    cells = report.cells(row("decision_read", 16), [*raw("raw_opa_write")])
    assert cells[-4:] == ["", "", "", ""]


@pytest.mark.parametrize(
    ("name", "connections", "against"),
    [
        ("batch_50", 1, ("raw_opa", 16)),
        ("decision_write", 64, ("raw_opa_write", 64)),
        ("cerbos", 16, ("raw_opa_write", 16)),
        ("store_100", 1, ("raw_opa", 1)),
    ],
)
def test_each_row_is_compared_with_raw_opa_on_the_same_question(
    name: str, connections: int, against: tuple[str, int]
) -> None:
    found = promised.baseline(row(name, connections), [*raw(), *raw("raw_opa_write")])
    assert found is not None
    assert (found.name, found.connections) == against


def test_every_row_has_its_raw_opa_among_those_measured_by_default() -> None:
    assert {KINDS[name].against for name in DEFAULT} <= set(DEFAULT)
    assert {kind.against for kind in ALL.values()} <= set(DEFAULT)


def test_promises_are_kept_at_their_bounds() -> None:
    assert [one.verdict for one in promised.kept(good())] == ["yes"] * len(promised.PROMISES)


@pytest.mark.parametrize(
    ("worse", "missed"),
    [
        (row("decision_read", 1, 181.0), {"read decision, p50 against raw OPA"}),
        (
            row("decision_read", 16, rps=640.0, p99_us=601.0, pdp_cpu_us=151.0),
            {
                "read decisions a second against raw OPA",
                "read decision, p99 against raw OPA",
                "CPU of the PDP for a read decision",
            },
        ),
        (row("decision_write", 64, rps=499.0), {"durable write decisions a second against raw OPA"}),
        (row("decision_wasm", 1, 81.0), {"wasm: read decision, p50 against raw OPA"}),
        (
            row("decision_wasm", 16, pdp_cpu_us=310.0, opa_cpu_us=0.0),
            {"wasm: decisions a CPU second against raw OPA"},
        ),
    ],
)
def test_a_promise_missed_by_little_is_shown_as_missed(worse: Row, missed: set[str]) -> None:
    rows = [worse if (one.name, one.connections) == (worse.name, worse.connections) else one for one in good()]
    assert {line[0] for line in report.promised_table(rows) if line[-1] == "no"} == missed


def test_what_was_not_measured_is_not_called_kept() -> None:
    rows = [one for one in good() if one.name != "raw_opa_write"]
    assert [line[-1] for line in report.promised_table(rows)].count("not measured") == 1
    assert {line[-1] for line in report.promised_table([])} == {"not measured"}


def store(size: int, p50: float) -> tuple[Size, list[Row]]:
    """Return a size of store, and its rows."""
    imported = Imported(size, size, seconds=1.0, tools_s=1.0, store_mib=1.0)
    rows = [row(f"store_{size}", connections, p50, pdp_cpu_us=100.0) for connections in (1, 16)]
    return Size(imported, starts_s=1.0, memory_mib=90.0, first_call_us=2000.0), rows


@pytest.mark.parametrize(("large", "answer"), [(239.0, "Flat? yes"), (242.0, "Flat? no")])
def test_the_cost_is_flat_only_within_the_bound(large: float, answer: str) -> None:
    (small, small_rows), (big, big_rows) = store(1, 200.0), store(100_000, large)
    assert report.flat(Scale([small, big], [*raw(), *small_rows, *big_rows])).startswith(answer)


def test_the_page_is_written_between_its_marks_and_says_when_the_machine_was_busy() -> None:
    page = (ROOT / "docs" / "performance.md").read_text()
    quiet = report.Results({"others_share": 0.02}, "0123456789abcdef", good())
    busy = report.Results({"others_share": 0.4}, "0123456789abcdef", good())
    written = report.document(page, "bench", report.bench_block(quiet))
    assert "0123456789ab" in written
    assert "not quiet" not in written.partition("<!-- peers:begin -->")[0]
    assert "other processes used 40% of it" in report.document(page, "bench", report.bench_block(busy))
    before, _, after = page.partition("<!-- bench:begin -->")
    assert written.startswith(before)
    assert written.endswith(after.partition("<!-- bench:end -->")[2])
    with pytest.raises(ValueError, match="put the marks"):
        report.document("no marks", "bench", "figures")


def test_bars_are_as_long_as_their_ratios() -> None:
    drawn = chart.svg("title", ["decision_read", "decision_wasm", "adapter_call"], good())
    svg = ET.fromstring(drawn)  # noqa: S314  # drawn by ourselves
    bars = [
        float(bar.get("width", "0"))
        for bar in svg.iter("{http://www.w3.org/2000/svg}rect")
        if bar.get("class") == "bar"
    ]
    assert bars[0] / bars[1] == pytest.approx(180 / 80, abs=0.02)
    assert re.findall(r">(\d\.\d\d)<", drawn) == ["1.80", "0.80", "0.65", "1.00", "0.73", "1.33"]


@pytest.mark.parametrize(
    ("speaks", "allow", "deny"),
    [
        ("pdp", b'{"decision":"allow"}', b'{"decision":"needs_approval"}'),
        ("opa", b'{"result":{"effect":"allow"}}', b'{"result":{"effect":"deny"}}'),
        ("batch", b'{"decisions":[{"decision":"allow"}]}', b'{"decisions":[{"decision":"allow"},{"decision":"deny"}]}'),
        ("batch", b'{"decisions":[{"decision":"allow"}]}', b'{"decisions":[]}'),
        ("list", b'{"tools":[{"visible":true}]}', b'{"tools":[{"visible":true},{"visible":false}]}'),
        ("opa_list", b'{"result":{"tools":[{"visible":true}]}}', b'{"result":{"tools":[]}}'),
        (
            "cerbos",
            b'{"results":[{"actions":{"call":"EFFECT_ALLOW"}}]}',
            b'{"results":[{"actions":{"call":"EFFECT_DENY"}}]}',
        ),
        ("eunomia", b'{"allowed":true}', b'{"allowed":false}'),
    ],
)
def test_an_answer_that_is_no_allow_is_never_taken_for_one(speaks: str, allow: bytes, deny: bytes) -> None:
    assert READERS[speaks](allow)
    assert not READERS[speaks](deny)


async def test_a_wrong_answer_ends_a_run_without_a_figure() -> None:
    tally = Tally(seconds=5.0)
    tally.note(time.perf_counter())
    tally.fail("a deny")
    with pytest.raises(WrongAnswer, match="a deny"):
        await tally.unless_failed(asyncio.get_running_loop().create_future())


def test_nothing_is_written_of_a_run_that_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "FOLDER", tmp_path)
    ended_by = signal.getsignal(signal.SIGTERM)

    async def fails(_chosen: argparse.Namespace, folder: Path) -> report.Results:
        (folder / "half").write_text("a figure")
        raise WrongAnswer("a deny")

    try:
        with pytest.raises(SystemExit, match="bench: FAILED, nothing was written: a deny"):
            command.Command("bench", "results.json").carried_out(fails, argparse.Namespace())
    finally:
        signal.signal(signal.SIGTERM, ended_by)
    assert list(tmp_path.iterdir()) == []


async def test_a_run_goes_on_until_one_answer_counts_however_slow_answers_are() -> None:
    began = time.perf_counter()
    tally = Tally(seconds=0.001)
    made = time.perf_counter()
    while time.perf_counter() - made < 0.01:
        pass  # the first answer comes when time is up
    assert tally.note(began), "the first was asked while warming up, so it does not count"
    assert not tally.note(time.perf_counter())
    assert tally.measured().asked == 2


def test_each_question_that_must_be_denied_lacks_one_thing() -> None:
    good_one = Question()
    for question in DENIES:
        differing = [name for name in Question._fields if getattr(question, name) != getattr(good_one, name)]
        assert len(differing) == 2, f"what it lacks, and {differing}"
