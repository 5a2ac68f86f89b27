"""One service for the whole suite: its tests only ask."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.service import Bench, calm, running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def pdp(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    """Return the running service."""
    path: Path = tmp_path_factory.mktemp("pdp")
    async with running(path / "data", org_dir=calm(path / "org")) as bench:
        yield bench
