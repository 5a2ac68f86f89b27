"""One timer for many deadlines: each is kept, and no other cancellation is mistaken for one."""

import asyncio

import pytest

from pdp.deadlines import MOST_LET_GO, Deadlines

from .engines import SLACK, now

pytestmark = pytest.mark.promise("engine.deadline")


async def limited(deadlines: Deadlines, within: float) -> float:
    """Wait for ever within a deadline; return how long it took to be told."""
    started = now()
    with pytest.raises(TimeoutError), deadlines.at(started + within):
        await asyncio.Event().wait()
    return now() - started


@pytest.mark.parametrize("order", [[0.05, 0.1, 0.15], [0.15, 0.1, 0.05], [0.1, 0.1, 0.1], [0.1, 0.05, 0.15]])
async def test_every_deadline_is_kept_in_whatever_order_they_come(order: list[float]) -> None:
    deadlines = Deadlines()
    took = await asyncio.gather(*(limited(deadlines, within) for within in order))
    for within, actual in zip(order, took, strict=True):
        assert within - 0.002 <= actual < within + SLACK


async def test_a_deadline_is_kept_after_earlier_calls_were_done_in_time() -> None:
    deadlines = Deadlines()
    for _ in range(5):
        with deadlines.at(now() + 0.02):
            await asyncio.sleep(0)
    assert await limited(deadlines, 0.1) < 0.1 + SLACK
    assert await limited(deadlines, 0.01) < 0.01 + SLACK


async def test_a_deadline_that_has_passed_already_ends_the_call() -> None:
    assert await limited(Deadlines(), -1) < SLACK


async def test_a_call_that_is_done_in_time_is_not_disturbed_later() -> None:
    deadlines = Deadlines()
    with deadlines.at(now() + 0.02):
        await asyncio.sleep(0)
    with deadlines.at(now() + 0.04):
        await asyncio.sleep(0)
    assert await limited(deadlines, 0.06) >= 0.058
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_a_cancelled_call_stays_cancelled() -> None:
    deadlines = Deadlines()

    async def call() -> None:
        with deadlines.at(now() + 5):
            await asyncio.Event().wait()

    task = asyncio.create_task(call())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_error_of_the_call_passes_through() -> None:
    with pytest.raises(LookupError), Deadlines().at(now() + 5):
        raise LookupError


async def test_cancelled_and_late_at_once_is_cancelled() -> None:
    deadlines = Deadlines()

    async def call() -> None:
        with deadlines.at(now() + 0.01):
            await asyncio.Event().wait()

    task = asyncio.create_task(call())
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_later(0.01, task.cancel)
    with pytest.raises((asyncio.CancelledError, TimeoutError)):
        await task
    assert task.cancelled() or task.cancelling() == 0


async def test_an_outer_timeout_at_the_same_moment_ends_as_a_timeout() -> None:
    deadlines = Deadlines()

    async def call(when: float) -> None:
        async with asyncio.timeout_at(when):
            with deadlines.at(when):
                await asyncio.Event().wait()

    for _ in range(20):
        with pytest.raises(TimeoutError):
            await call(now() + 0.005)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0, "a cancellation was left over"


async def test_what_does_not_let_go_when_it_is_cancelled_holds_up_nobody_and_ends_by_itself() -> None:
    loop, deadlines, lets_go, ended = asyncio.get_running_loop(), Deadlines(), asyncio.Event(), asyncio.Event()

    async def stubborn() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await lets_go.wait()  # as a driver that clears up behind a cancelled call
            ended.set()

    with pytest.raises(TimeoutError):
        await deadlines.keep(loop.time() + 0.01, stubborn())
    assert not ended.is_set()
    lets_go.set()
    await asyncio.wait_for(ended.wait(), 5)


async def test_while_too_many_have_not_let_go_nothing_new_is_begun_and_then_it_goes_on() -> None:
    loop, deadlines, lets_go, begun = asyncio.get_running_loop(), Deadlines(), asyncio.Event(), 0

    async def stubborn() -> None:
        nonlocal begun
        begun += 1
        try:
            await asyncio.Event().wait()
        finally:
            await lets_go.wait()

    async def given_up() -> None:
        with pytest.raises(TimeoutError):
            await deadlines.keep(loop.time() + 0.01, stubborn())

    await asyncio.gather(*(given_up() for _ in range(MOST_LET_GO)))
    await given_up()
    assert begun == MOST_LET_GO, "one more was begun, though none has let go"
    lets_go.set()
    await deadlines.close()
    await given_up()
    assert begun == MOST_LET_GO + 1


async def test_what_is_done_in_time_gives_its_result_or_its_error() -> None:
    later = asyncio.get_running_loop().time() + 5

    async def done(error: Exception | None = None) -> int:
        if error is not None:
            raise error
        return 7

    assert await Deadlines().keep(later, done()) == 7
    with pytest.raises(KeyError):
        await Deadlines().keep(later, done(KeyError("x")))


async def test_what_never_lets_go_holds_up_a_stop_for_a_while_only(caplog: pytest.LogCaptureFixture) -> None:
    deadlines, lets_go = Deadlines(), asyncio.Event()

    async def stubborn() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.wait_for(lets_go.wait(), 5)

    with pytest.raises(TimeoutError):
        await deadlines.keep(now() + 0.01, stubborn())
    async with asyncio.timeout(5):
        await deadlines.close(0.05)
        assert "1 calls" in caplog.text
        lets_go.set()
        await deadlines.close()
