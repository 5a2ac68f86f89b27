"""`pdp serve` as a process under floods: its memory stays where it is, and others are served."""

import asyncio
import json
from contextlib import suppress
from pathlib import Path

import pytest

from pdp.cli.listener import ARRIVES_WITHIN_S, LOOK_EVERY_S, MAX_AHEAD
from tests.bench import people
from tests.bench.stage import Home, furnish, serving
from tests.conftest import ROOT
from tests.raw import exchange, request

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.promise("api.hostile")]
ROUNDS = 2
GROWTH_MB = 48  # over all rounds after the first; what is kept for a connection, 4,000 times, would be far more
SLACK_S = 5.0  # on a loaded machine
CHUNKED = b"POST /v1/decisions HTTP/1.1\r\nHost: pdp\r\nTransfer-Encoding: chunked\r\n"
FLOODS = {
    "one header": [b"GET /livez HTTP/1.1\r\nHost: pdp\r\nX: ", *[b"y" * 65536] * 160],
    "headers": [b"GET /livez HTTP/1.1\r\nHost: pdp\r\n", *[b"X: y\r\n" * 10_000] * 160],
    "an address": [b"GET /", *[b"a" * 65536] * 160],
    "a body": [CHUNKED + b"\r\n", *[b"10000\r\n" + b"x" * 65536 + b"\r\n"] * 160],
    "a trailer": [CHUNKED + b"\r\n0\r\nX: ", *[b"y" * 65536] * 160],
    "requests": [request("/livez", method="GET") * 4000] * 10,
    "a deep body": [request(body=b"[" * 200_000)],
}


def resident_mb(pid: int) -> float:
    """Return how much memory a process holds."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def good(home: Home) -> bytes:
    """Return a request that is allowed."""
    return home.requests(people.queries(home.idp, people.READ)[:1])[0]


async def flood(port: int, home: Home) -> None:
    """Send every flood, three at a time, also with a valid key; and open a thousand connections that say nothing."""
    keyed = f"Authorization: Bearer {home.key}\r\nContent-Type: application/json\r\n".encode()
    plain = list(FLOODS.values())
    known = [[sent[0].replace(b"Host: pdp\r\n", b"Host: pdp\r\n" + keyed, 1), *sent[1:]] for sent in plain]
    came = await asyncio.gather(*(exchange(port, *sent) for sent in (plain + known) * 3))
    assert all(b"decision" not in one.raw for one in came)
    assert all(len(one.answers) <= MAX_AHEAD for one in came)
    idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(1000)]
    for _, writer in idle:
        writer.close()


async def test_memory_does_not_grow_under_floods_and_others_are_served(tmp_path: Path) -> None:
    home = await furnish(tmp_path / "data")
    async with serving(home, ROOT) as (pid, port):
        before = 0.0
        for number in range(ROUNDS):
            await flood(port, home)
            answers = (await exchange(port, good(home) + request("/livez", method="GET", Connection="close"))).answers
            assert json.loads(answers[0].body)["decision"] == "allow", answers
            before = before if number else resident_mb(pid)
        assert resident_mb(pid) - before < GROWTH_MB


async def test_a_request_that_dribbles_in_is_given_up_within_the_published_bound(tmp_path: Path) -> None:
    home = await furnish(tmp_path / "data")
    async with serving(home, ROOT) as (_, port):
        began = asyncio.get_running_loop().time()
        with suppress(ConnectionError):
            head = b"POST /v1/decisions HTTP/1.1\r\nHost: pdp\r\n"
            came = await exchange(port, head, *[b"X: y\r\n"] * 90, pause_s=0.2)
            assert came.statuses == [408]
        assert asyncio.get_running_loop().time() - began < ARRIVES_WITHIN_S + LOOK_EVERY_S + SLACK_S
