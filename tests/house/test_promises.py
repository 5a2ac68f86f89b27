"""Every promise has a test, and every test names a promise."""

import ast
from pathlib import Path

import pytest

from tests.promises import PROMISES

pytestmark = pytest.mark.promise("house.promises")
TESTS = Path(__file__).parent.parent


def named(node: ast.AST) -> set[str]:
    """Return the promise ids that an expression or a list of decorators mentions."""
    calls = [n for n in ast.walk(node) if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute)]
    return {
        str(argument.value)
        for call in calls
        if isinstance(call.func, ast.Attribute) and call.func.attr == "promise"
        for argument in call.args
        if isinstance(argument, ast.Constant)
    }


def module_promises(tree: ast.Module) -> set[str]:
    """Return the promises of a module-wide `pytestmark`."""
    marks = [n for n in tree.body if isinstance(n, ast.Assign) and getattr(n.targets[0], "id", "") == "pytestmark"]
    return set().union(*(named(mark) for mark in marks))


def named_by_test() -> dict[str, set[str]]:
    """Return every test function of the suite with the promises it names."""
    found = {}
    for path in TESTS.rglob("test_*.py"):
        tree = ast.parse(path.read_text())
        wide = module_promises(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                own = set().union(*(named(decorator) for decorator in node.decorator_list))
                found[f"{path.relative_to(TESTS)}::{node.name}"] = own or wide
    return found


def test_every_test_names_a_promise_that_exists() -> None:
    wrong = {test: names for test, names in named_by_test().items() if not names or names - PROMISES.keys()}
    missing = sorted(set().union(*wrong.values()) - PROMISES.keys())
    bare = [test for test, names in wrong.items() if not names]
    assert not wrong, f"add these to tests/promises.py: {missing}; name a promise for these tests: {bare}"


def test_every_promise_is_kept_by_a_test() -> None:
    kept = set().union(*named_by_test().values())
    assert not PROMISES.keys() - kept, "promises without a test"
