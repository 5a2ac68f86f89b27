"""A load process, from the side of the bench: started once, then an order at a time."""

import asyncio
import sys
from pathlib import Path
from typing import Self

import msgspec

from .job import Done, Failed, Order
from .tally import Measured, WrongAnswer

CHECKOUT = Path(__file__).parents[2]
LONGEST_LINE = 64 * 1024


class Load:
    """A process that makes load: it takes an order, runs it, and says what it measured."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, module: str, job: Path) -> Self:
        """Start the load process `module` with its job file."""
        command = [sys.executable, "-m", module, str(job)]
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *command, cwd=CHECKOUT, stdin=pipe, stdout=pipe, limit=LONGEST_LINE
        )
        return cls(process)

    async def run(self, order: Order) -> Measured:
        """Carry out one order. Raises `WrongAnswer` when an answer was not the one that is due."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(msgspec.json.encode(order) + b"\n")
        line = await self._process.stdout.readline()
        if not line:
            raise WrongAnswer(f"{order.target}: the load process ended; what it said stands above")
        answer = msgspec.json.decode(line, type=Done | Failed)
        if isinstance(answer, Failed):
            raise WrongAnswer(f"{order.target} at {order.connections} connections: {answer.why}")
        return answer.measured

    async def close(self) -> None:
        """End it."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
