"""What OPA might send and must not: anything but one whole 200 with a result is a refusal."""

from pathlib import Path

import pytest

from pdp.engine.opa import OpaClient, parse_url
from pdp.engine.wire import MAX_ANSWER
from pdp.errors import Fault

from .engines import SLACK, ask, now, refusal, until
from .scripted import Peer, echo, ok, scripted

pytestmark = pytest.mark.promise("engine.strict")
GOOD = b'{"result":{"echo":"x"}}'

WHOLE = {
    "text": b"hello\r\n\r\n",
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n",
    "a version from the future": ok(GOOD).replace(b"HTTP/1.1", b"HTTP/9.9"),
    "a body that is no json": ok(b"{"),
    "an array": ok(b'[{"result":1}]'),
    "a number": ok(b"1"),
    "nothing": ok(b""),
    "more after the json": ok(GOOD + b"{}"),
    "packed": ok(b"\x1f\x8b\x08\x00" + b"\x00" * 20, b"Content-Encoding: gzip"),
    "a nul behind the status": ok(GOOD).replace(b"200 OK", b"200 \xd4\0OK"),  # found by fuzzing
    "201": ok(GOOD).replace(b"200 OK", b"201 Created"),
    "206": ok(GOOD).replace(b"200 OK", b"206 Partial Content"),
    "301": ok(GOOD, b"Location: http://127.0.0.1:1/").replace(b"200 OK", b"301 Moved"),
    "401": ok(GOOD).replace(b"200 OK", b"401 Unauthorized"),
    "500": ok(GOOD).replace(b"200 OK", b"500 Internal Server Error"),
    "100 first": b"HTTP/1.1 100 Continue\r\n\r\n" + ok(GOOD),
    "101": b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
    "two answers": ok(GOOD) + ok(GOOD),
    "an answer and a half": ok(GOOD) + b"HTTP/1.1 200",
    "an answer and garbage": ok(GOOD) + b"garbage",
    "two lengths": ok(GOOD, b"Content-Length: 5"),
    "a length and chunks": ok(GOOD, b"Transfer-Encoding: chunked"),
    "a negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n" + GOOD,
    "a bad chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
    "larger than any verdict": ok(b'{"result":"' + b"a" * MAX_ANSWER + b'"}'),
    "endless headers": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * (MAX_ANSWER // 6 + 1),
}
HALF = {
    "half a status line": b"HTTP/1.1 20",
    "half the headers": b"HTTP/1.1 200 OK\r\nContent-Type: appl",
    "half the body": ok(GOOD)[:-5],
    "half the chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n17\r\n" + GOOD + b"\r\n",
    "no length": b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + GOOD,
}


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.fault("opa.garbage", "opa.500")
async def test_an_answer_that_is_not_a_verdict_is_refused(name: str, tmp_path: Path) -> None:
    async def answer(peer: Peer, _: bytes) -> None:
        await peer.send(WHOLE[name])

    async with scripted(tmp_path / "s", answer):
        client = OpaClient(f"unix://{tmp_path}/s", "r")
        assert (await refusal(client)).code == "engine.garbled"
        await client.close()


@pytest.mark.promise("engine.own_answer")
@pytest.mark.parametrize("name", WHOLE)
async def test_after_such_an_answer_the_next_call_still_gets_its_own(name: str, tmp_path: Path) -> None:
    async def answer(peer: Peer, body: bytes) -> None:
        await peer.send(echo(body) if b"honest" in body else WHOLE[name])

    async with scripted(tmp_path / "s", answer):
        client = OpaClient(f"unix://{tmp_path}/s", "r", connections=1)
        await refusal(client)
        assert await ask(client, "honest") == {"id": "honest"}
        await client.close()


@pytest.mark.parametrize("name", HALF)
@pytest.mark.fault("opa.truncated")
async def test_half_an_answer_is_refused(name: str, tmp_path: Path) -> None:
    async def answer(peer: Peer, _: bytes) -> None:
        await peer.send(HALF[name])
        peer.close()

    async with scripted(tmp_path / "s", answer) as script:
        client = OpaClient(f"unix://{tmp_path}/s", "r")
        assert (await refusal(client)).code == "engine.garbled"
        assert len(script.asked) == 1, "an answer that had begun must not be asked for again"
        await client.close()


@pytest.mark.parametrize("body", [b"{}", b'{"warning":{"code":"api_usage_warning"}}', b'{"results":{}}'])
async def test_an_answer_without_a_result_is_undefined(body: bytes, tmp_path: Path) -> None:
    async def answer(peer: Peer, _: bytes) -> None:
        await peer.send(ok(body))

    async with scripted(tmp_path / "s", answer):
        client = OpaClient(f"unix://{tmp_path}/s", "r")
        assert (await refusal(client)).code == "engine.undefined"
        await client.close()


@pytest.mark.promise("engine.deadline")
@pytest.mark.parametrize("begin", [b"", b"HTTP/1.1 200", ok(GOOD)[:-1]])
async def test_an_answer_that_does_not_end_is_refused_at_the_deadline_and_hung_up_on(
    begin: bytes, tmp_path: Path
) -> None:
    async def answer(peer: Peer, _: bytes) -> None:
        await peer.send(begin)

    async with scripted(tmp_path / "s", answer) as script:
        client = OpaClient(f"unix://{tmp_path}/s", "r")
        started = now()
        assert (await refusal(client, within=0.1)).code == "engine.timeout"
        assert now() - started < 0.1 + SLACK
        await until(lambda: script.peers[0].ended)
        await client.close()


async def test_an_answer_in_many_pieces_is_put_together(tmp_path: Path) -> None:
    async def answer(peer: Peer, _: bytes) -> None:
        await peer.send(*(bytes([byte]) for byte in ok(GOOD)))

    async with scripted(tmp_path / "s", answer):
        client = OpaClient(f"unix://{tmp_path}/s", "r")
        assert await ask(client) == {"echo": "x"}
        await client.close()


async def test_an_answer_in_chunks_is_put_together(tmp_path: Path) -> None:
    async def answer(peer: Peer, _: bytes) -> None:
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        await peer.send(
            head, b"5\r\n" + GOOD[:5] + b"\r\n", b"%x\r\n" % len(GOOD[5:]) + GOOD[5:] + b"\r\n", b"0\r\n\r\n"
        )

    async with scripted(tmp_path / "s", answer):
        client = OpaClient(f"unix://{tmp_path}/s", "r")
        assert await ask(client) == {"echo": "x"}
        assert await ask(client) == {"echo": "x"}
        await client.close()


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1:8181",
        "http://opa.example:8181",
        "http://10.0.0.1:8181",
        "http://127.0.0.1.example:8181",
        "http://someone@127.0.0.1:8181",
        "http://127.0.0.1:8181/v1",
        "http://127.0.0.1:no",
        "http://127.0.0.1:99999",
        "unix://host/opa.sock",
        "unix:opa.sock",
        "/opa.sock",
        "",
    ],
)
def test_an_opa_that_somebody_else_could_answer_for_is_not_asked(url: str) -> None:
    with pytest.raises(Fault, match=r"unix:///path/to/opa\.sock"):
        parse_url(url)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1", "http://localhost:8181/", "http://[::1]:8181", "unix:///run/o.sock"]
)
def test_an_opa_on_this_machine_may_be_asked(url: str) -> None:
    parse_url(url)


async def test_the_path_of_a_rule_cannot_smuggle_a_request(tmp_path: Path) -> None:
    client = OpaClient(f"unix://{tmp_path}/s", "r")
    for entrypoint in ("pdp/decision HTTP/1.1\r\n", "pdp/../policies", "pdp?x", "pdp//x", ""):
        with pytest.raises(ValueError, match="not the path of a rule"):
            await client.evaluate(entrypoint, b"{}", now() + 1)
