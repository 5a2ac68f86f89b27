"""The decision tables of the pack, row by row, through a real OPA and the PDP's own reading of its reply."""

import msgspec
import pytest

from pdp.adapters.duties import read_duties
from pdp.decide import read_reply, verdict_from
from pdp.policy.cases import Row, Table, mode_of, read_table
from pdp.policy.pack import Pack, PackRefused, default_pack_dir
from pdp.policy.sources import Text
from tests.policy.engine import Asked

pytestmark = pytest.mark.promise("policy.cases")
FILES = sorted((default_pack_dir() / "cases").glob("*.yaml"))
TABLES = [read_table(Text(file.name, file.read_text())) for file in FILES]
OWING = [pytest.param(table, row, id=row.case) for table in TABLES for row in table.cases if row.duties]
ROWS = [pytest.param(table, row, id=row.case) for table in TABLES for row in table.cases]


@pytest.mark.parametrize(("table", "row"), ROWS)
def test_the_row_comes_out_as_the_table_says(table: Table, row: Row, asked: Asked, pack: Pack) -> None:
    reply = asked.verdict(msgspec.to_builtins(table.input_of(row)))
    verdict = verdict_from(read_reply(msgspec.json.encode(reply), pack), pack)
    assert verdict.effect == row.expect
    assert sorted(reason.code for reason in verdict.reasons) == sorted(row.because)
    assert [duty["type"] for duty in verdict.duties] == row.duties


@pytest.mark.promise("adapter.duties")
@pytest.mark.parametrize(("table", "row"), OWING)
def test_the_duties_of_a_row_are_ones_that_our_adapter_can_perform(table: Table, row: Row, asked: Asked) -> None:
    read_duties(asked.verdict(msgspec.to_builtins(table.input_of(row)))["duties"])


def test_every_way_of_acting_has_a_case_of_every_effect() -> None:
    seen = {(mode_of(row), row.expect) for table in TABLES for row in table.cases}
    modes = ("user_direct", "user_delegated", "autonomous")
    assert seen == {(mode, effect) for mode in modes for effect in ("allow", "deny", "needs_approval")}


def test_every_guard_gate_and_duty_has_a_case_that_it_decides(pack: Pack) -> None:
    reasons = {code for table in TABLES for row in table.cases for code in row.because}
    duties = {f"duties.{duty}" for table in TABLES for row in table.cases for duty in row.duties}
    decided = {code for code in pack.rules if not code.startswith("permits.")}
    assert decided == (reasons | duties) - {"permits.none"}


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("tools: {}\ncases: [{case: x, tool: a/b, expect: allow, person: p}]", "cannot be put together"),
        ("tools: {a/b: {risk_class: read}}\ncases: [{case: x, tool: a/b, expect: allow}]", "neither a person"),
        ("tools: {}\ncases: [{case: x, tool: a/b, expect: maybe}]", "maybe"),
        ("tools: {}\ncases: []\npeple: {}", "peple"),
        ("tools: {}\ncases: []\ncases: []", "stands twice"),
        ("tools: [", "not YAML"),
    ],
)
def test_a_table_that_cannot_be_read_is_refused_with_its_name(text: str, wrong: str) -> None:
    with pytest.raises(PackRefused, match=wrong) as refused:
        read_table(Text("mine.yaml", text))
    assert refused.value.problems[0].file == "mine.yaml"


def test_the_tables_are_where_the_package_keeps_them() -> None:
    assert [file.stem for file in FILES] == [
        "agents_alone",
        "agents_for_people",
        "approvals",
        "arguments",
        "duties_apart",
        "people_directly",
        "time",
    ]
