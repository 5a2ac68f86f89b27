"""Every row of the fail-closed table has a test that breaks something, and every such test names a row."""

import re

import pytest

from tests.conftest import ROOT
from tests.faults import ROWS
from tests.faults.controls import CONTROLS, Control
from tests.faults.marked import marked
from tests.faults.prove import switched_off

pytestmark = pytest.mark.promise("house.faults")


def test_every_test_of_a_fault_names_rows_that_exist() -> None:
    wrong = {test: sorted(rows - ROWS.keys()) for test, rows in marked().items() if not rows or rows - ROWS.keys()}
    assert not wrong, "add these rows to tests/faults/__init__.py, or correct the marks"


def test_every_row_has_a_test_that_breaks_something() -> None:
    assert not ROWS.keys() - set().union(*marked().values()), "rows of the fail-closed table without a test"


def test_rows_are_words_that_are_read_at_a_glance() -> None:
    assert all(re.fullmatch(r"[a-z]+\.[a-z0-9_]+", row) for row in ROWS)
    assert all(len(row.breaks) + len(row.answer) < 110 for row in ROWS.values())


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.row)
def test_a_control_that_is_switched_off_to_prove_its_test_stands_where_it_is_said_to(control: Control) -> None:
    assert switched_off(control, (ROOT / control.file).read_text())
    named = control.test.removeprefix("tests/")
    assert control.row in marked().get(named, set()), "a control is proven by a test of its own row"
