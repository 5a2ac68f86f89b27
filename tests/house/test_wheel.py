"""What is installed is whole: the wheel carries the policy pack, the migrations and the sample data."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
OTHERS = {"pdp/rego/config.yaml", "pdp/rego/capabilities.json", "pdp/py.typed"}


@pytest.mark.slow
@pytest.mark.promise("house.wheel")
def test_the_wheel_carries_every_rule_and_every_module(tmp_path: Path) -> None:
    where = [str(tmp_path), str(ROOT)]
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", *where]
    subprocess.run(command, check=True, timeout=55)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        names = set(wheel.namelist())
    rules = {f"pdp/{path.relative_to(ROOT)}" for path in (ROOT / "rego").rglob("*.rego")}
    shipped = {rule for rule in rules if not rule.endswith("_test.rego") and "/.regal/" not in rule}
    tables = {f"pdp/{path.relative_to(ROOT)}" for path in (ROOT / "rego" / "cases").glob("*.yaml")}
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "pdp").rglob("*.py")}
    pages = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "pdp").rglob("*")
        if path.suffix in {".html", ".css", ".js", ".svg"}
    }
    assert tables
    assert pages
    drafts = {str(path.relative_to(ROOT)) for path in (ROOT / "pdp/policy/drafts").glob("*/*")}
    assert len(drafts) == 12
    assert shipped | tables | modules | pages | drafts | OTHERS <= names
    assert not any(name.endswith("_test.rego") for name in names)
