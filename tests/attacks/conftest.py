"""The loop of hostile HTTP."""

import asyncio
from collections.abc import Callable

import pytest
import uvloop


def pytest_asyncio_loop_factories(
    config: pytest.Config,  # the plugin's signature
    item: pytest.Item,
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run hostile HTTP on uvloop, as the service does: the two loops close, drop and write in different ways."""
    if item.path.name == "test_hostile_http.py":
        return {"uvloop": uvloop.new_event_loop}
    return {"asyncio": asyncio.new_event_loop}
