"""Background work goes on after whatever happens to it, says so once, and stops when told."""

import asyncio
import logging

import pytest

from pdp.recurring import Recurring

pytestmark = pytest.mark.promise("service.goes_on")


async def test_a_round_that_fails_or_hangs_is_logged_once_and_the_next_comes(caplog: pytest.LogCaptureFixture) -> None:
    rounds: list[int] = []
    enough = asyncio.Event()

    async def step() -> None:
        rounds.append(len(rounds))
        if rounds[-1] in {0, 1}:
            raise KeyError("nobody foresaw this")
        if rounds[-1] == 2:
            await asyncio.Event().wait()
        if rounds[-1] == 4:
            enough.set()

    work = Recurring("the work", step, pause_s=0.001, within_s=0.05)
    with caplog.at_level(logging.WARNING, "pdp.recurring"):
        work.start()
        await asyncio.wait_for(enough.wait(), 10)
        await work.close()
    said = [record.getMessage() for record in caplog.records]
    assert ["KeyError" in line for line in said] == [True, False, False], said
    assert "TimeoutError" in said[1]
    assert "goes on" in said[2]


async def test_closing_leaves_nothing_running() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def step() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    work = Recurring("the work", step, pause_s=0.001)
    work.start()
    await asyncio.wait_for(begun.wait(), 10)
    await work.close()
    assert ended.is_set()
    assert asyncio.all_tasks() == {asyncio.current_task()}
