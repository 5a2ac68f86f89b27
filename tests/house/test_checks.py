"""The published list of checks is what the code does."""

import ast
from pathlib import Path

import pytest

from pdp.errors import REFUSALS
from pdp.identity.checks import CHECKS

pytestmark = pytest.mark.promise("house.docs")
FOLDER = Path(__file__).parent.parent.parent / "pdp" / "identity"
MODULES = ("jose", "tokens", "keys", "signature", "claims", "possession", "dpop", "replays")


def codes_in(module: str) -> set[str]:
    """Return the refusal codes a module can raise by itself; keys of a translation table are not raised."""
    tree = ast.parse((FOLDER / f"{module}.py").read_text())
    translated = {key for node in ast.walk(tree) if isinstance(node, ast.Dict) for key in node.keys}
    constants = [n for n in ast.walk(tree) if isinstance(n, ast.Constant) and n not in translated]
    return {n.value for n in constants if n.value in REFUSALS}


@pytest.mark.parametrize("module", MODULES)
def test_a_module_refuses_with_exactly_the_codes_that_are_listed_for_it(module: str) -> None:
    listed = {code for check in CHECKS if check.module == module for code in check.codes}
    assert codes_in(module) == listed


def test_every_number_stands_where_its_check_is_done() -> None:
    lines = [line for module in MODULES for line in (FOLDER / f"{module}.py").read_text().splitlines() if "# " in line]
    comments = [line.partition("# ")[2] for line in lines]
    numbers = {check.number for check in CHECKS}
    assert numbers == numbers & {
        word.rstrip(".") for comment in comments for word in comment.split() if word[-1] == "."
    }
