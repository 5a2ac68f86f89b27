"""`make demo` as a test: every row ends as the demo says, and can be explained afterwards."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from pdp.dev.demo import Call, differences, play, show
from pdp.dev.processes import command
from pdp.dev.rows import ROWS

pytestmark = pytest.mark.promise("demo")


@pytest.mark.timeout(180)  # four processes and OPA start on what may be a busy machine
async def test_every_row_of_the_demo_ends_as_it_should_and_can_be_explained(tmp_path: Path) -> None:
    rows = await play(tmp_path)
    assert [(seen.who, seen.tool, seen.wrong) for seen in rows if seen.wrong] == []
    assert len(rows) == len(ROWS)
    assert len({seen.id for seen in rows}) == len(rows)
    denied = next(seen for seen in rows if seen.decision == "deny")
    told = json.loads(await command({"PDP_DATA_DIR": str(tmp_path / "pdp")}, "why", denied.id, "--json"))
    assert told["record"]["decision"] == "deny"
    assert {reason["code"] for reason in told["record"]["reasons"]} == set(denied.because)
    shown = io.StringIO()
    show(rows, tmp_path, Console(file=shown, width=150))
    assert f"pdp why {denied.id}" in shown.getvalue()
    assert all(seen.receipt in shown.getvalue() for seen in rows)


def test_a_row_that_ends_otherwise_is_noticed() -> None:
    allowed, denied = ROWS[0], next(row for row in ROWS if row.decision == "deny")
    fine = Call(allowed, "dec_1", '"refunded": 40', ran=True, failed=False)
    assert differences(fine, "allow", []) == []
    assert differences(fine, "deny", ["permits.none"])
    assert differences(Call(allowed, "dec_1", "", ran=False, failed=False), "allow", [])
    because = sorted(denied.because)
    kept = Call(denied, "dec_1", "Denied. The tool did not run.", ran=False, failed=True)
    assert differences(kept, "deny", because) == []
    assert differences(kept, "deny", because[1:])
    assert differences(Call(denied, "dec_1", "Denied. The tool did not run.", ran=True, failed=True), "deny", because)
    hiding = next(row for row in ROWS if row.hides)
    leaked = Call(hiding, "dec_1", f"{hiding.shows} {hiding.hides}", ran=True, failed=False)
    assert differences(leaked, "allow", []) == ["the caller read what is to be hidden"]
