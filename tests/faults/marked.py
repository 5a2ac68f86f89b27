"""Which tests break which rows: read from the sources, so that nothing has to be run or imported."""

import ast
from functools import cache
from pathlib import Path

TESTS = Path(__file__).parent.parent


@cache
def marked() -> dict[str, set[str]]:
    """Return the rows that each marked test names, by `file::test`; of a module's mark as well as of its own."""
    found: dict[str, set[str]] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        tree = ast.parse(path.read_text())
        marks = [node for node in tree.body if isinstance(node, ast.Assign) and "pytestmark" in ast.unparse(node)]
        wide = [rows for mark in marks if (rows := _rows(mark)) is not None]
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                own = [rows for decorator in node.decorator_list if (rows := _rows(decorator)) is not None]
                if own or wide:
                    found[f"{path.relative_to(TESTS)}::{node.name}"] = set().union(*(own or wide))
    return found


def _rows(node: ast.AST) -> set[str] | None:
    """Return what the `fault` marks of an expression name; None when there is none."""
    calls = [n for n in ast.walk(node) if isinstance(n, ast.Call) and ast.unparse(n.func) == "pytest.mark.fault"]
    named = [str(argument.value) for call in calls for argument in call.args if isinstance(argument, ast.Constant)]
    return set(named) if calls else None
