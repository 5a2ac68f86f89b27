"""Too much at once: a deny at once, in bounded memory, and room for every other adapter."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from pdp.api.admission import Overloaded, Places
from pdp.api.decisions import ARRIVING_OF_ONE
from pdp.audit.read import Reader
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
        _, waiting = await asyncio.wait(sending, timeout=2.0)
        turned_away = [task.result() for task in sending if task.done()]
        assert [response.status_code for response in turned_away] == [503] * 8
        assert {response.json()["decision"] for response in turned_away} == {"deny"}
        assert (await pdp.ask())["decision"] == "allow", "a body that is here is not one that arrives"
        theirs = asyncio.create_task(send(other))
        go_on.set()
        assert (await theirs).json()["decision"] == "allow"
        assert {(await task).json()["decision"] for task in waiting} == {"allow"}
