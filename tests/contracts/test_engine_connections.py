"""Few connections, one queue: order, bounds, cancellation, and what happens when a connection ends."""

import asyncio
import json
from pathlib import Path

import pytest

from pdp.engine.opa import OpaClient

from .engines import SLACK, ask, now, refusal, until
from .scripted import Peer, echo, scripted

pytestmark = pytest.mark.promise("engine.bounded")


def asked_for(bodies: list[bytes]) -> list[str]:
    """Return the ids that were asked for, in order of arrival."""
    return [json.loads(body)["input"]["id"] for body in bodies]


async def honest(peer: Peer, body: bytes) -> None:
    """Answer as OPA does."""
    await peer.send(echo(body))


async def test_calls_in_turn_share_one_connection(tmp_path: Path) -> None:
    async with scripted(tmp_path / "s", honest) as script:
        client = OpaClient(f"unix://{tmp_path}/s", "r", connections=4)
        for number in range(10):
            assert await ask(client, str(number)) == {"id": str(number)}
        assert len(script.peers) == 1
        await client.close()
        await until(lambda: script.peers[0].ended)


async def test_no_more_connections_are_opened_than_allowed_even_when_they_die(tmp_path: Path) -> None:
    async def fickle(peer: Peer, body: bytes) -> None:
        await peer.send(echo(body))
        if len(script.asked) % 3 == 0:
            peer.close()

    async with scripted(tmp_path / "s", fickle) as script:
        client = OpaClient(f"unix://{tmp_path}/s", "r", connections=3)
        names = [str(number) for number in range(100)]
        assert await asyncio.gather(*(ask(client, name) for name in names)) == [{"id": name} for name in names]
        assert len(script.peers) > 3, "no connection died"
        assert script.most_at_once == 3
        await client.close()


async def test_waiting_calls_are_served_in_order_of_arrival(tmp_path: Path) -> None:
    async with scripted(tmp_path / "s", honest) as script:
        client = OpaClient(f"unix://{tmp_path}/s", "r", connections=1)
        names = [f"{number:02}" for number in range(30)]
        await asyncio.gather(*(ask(client, name) for name in names))
        assert asked_for(script.asked) == names
        await client.close()


async def test_a_full_queue_refuses_at_once_and_drains(tmp_path: Path) -> None:
    gate = asyncio.Event()

    async def gated(peer: Peer, body: bytes) -> None:
        await gate.wait()
        await peer.send(echo(body))

    async with scripted(tmp_path / "s", gated):
        client = OpaClient(f"unix://{tmp_path}/s", "r", connections=1, max_waiting=2)
        accepted = [asyncio.create_task(ask(client, str(number))) for number in range(3)]
        await asyncio.sleep(0)
        started = now()
        caught = await refusal(client)
        assert caught.code == "engine.unavailable"
        assert "2 calls" in caught.note
        assert now() - started < SLACK
        gate.set()
        assert await asyncio.gather(*accepted) == [{"id": "0"}, {"id": "1"}, {"id": "2"}]
        assert await ask(client, "later") == {"id": "later"}
        await client.close()


@pytest.mark.promise("engine.deadline")
async def test_a_call_whose_deadline_passes_in_the_queue_is_never_sent(tmp_path: Path) -> None:
    gate = asyncio.Event()

    async def gated(peer: Peer, body: bytes) -> None:
        await gate.wait()
        await peer.send(echo(body))

    async with scripted(tmp_path / "s", gated) as script:
        client = OpaClient(f"unix://{tmp_path}/s", "r", connections=1)
        first = asyncio.create_task(ask(client, "first"))
        await asyncio.sleep(0)
        assert (await refusal(client, within=0.05)).code == "engine.timeout"
        gate.set()
        assert await first == {"id": "first"}
        assert await ask(client, "last") == {"id": "last"}
        assert asked_for(script.asked) == ["first", "last"]
        await client.close()


async def test_a_cancelled_call_hangs_up_and_frees_its_place(tmp_path: Path) -> None:
    async def silent_at_first(peer: Peer, body: bytes) -> None:
        if peer.number:
            await peer.send(echo(body))

    async with scripted(tmp_path / "s", silent_at_first) as script:
        client = OpaClient(f"unix://{tmp_path}/s", "r", connections=1)
        sent = asyncio.create_task(ask(client, "sent"))
        await until(lambda: bool(script.asked))
        queued = asyncio.create_task(ask(client, "queued"))
        await asyncio.sleep(0)
        queued.cancel()
        sent.cancel()
        assert await ask(client, "next") == {"id": "next"}
        await until(lambda: script.peers[0].ended)
        assert asked_for(script.asked) == ["sent", "next"]
        assert sent.cancelled()
        assert queued.cancelled()
        await client.close()


async def test_a_connection_that_opa_closed_unheard_is_replaced_once(tmp_path: Path) -> None:
    async def closes_the_second_time(peer: Peer, body: bytes) -> None:
        if peer.served == 2:
            peer.close()
        else:
            await peer.send(echo(body))

    async with scripted(tmp_path / "s", closes_the_second_time) as script:
        client = OpaClient(f"unix://{tmp_path}/s", "r", connections=1)
        assert await ask(client, "first") == {"id": "first"}
        assert await ask(client, "second") == {"id": "second"}
        assert asked_for(script.asked) == ["first", "second", "second"]
        await client.close()


async def test_a_fresh_connection_that_opa_closes_is_not_tried_again(tmp_path: Path) -> None:
    async def closes(peer: Peer, body: bytes) -> None:
        if peer.number == 0 and peer.served == 1:
            await peer.send(echo(body))
        else:
            peer.close()

    async with scripted(tmp_path / "s", closes) as script:
        client = OpaClient(f"unix://{tmp_path}/s", "r", connections=1)
        assert await ask(client, "first") == {"id": "first"}
        assert (await refusal(client)).code == "engine.unavailable"
        assert asked_for(script.asked) == ["first", "x", "x"]
        assert len(script.peers) == 2
        assert (await refusal(client)).code == "engine.unavailable"
        assert len(script.peers) == 3
        await client.close()


@pytest.mark.promise("engine.own_answer")
async def test_bytes_that_nobody_asked_for_close_the_connection(tmp_path: Path) -> None:
    heard = asyncio.Event()

    async def talkative(peer: Peer, body: bytes) -> None:
        await peer.send(echo(body))
        if peer.number == 0:
            await heard.wait()
            await peer.send(echo(b'{"input":{"id":"forged"}}'))

    async with scripted(tmp_path / "s", talkative) as script:
        client = OpaClient(f"unix://{tmp_path}/s", "r", connections=1)
        assert await ask(client, "first") == {"id": "first"}
        heard.set()
        await until(lambda: script.peers[0].ended)
        assert await ask(client, "second") == {"id": "second"}
        assert len(script.peers) == 2
        await client.close()


@pytest.mark.promise("engine.own_answer")
async def test_an_interim_answer_ends_its_connection(tmp_path: Path) -> None:
    heard = asyncio.Event()

    async def interim(peer: Peer, body: bytes) -> None:
        if peer.number == 0:
            await peer.send(b"HTTP/1.1 103 Early Hints\r\n\r\n")
            await heard.wait()
        await peer.send(echo(body))

    async with scripted(tmp_path / "s", interim):
        client = OpaClient(f"unix://{tmp_path}/s", "r", connections=1)
        assert (await refusal(client)).code == "engine.garbled"
        heard.set()
        assert await ask(client, "next") == {"id": "next"}
        await client.close()


@pytest.mark.promise("engine.own_answer")
async def test_an_answer_that_comes_after_its_deadline_reaches_nobody(tmp_path: Path) -> None:
    late = asyncio.Event()

    async def slow_at_first(peer: Peer, body: bytes) -> None:
        if peer.number == 0:
            await late.wait()
        await peer.send(echo(body))

    async with scripted(tmp_path / "s", slow_at_first):
        client = OpaClient(f"unix://{tmp_path}/s", "r", connections=1)
        assert (await refusal(client, within=0.05)).code == "engine.timeout"
        late.set()
        assert await ask(client, "next") == {"id": "next"}
        await client.close()


async def test_without_an_opa_every_call_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a socket")
    for url in (f"unix://{tmp_path}/nothing", f"unix://{tmp_path}/file", "http://127.0.0.1:1"):
        client = OpaClient(url, "r", connections=2)
        started = now()
        caught = await asyncio.gather(*(refusal(client) for _ in range(20)))
        assert {refused.code for refused in caught} == {"engine.unavailable"}
        assert url in caught[0].note
        assert now() - started < SLACK
        await client.close()
