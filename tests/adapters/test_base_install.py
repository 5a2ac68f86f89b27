"""The adapter runs on the base install: it loads nothing that belongs to the service."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.promise("adapter.base_install")

OF_THE_SERVICE = {
    "fastapi",
    "sqlalchemy",
    "alembic",
    "aiosqlite",
    "jsonschema_rs",
    "prometheus_client",
    "yaml",
}
LOADED = "import sys, pdp.adapters.sdk; print(' '.join(sorted({name.split('.')[0] for name in sys.modules})))"


def test_the_adapter_loads_nothing_of_the_service() -> None:
    loaded = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True).stdout.split()
    assert not OF_THE_SERVICE & set(loaded)
    assert {"mcp", "httpx", "msgspec", "rfc8785"} <= set(loaded)
