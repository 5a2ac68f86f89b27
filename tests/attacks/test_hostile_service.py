"""`pdp serve` as a process under floods, in the clear and over TLS: its memory stays, and others are served."""

import asyncio
import json
import ssl
from contextlib import suppress
from pathlib import Path

import pytest

from pdp.cli.listener import ARRIVES_WITHIN_S, LOOK_EVERY_S, MAX_AHEAD
from pdp.net import trusted
from tests.bench import people
from tests.bench.stage import Home, furnish, serving
from tests.conftest import ROOT
from tests.pki import authority
from tests.raw import LAST, exchange, request

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.promise("api.hostile")]
ROUNDS = 2
GROWTH_MB = 48  # over all rounds after the first; what is kept for a connection, 4,000 times, would be far more
SILENT = {"plain": 1000, "tls": 100}  # connections; uvloop reads TLS into 256 KiB each, and freed ones scatter its heap
SLACK_S = 5.0  # on a loaded machine
CHUNKED = b"POST /v1/decisions HTTP/1.1\r\nHost: pdp\r\nTransfer-Encoding: chunked\r\n"
FLOODS = {  # those that are not ended by a refusal end by themselves, so that nobody waits for a bound of time
    "one header": [b"GET /livez HTTP/1.1\r\nHost: pdp\r\nX: ", *[b"y" * 65536] * 160],
    "headers": [b"GET /livez HTTP/1.1\r\nHost: pdp\r\n", *[b"X: y\r\n" * 10_000] * 160],
    "an address": [b"GET /", *[b"a" * 65536] * 160],
    "a body": [CHUNKED + b"\r\n", *[b"10000\r\n" + b"x" * 65536 + b"\r\n"] * 160, b"0\r\n\r\n" + LAST],
    "a trailer": [CHUNKED + b"\r\n0\r\nX: ", *[b"y" * 65536] * 160],
    "requests": [request("/livez", method="GET") * 4000] * 10,
    "a deep body": [request(body=b"[" * 200_000) + LAST],
}


def resident_mb(pid: int) -> float:
    """Return how much memory a process holds."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def good(home: Home) -> bytes:
    """Return a request that is allowed."""
    return home.requests(people.queries(home.idp, people.READ)[:1])[0]


async def flood(port: int, home: Home, tls: ssl.SSLContext | None) -> None:
    """Send every flood, three at a time, also with a valid key; and open connections that do not even shake hands."""
    keyed = f"Authorization: Bearer {home.key}\r\nContent-Type: application/json\r\n".encode()
    plain = list(FLOODS.values())
    known = [[sent[0].replace(b"Host: pdp\r\n", b"Host: pdp\r\n" + keyed, 1), *sent[1:]] for sent in plain]
    came = await asyncio.gather(*(exchange(port, *sent, tls=tls) for sent in (plain + known) * 3))
    assert all(b"decision" not in one.raw for one in came)
    assert all(len(one.answers) <= MAX_AHEAD for one in came)
    idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(SILENT["tls" if tls else "plain"])]
    for _, writer in idle:
        writer.close()


async def dribble(port: int, tls: ssl.SSLContext | None) -> float:
    """Send a request a header at a time, and return after how many seconds it was given up."""
    began = asyncio.get_running_loop().time()
    with suppress(ConnectionError):
        head = b"POST /v1/decisions HTTP/1.1\r\nHost: pdp\r\n"
        came = await exchange(port, head, *[b"X: y\r\n"] * 90, pause_s=0.2, tls=tls)
        assert came.statuses == [408]
    return asyncio.get_running_loop().time() - began


@pytest.mark.parametrize("line", ["plain", "tls"])
async def test_memory_does_not_grow_under_floods_others_are_served_and_what_dribbles_in_is_given_up_in_time(
    tmp_path: Path, line: str
) -> None:
    home, ours = await furnish(tmp_path / "data"), authority(tmp_path / "ours")
    pair, tls = ours.issue("server"), trusted(ours.ca) if line == "tls" else None
    shown = {"PDP_TLS_CERTIFICATE": str(pair.certificate), "PDP_TLS_KEY": str(pair.key)} if tls else {}
    async with serving(home, ROOT, **shown) as (pid, port):
        before, dribbling = 0.0, asyncio.create_task(dribble(port, tls))
        for number in range(ROUNDS):
            await flood(port, home, tls)
            asked = good(home) + request("/livez", method="GET", Connection="close")
            answers = (await exchange(port, asked, tls=tls)).answers
            assert json.loads(answers[0].body)["decision"] == "allow", answers
            before = before if number else resident_mb(pid)
        assert resident_mb(pid) - before < GROWTH_MB
        assert await dribbling < ARRIVES_WITHIN_S + LOOK_EVERY_S + SLACK_S
