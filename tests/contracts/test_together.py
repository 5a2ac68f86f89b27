"""Questions to the store that are asked together: each is answered by one that began after it was asked."""

import asyncio
from collections.abc import Mapping

import pytest

from pdp.store.together import Together

pytestmark = pytest.mark.promise("api.outcome")


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
    together = Together(asked)
    first = await begun(asked, together, "a")
    more = [asyncio.create_task(together.get(key)) for key in ("a", "b", "stranger")]
    await asyncio.sleep(0)
    asked.known["a"] = 3  # after the first question began
    asked.let.set()
    assert await asyncio.gather(*first, *more) == [1, 3, 2, None]
    assert asked.questions == [{"a"}, {"a", "b", "stranger"}]


async def test_when_a_question_fails_it_fails_for_all_it_was_for_and_whoever_comes_asks_again() -> None:
    asked = Asked()
    together = Together(asked)
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
    together = Together(asked)
    leader, other = await begun(asked, together, "a", "b")
    leader.cancel()
    asked.let.set()
    assert await other == 2
    assert leader.cancelled() or leader.cancelling()
