"""One real PDP for the tests of the adapter: they only ask."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.adapters.stage import Pdp, real_pdp


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def pdp(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pdp]:
    """Return a PDP on loopback that knows the sample people and tools."""
    async with real_pdp(tmp_path_factory.mktemp("adapters")) as running:
        yield running
