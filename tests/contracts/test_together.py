"""Questions to the store that are asked together: each is answered by one that began after it was asked."""

import asyncio
import gc
from collections.abc import Mapping
from typing import Any

import pytest

from pdp.deadlines import Deadlines
from pdp.store.together import MOST_HANGING, Together

pytestmark = pytest.mark.promise("api.outcome")

WITHIN_S = 0.05


class Asked:
    """A store that answers when it is let; it is broken while `broken`."""

    def __init__(self) -> None:
        self.questions: list[set[str]] = []
        self.let = asyncio.Event()
        self.broken = False
        self.known = {"a": 1, "b": 2}

    async def __call__(self, keys: set[str]) -> Mapping[str, int]:
        self.questions.append(set(keys))
        known = dict(self.known)  # as it stood when the question began
        await self.let.wait()
        if self.broken:
            raise OSError("the store is away")
        return {key: known[key] for key in keys if key in known}


async def begun(asked: Asked, together: Together[str, int], *keys: str) -> list[asyncio.Task[int | None]]:
    """Ask for keys, side by side, and return when the first question is under way."""
    tasks = [asyncio.create_task(together.get(key)) for key in keys]
    async with asyncio.timeout(5):
        while not asked.questions:  # noqa: ASYNC110  # it announces nothing
            await asyncio.sleep(0)
    return tasks


async def test_who_comes_while_a_question_is_asked_is_answered_by_the_next_together_with_others() -> None:
    asked = Asked()
    together = Together(asked, Deadlines())
    first = await begun(asked, together, "a")
    more = [asyncio.create_task(together.get(key)) for key in ("a", "b", "stranger")]
    await asyncio.sleep(0)
    asked.known["a"] = 3  # after the first question began
    asked.let.set()
    assert await asyncio.gather(*first, *more) == [1, 3, 2, None]
    assert asked.questions == [{"a"}, {"a", "b", "stranger"}]


async def test_when_a_question_fails_it_fails_for_all_it_was_for_and_whoever_comes_asks_again() -> None:
    asked = Asked()
    together = Together(asked, Deadlines())
    asked.broken = True
    first = await begun(asked, together, "a")
    more = [asyncio.create_task(together.get(key)) for key in ("a", "b")]
    await asyncio.sleep(0)
    asked.let.set()
    ended = await asyncio.gather(*first, *more, return_exceptions=True)
    assert [type(end) for end in ended] == [OSError] * 3
    assert asked.questions == [{"a"}, {"a", "b"}], "a store that hangs makes nobody wait a third time"
    asked.broken = False
    assert await together.get("a") == 1


async def test_who_gives_up_while_it_asks_for_all_leaves_the_question_to_the_others() -> None:
    asked = Asked()
    together = Together(asked, Deadlines())
    leader, other = await begun(asked, together, "a", "b")
    leader.cancel()
    asked.let.set()
    assert await other == 2
    assert leader.cancelled() or leader.cancelling()


class Hanging:
    """A store of which the first `hangs` questions are never answered, and do not let go when they are cancelled."""

    def __init__(self, hangs: int) -> None:
        self.hangs, self.questions = hangs, 0
        self.lets_go = asyncio.Event()

    async def __call__(self, keys: set[str]) -> Mapping[str, int]:
        self.questions += 1
        if self.questions > self.hangs:
            return dict.fromkeys(keys, self.questions)
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.wait_for(self.lets_go.wait(), 5)  # as a driver that clears up behind a cancelled call
        raise AssertionError


async def test_a_question_that_hangs_is_late_for_those_it_was_for_and_the_next_goes_ahead() -> None:
    hanging = Hanging(hangs=1)
    together = Together(hanging, Deadlines(), WITHIN_S)
    first = asyncio.create_task(together.get("a"))
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        assert await together.get("b") == 2
        with pytest.raises(TimeoutError):
            await first
    hanging.lets_go.set()


async def test_while_too_many_that_were_late_have_not_let_go_none_is_asked_and_then_it_goes_on() -> None:
    hanging = Hanging(hangs=MOST_HANGING)
    together = Together(hanging, Deadlines(), WITHIN_S)
    async with asyncio.timeout(5):
        for _ in range(MOST_HANGING + 2):
            with pytest.raises(TimeoutError):
                await together.get("a")
        assert hanging.questions == MOST_HANGING, "each holds a connection that others need"
        hanging.lets_go.set()
        while (found := await tried(together)) is None:  # noqa: ASYNC110  # it announces nothing
            await asyncio.sleep(0)
        assert found > MOST_HANGING


async def tried(together: Together[str, int]) -> int | None:
    """Ask, and return None when that is late."""
    try:
        return await together.get("a")
    except TimeoutError:
        return None


async def test_a_question_that_fails_when_all_its_askers_have_gone_is_nobodys_trouble() -> None:
    asked, told = Asked(), list[dict[str, Any]]()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    asked.broken = True
    together = Together(asked, Deadlines())
    gone = await begun(asked, together, "a")
    gone[0].cancel()
    await asyncio.wait(gone)
    gone.clear()
    asked.let.set()
    async with asyncio.timeout(5):
        while len(asyncio.all_tasks()) > 1:  # noqa: ASYNC110  # its question belongs to nobody
            await asyncio.sleep(0)
    gc.collect()
    assert told == []
