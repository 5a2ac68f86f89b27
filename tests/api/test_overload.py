"""Too much at once: a deny at once, in bounded memory, and room for every other adapter."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import pytest

from pdp.api.admission import LEAST, Learning, Overloaded, Places
from pdp.api.decisions import ARRIVING_OF_ONE
from pdp.audit.read import Reader
from pdp.engine.local import LocalOpa
from tests.contracts.engines import until
from tests.service import Bench, add_pep, calm, running

pytestmark = pytest.mark.promise("api.overload")


def recorded(pdp: Bench) -> int:
    """Return how many decisions the log holds."""
    return sum(b'"kind":"decision"' in line for line in Reader(pdp.service.world.log.directory).lines())


@pytest.mark.asyncio(loop_scope="session")
async def test_beyond_its_places_an_adapter_is_denied_at_once_and_another_is_decided(tmp_path: Path) -> None:
    async with running(tmp_path / "data", max_underway=4, org_dir=calm(tmp_path / "org")) as pdp:
        await pdp.ask()
        other = await add_pep(pdp.settings, pdp.clock, scopes=["decide"])
        await pdp.service.peps.poll()
        before = recorded(pdp)
        burst = [pdp.post("/v1/decisions", pdp.query()) for _ in range(12)]
        theirs = pdp.post("/v1/decisions", pdp.query(), Authorization=f"Bearer {other}")
        *given, allowed = await asyncio.gather(*burst, theirs)
        assert (allowed.status_code, allowed.json()["decision"]) == (200, "allow")
        turned_away = [response for response in given if response.status_code == 503]
        decided = [response for response in given if response.status_code == 200]
        assert len(turned_away) + len(decided) == len(given)
        assert len(decided) >= 2, "as many as it has places"
        assert turned_away
        for response in turned_away:
            said = response.json()
            assert (said["decision"], said["code"], said["reasons"][0]["code"]) == ("deny", "overload", "overload")
            assert response.headers["retry-after"] == "1"
            assert response.headers["content-type"] == "application/problem+json"
        assert (await pdp.ask())["decision"] == "allow", "its places are free again"
        assert recorded(pdp) - before == len(decided) + 2, "who was turned away was not decided"


def test_one_adapter_holds_half_of_the_places_and_all_together_no_more_than_there_are() -> None:
    places = Places(4)
    with places.taken("a"), places.taken("a"):
        with pytest.raises(Overloaded), places.taken("a"):
            pass
        with places.taken("b"), places.taken("c"), pytest.raises(Overloaded), places.taken("d"):
            pass
        with places.taken("d"):
            pass
    with places.taken("a"):
        pass


class Seconds:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def ask(places: Learning, clock: Seconds, callers: dict[str, int], seconds: float) -> None:
    """Take so many places and let the engine take so long for all of them at the same time."""
    with ExitStack() as held:
        for caller, count in callers.items():
            for _ in range(count):
                held.enter_context(places.taken(caller))
        clock.now += seconds
        for _ in range(sum(callers.values())):
            places.add(seconds)


MOST = 8 * LEAST  # places
CROWD = {str(number): LEAST // 2 for number in range(8)}  # half of them, and nobody stands out


def test_answers_that_are_slow_together_halve_the_places_once_and_quick_ones_bring_them_back_one_by_one() -> None:
    clock = Seconds()
    places = Learning(MOST, within_s=0.2, now=clock)
    ask(places, clock, CROWD, 0.11)
    assert places.room == MOST / 2
    for share in (LEAST // 4, LEAST // 8, LEAST // 8):
        ask(places, clock, dict.fromkeys(CROWD, share), 0.11)
    assert places.room == LEAST, "and there it ends"
    for _ in range(LEAST):
        ask(places, clock, {"a": 1}, 0.01)
    assert int(places.room) == LEAST, "as many answers as there are places bring one back"
    ask(places, clock, {"a": 1}, 0.01)
    assert int(places.room) == LEAST + 1
    for _ in range(MOST * MOST):
        ask(places, clock, {"a": 1}, 0.01)
    assert places.room == MOST, "and never more than there were"


def test_slow_answers_where_nothing_is_half_full_take_no_place_away() -> None:
    clock = Seconds()
    places = Learning(MOST, within_s=0.2, now=clock)
    ask(places, clock, {name: count - 1 for name, count in CROWD.items()}, 9.0)
    assert places.room == MOST
    ask(places, clock, {"a": MOST // 4 - 1}, 9.0)
    assert places.free("a") == MOST // 2


def test_an_adapter_that_fills_the_queue_gives_up_places_of_its_own_and_gets_them_back() -> None:
    clock = Seconds()
    places = Learning(MOST, within_s=0.2, now=clock)
    ask(places, clock, {"a": MOST // 2, "b": 4}, 9.0)
    assert (places.room, places.free("a"), places.free("b")) == (MOST, MOST // 4, MOST // 2)
    for _ in range(9):
        ask(places, clock, {"a": places.free("a"), "b": 2}, 9.0)
    assert (places.room, places.free("a"), places.free("b")) == (MOST, LEAST // 2, MOST // 2)
    with ExitStack() as held:
        for _ in range(LEAST // 2):
            held.enter_context(places.taken("a"))
        with pytest.raises(Overloaded), places.taken("a"):
            pass
        held.enter_context(places.taken("b"))
    for _ in range(MOST * MOST):
        ask(places, clock, {"b": 1}, 0.01)
    assert places.free("a") == MOST // 2


def test_a_batch_takes_half_of_the_places_that_are_free_at_most() -> None:
    places = Places(16)
    with places.taken("a"), places.more("a", 15) as more:
        assert (more, places.held, places.free("a"), places.free("b")) == (3, 4, 4, 8)
        with places.more("a", 1) as one:
            assert one == 1
    assert places.held == 0


@pytest.mark.asyncio(loop_scope="session")
async def test_batches_leave_the_places_of_others_alone(tmp_path: Path) -> None:
    async with running(tmp_path / "data", max_underway=8, org_dir=calm(tmp_path / "org")) as pdp:
        other = await add_pep(pdp.settings, pdp.clock, scopes=["decide"])
        await pdp.service.peps.poll()
        batch = {"decisions": [pdp.query() for _ in range(20)]}
        batches = [asyncio.create_task(pdp.post("/v1/decisions/batch", batch)) for _ in range(2)]
        places = pdp.service.places
        most = 0
        while not all(task.done() for task in batches):
            most = max(most, places.held)
            await asyncio.sleep(0)
        assert 1 < most <= 4, "half of them, however many calls they hold"
        answers = [item["decision"] for task in batches for item in task.result().json()["decisions"]]
        assert answers == ["allow"] * 40
        assert (await pdp.post("/v1/decisions", pdp.query(), Authorization=f"Bearer {other}")).status_code == 200


@pytest.mark.asyncio(loop_scope="session")
async def test_behind_an_engine_that_hangs_calls_are_turned_away_at_once_until_it_answers_again(tmp_path: Path) -> None:
    org = calm(tmp_path / "org")
    async with running(tmp_path / "data", max_underway=128, decide_within_s=1.0, org_dir=org) as pdp:
        engine = pdp.service.world.policy.active.engine
        assert isinstance(engine, LocalOpa)
        assert engine.pid

        async def turned_away() -> int:
            given = await asyncio.gather(*(pdp.post("/v1/decisions", pdp.query()) for _ in range(64)))
            assert {reply.json()["decision"] for reply in given} == {"deny"}
            return sum(reply.status_code == 503 and reply.json()["code"] == "overload" for reply in given)

        await pdp.ask()
        os.kill(engine.pid, signal.SIGSTOP)
        try:
            shares = [64, *(max(share, LEAST // 2) for share in (32, 16))]  # it alone fills the queue
            assert [await turned_away() for _ in range(3)] == [64 - share for share in shares]
        finally:
            with suppress(ProcessLookupError):  # on a very busy machine another runs in its place by now
                os.kill(engine.pid, signal.SIGCONT)
        async with asyncio.timeout(10):
            while (await pdp.post("/v1/decisions", pdp.query())).json()["decision"] != "allow":
                pass
        given = await asyncio.gather(*(pdp.post("/v1/decisions", pdp.query()) for _ in range(8)))
        assert {reply.json()["decision"] for reply in given} == {"allow"}


@pytest.mark.promise("api.bounds")
@pytest.mark.asyncio(loop_scope="session")
async def test_bodies_that_arrive_slowly_take_no_room_of_others_and_are_few(tmp_path: Path) -> None:
    async with running(tmp_path / "data", org_dir=calm(tmp_path / "org")) as pdp:
        other = await add_pep(pdp.settings, pdp.clock, scopes=["decide"])
        await pdp.service.peps.poll()
        body, go_on = json.dumps(pdp.query()).encode(), asyncio.Event()

        async def slowly() -> AsyncIterator[bytes]:
            yield body[:40]
            await go_on.wait()
            yield body[40:]

        async def send(key: str) -> httpx.Response:
            headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
            return await pdp.http.post("/v1/decisions", content=slowly(), headers=headers)

        sending = [asyncio.create_task(send(pdp.key)) for _ in range(ARRIVING_OF_ONE + 8)]
        await until(lambda: sum(task.done() for task in sending) >= 8, 20)
        turned_away = [task.result() for task in sending if task.done()]
        waiting = [task for task in sending if not task.done()]
        assert [response.status_code for response in turned_away] == [503] * 8
        assert {response.json()["decision"] for response in turned_away} == {"deny"}
        assert (await pdp.ask())["decision"] == "allow", "a body that is here is not one that arrives"
        theirs = asyncio.create_task(send(other))
        go_on.set()
        assert (await theirs).json()["decision"] == "allow"
        assert {(await task).json()["decision"] for task in waiting} == {"allow"}
