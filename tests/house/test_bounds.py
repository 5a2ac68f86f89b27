"""The page for operators names every bound, with the number that the code has; and no queue is without one."""

import ast
import importlib
import re

import pytest

from pdp.settings import Settings
from tests.conftest import ROOT
from tests.house.test_form import name_of, trees

pytestmark = pytest.mark.promise("api.bounds")

PAGE = (ROOT / "docs" / "operations" / "README.md").read_text()
ROWS = re.findall(r"^\| [^|]+ \| `([\w.]+)` \| ([^|]+) \| ([^|]+) \|$", PAGE.partition("## Bounds")[2], re.MULTILINE)
OTHERS = {"PDP_OPA_CONNECTIONS": "2 x cores", "OTEL_BSP_MAX_QUEUE_SIZE": "2048"}  # by the machine; by OpenTelemetry
BOUNDED_ELSEWHERE = {  # by what stands beside it: look there before you add a line here
    "audit/log.py": "MAX_WAITING",
    "engine/wasm.py": "THREADS",
}
QUEUES = {"Queue", "SimpleQueue", "LifoQueue", "PriorityQueue", "deque", "lru_cache", "cache"}
FEW = {"api/metrics.py", "app.py", "times.py"}  # three outcomes; one OPA; 4,096 written out in its decorator


def number(name: str) -> str:
    """Return the number behind a name of the table, as it is written there."""
    if name in OTHERS:
        return OTHERS[name]
    if name.startswith("PDP_"):
        return str(Settings.model_fields[name.removeprefix("PDP_").lower()].default)
    module, _, constant = name.rpartition(".")
    return str(getattr(importlib.import_module(f"pdp.{module}"), constant))


def test_the_table_of_bounds_says_what_the_code_says() -> None:
    assert len(ROWS) > 50
    wrong = {name: number(name) for name, said, _ in ROWS if number(name) != said}
    assert not wrong, f"the numbers by now: {wrong}"
    assert all(beyond.strip() for _, _, beyond in ROWS)


def test_no_queue_and_no_cache_is_without_a_bound() -> None:
    loose = []
    for path, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and node.args.args:  # what takes nothing has one value
                bare = {getattr(item, "id", "") for item in node.decorator_list}
                loose += [f"{name_of(path)}:{node.lineno} @cache"] if "cache" in bare else []
            if not isinstance(node, ast.Call):
                continue
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            limited = any(word.arg in {"maxsize", "maxlen"} for word in node.keywords) or (
                bool(node.args) and called not in {"cache", "deque"}
            )
            where = name_of(path)
            if called in QUEUES and not limited and where not in BOUNDED_ELSEWHERE.keys() | FEW:
                loose.append(f"{where}:{node.lineno} {called}")
    assert not loose, f"give it a size, or say in this file what bounds it: {loose}"
    for where, constant in BOUNDED_ELSEWHERE.items():
        assert re.search(rf"^{constant} = \d+", (ROOT / "pdp" / where).read_text(), re.MULTILINE), where
