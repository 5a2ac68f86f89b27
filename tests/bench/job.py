"""What a load process is told, and how: a job file with the targets, then one order a line, one answer a line."""

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Literal

import msgspec
import uvloop
from msgspec import Struct

from .tally import Measured, WrongAnswer

Speaks = Literal[
    "opa", "opa_list", "pdp", "batch", "list", "client", "enforcer", "cerbos", "eunomia", "durable", "nothing"
]


class Target(Struct, frozen=True):
    """Where requests go. `requests` are whole HTTP requests; for an engine policy inputs, for an adapter calls.

    `speaks` says how answers are read. `socket` is a unix socket's path, or empty: then it is loopback TCP on `port`.
    `revision` is the policy's digest. `bundle` is a compiled policy, which the load process evaluates itself. `key` is
    an adapter's; `folder` is where a log is written.
    """

    speaks: Speaks
    requests: list[bytes]
    socket: str = ""
    port: int = 0
    revision: str = ""
    bundle: str = ""
    key: str = ""
    folder: str = ""


class Order(Struct, frozen=True):
    """Run one target with so many connections (for the engine client: callers) for so long."""

    target: str
    connections: int
    seconds: float


class Failed(Struct, frozen=True, tag=True):
    """Why a run does not count."""

    why: str


class Done(Struct, frozen=True, tag=True):
    """What a run measured."""

    measured: Measured


Run = Callable[[Target, int, float], Awaitable[Measured]]


def work(run: Run) -> None:
    """Serve orders from standard input until it ends. The job file is the one argument of the process."""
    targets = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=dict[str, Target])
    for line in sys.stdin.buffer:
        order = msgspec.json.decode(line, type=Order)
        answer = uvloop.run(_one(run, targets[order.target], order))
        sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
        sys.stdout.buffer.flush()


async def _one(run: Run, target: Target, order: Order) -> Done | Failed:
    try:
        return Done(await run(target, order.connections, order.seconds))
    except (WrongAnswer, OSError) as error:
        return Failed(str(error))
