"""The engine's reply: HTTP bytes become a verdict or a refusal `engine.*`; an allow only from exactly an allow.

The first byte says what the rest is: bytes on the wire, in as many pieces as the second byte says; the body of a whole
answer; or the verdict in it.
"""

import asyncio
import json
import os
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import h11

from pdp.decide import read_reply, verdict_from
from pdp.engine.binary import OPA, find, places
from pdp.engine.opa import result_of
from pdp.engine.wire import MAX_ANSWER, Connection, Lost, Response
from pdp.errors import Refused
from pdp.policy.pack import Pack, build_pack, default_pack_dir
from tests.contracts.scripted import ok

from . import strict

WIRE, BODY, VERDICT = range(3)
MEMBERS = {"effect", "permits", "broken_guards", "shut_gates", "duties", "revision"}


@cache
def pack() -> Pack:
    """Return the policy whose verdicts are read."""
    with tempfile.TemporaryDirectory() as folder:
        return build_pack(find(OPA, places(OPA, os.environ)).path, default_pack_dir(), None, Path(folder))


def allow(**changes: Any) -> dict[str, Any]:
    """Return a verdict that allows, unless changed."""
    permits, nothing = pack().codes("permits")[:1], list[str]()
    verdict = {"effect": "allow", "permits": permits, "broken_guards": nothing, "shut_gates": nothing, "duties": []}
    return {**verdict, "revision": pack().revision, **changes}


def seeds() -> list[bytes]:
    """Return replies to begin with."""
    guards, gates = (pack().codes(folder)[:2] for folder in ("guards", "gates"))
    deny, asks = allow(effect="deny", broken_guards=guards), allow(effect="needs_approval", shut_gates=gates)
    redact = allow(duties=[{"type": "redact", "pointers": ["/ssn"]}])
    verdicts = [json.dumps(v, separators=(",", ":")).encode() for v in (allow(), deny, asks, redact, allow(also=1))]
    twice = verdicts[0][:-1] + b',"effect":"deny"}'
    bodies = [b'{"result":' + verdict + b"}" for verdict in verdicts]
    odd = [b"{}", b'{"result":1}', b'{"result":{},' + bodies[0][1:], b'{"warning":{},' + bodies[0][1:] + b"\n"]
    whole = [*(ok(body) for body in bodies), ok(bodies[0]).replace(b"200 OK", b"500 Oh"), ok(bodies[0])[:-3]]
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (
        len(bodies[0]),
        bodies[0],
    )
    close = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + bodies[0]
    wire = [b"\0\3" + raw for raw in (*whole, chunked, close)]
    return [*wire, *(b"\1" + body for body in (*bodies, *odd)), *(b"\2" + verdict for verdict in (*verdicts, twice))]


def words() -> list[str]:
    """Return what a mutation may put in."""
    rules = [json.dumps(code) for folder in ("permits", "guards", "gates") for code in pack().codes(folder)[:3]]
    names = [json.dumps(name) + ":" for name in (*sorted(MEMBERS), "result", "type")]
    lines = [
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "Content-Length: ",
        "Transfer-Encoding: chunked\r\n",
    ]
    return [*rules, *names, *lines, '"allow"', '"deny"', '"needs_approval"', "\\u0065", "\r\n\r\n", "0\r\n\r\n", "[]"]


def check(data: bytes) -> None:
    """Raise `AssertionError`, or whatever the product should not have raised."""
    kind, rest = (data[0] % 3, data[1:]) if data else (0, b"")
    raw, pieces = (rest[1:], rest[0] % 8 + 1) if kind == WIRE and rest else (rest, 1)
    if kind != WIRE:
        raw = ok(rest if kind == BODY else b'{"result":' + rest + b"}")
    try:
        response = asyncio.run(_answered(raw, pieces))
        verdict = verdict_from(read_reply(result_of(response), pack()), pack())
    except Refused as refusal:
        code = refusal.code
    except Lost:
        code = "engine.lost" if not raw else "nothing may be lost of this"
    else:
        if verdict.effect != "deny":
            _must_have_been_said(raw, verdict.effect)
        return
    assert code.startswith("engine."), code


class Silent(asyncio.Transport):
    """The way to a peer that has said all it will say."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Drop what is sent."""

    def abort(self) -> None:
        """Nothing is open."""


async def _answered(raw: bytes, pieces: int) -> Response:
    connection = Connection(lambda _: None)
    connection.connection_made(Silent())
    asking = asyncio.create_task(connection.exchange(b""))
    await asyncio.sleep(0)
    size = max(1, len(raw) // pieces)
    for start in range(0, len(raw), size):
        connection.data_received(raw[start : start + size])
    connection.connection_lost(None)
    return await asking


def _must_have_been_said(raw: bytes, effect: str) -> None:
    """Read the bytes with another HTTP parser and another JSON reader: exactly that verdict must stand there."""
    assert len(raw) <= MAX_ANSWER
    said = strict.read(_body(raw))
    result = said["result"]
    assert result.keys() == MEMBERS
    assert result["effect"] == effect
    assert result["permits"]
    assert result["broken_guards"] == []
    assert bool(result["shut_gates"]) is (effect == "needs_approval")
    assert result["revision"] == pack().revision
    for folder, member in (("permits", "permits"), ("gates", "shut_gates")):
        assert set(result[member]) <= set(pack().codes(folder))
    assert all(isinstance(duty, dict) and isinstance(duty.get("type"), str) for duty in result["duties"])


def _body(raw: bytes) -> bytes:
    reader = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_ANSWER)
    reader.send(h11.Request(method="POST", target="/", headers=[("Host", "opa"), ("Content-Length", "0")]))
    reader.send(h11.EndOfMessage())
    reader.receive_data(raw)
    body = b""
    try:
        event = reader.next_event()
        assert isinstance(event, h11.Response), event
        assert event.status_code == 200
        while isinstance(event := reader.next_event(), h11.Data):
            body += event.data
    except h11.RemoteProtocolError as error:
        raise AssertionError(f"taken, but no HTTP answer to another reader: {error}") from None
    assert isinstance(event, h11.EndOfMessage), event
    assert not reader.trailing_data[0], "more than one answer"
    return body
