"""The house rules that a machine can check: sizes, imports, excepts, docstrings. Each failure says what to do."""

import ast
from pathlib import Path

import pytest

pytestmark = pytest.mark.promise("house.form")
ROOT = Path(__file__).parent.parent.parent
FILES = sorted(path for path in (ROOT / "pdp").rglob("*.py") if "migrations" not in path.parts)
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 45
ADAPTERS_MAY_IMPORT = {"query", "answer", "errors", "net"}
HTTPX_ALLOWED = {"net.py"}
SETTINGS_ALLOWED = {"app.py", "settings.py"}


def trees() -> list[tuple[Path, ast.Module]]:
    """Return every file of the package, parsed."""
    return [(path, ast.parse(path.read_text())) for path in FILES]


def name_of(path: Path) -> str:
    """Return a file's path inside the package."""
    return path.relative_to(ROOT / "pdp").as_posix()


def imports(tree: ast.Module) -> list[str]:
    """Return every module a file imports, relative ones with their dots."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        if isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            found += [module] if node.module else [module + alias.name for alias in node.names]
    return found


def test_no_file_is_longer_than_one_idea() -> None:
    long = [name_of(path) for path in FILES if len(path.read_text().splitlines()) > MAX_FILE_LINES]
    assert not long, f"split by idea: {long}"


def test_no_function_is_longer_than_a_screen() -> None:
    long = []
    for path, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                if body and (body[-1].end_lineno or 0) - body[0].lineno + 1 > MAX_FUNCTION_LINES:
                    long.append(f"{name_of(path)}:{node.name}")
    assert not long, f"split these functions: {long}"


def test_the_only_broad_except_stands_in_flow() -> None:
    broad = []
    for path, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.ExceptHandler):
                names = {n.id for n in ast.walk(node.type) if isinstance(n, ast.Name)} if node.type else {"bare"}
                if names & {"Exception", "BaseException", "bare"}:
                    broad.append(name_of(path))
    assert broad == ["flow.py"], "name the exceptions you expect; flow.py turns the others into a recorded deny"


def test_only_net_imports_httpx() -> None:
    wrong = [name_of(p) for p, t in trees() if any(i.split(".")[0] == "httpx" for i in imports(t))]
    assert set(wrong) <= HTTPX_ALLOWED, f"ask net.py instead: {wrong}"


def test_adapters_import_only_query_answer_errors_and_net() -> None:
    wrong = [
        (name_of(path), module)
        for path, tree in trees()
        if path.parent.name == "adapters"
        for module in imports(tree)
        if module.startswith("..") and module.lstrip(".").split(".")[0] not in ADAPTERS_MAY_IMPORT
    ]
    assert not wrong, f"an adapter must run on the base install: {wrong}"


def test_sql_is_written_in_the_store_only() -> None:
    wrong = [
        name_of(path)
        for path, tree in trees()
        if path.parent.name != "store"
        and {i.split(".")[0] for i in imports(tree)} & {"sqlalchemy", "alembic", "sqlite3"}
    ]
    assert not wrong, f"move the SQL into pdp/store: {wrong}"


def test_only_the_composition_root_and_the_command_line_build_settings() -> None:
    wrong = [
        name_of(path)
        for path, tree in trees()
        if path.parent.name not in {"cli", "dev"}
        and path.name not in SETTINGS_ALLOWED
        and any(i.lstrip(".").split(".")[0] == "settings" for i in imports(tree))
    ]
    assert not wrong, f"pass the value in instead: {wrong}"


def test_only_the_application_imports_the_api() -> None:
    wrong = [
        name_of(path)
        for path, tree in trees()
        if path.name != "app.py" and path.parent.name != "api"
        if "api" in {i.lstrip(".").split(".")[0] for i in imports(tree)}
    ]
    assert not wrong, f"nothing but app.py imports api: {wrong}"


def test_every_module_and_public_name_has_a_docstring() -> None:
    missing = []
    for path, tree in trees():
        if not ast.get_docstring(tree):
            missing.append(name_of(path))
        for node in tree.body:
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) or node.name.startswith("_"):
                continue
            if not ast.get_docstring(node):
                missing.append(f"{name_of(path)}:{node.name}")
    assert not missing, f"say what it is, in what shape, and what it raises: {missing}"


def test_every_refusal_code_is_used_and_every_used_code_has_words() -> None:
    from pdp.errors import REFUSALS

    used = set()
    for path, tree in trees():
        if path.name == "errors.py":
            continue
        used |= {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and n.value in REFUSALS}
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Refused" and node.args:
                first = node.args[0]
                assert not isinstance(first, ast.Constant) or first.value in REFUSALS, (
                    f"{name_of(path)}: {first.value!r}"
                )
    assert not REFUSALS.keys() - used, "remove these codes, or use them"


def test_no_exception_is_raised_twice() -> None:
    wrong = [
        f"{name_of(path)}:{node.lineno}"
        for path, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Name) and node.exc.id.isupper()
    ]
    assert not wrong, (
        f"each raise adds its frames, with all that is in them, to the same object: raise a fresh one: {wrong}"
    )
