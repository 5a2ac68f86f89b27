"""The load of the adapter rows: the code that runs inside a protected MCP server, asking a real PDP.

`client` is the question alone; `enforcer` a whole call, as a server's middleware makes it: canonical arguments, the
question, the tool (which does nothing here), and the outcome told behind the result.
"""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

from msgspec.json import Decoder

from pdp.adapters.client import Client
from pdp.adapters.enforce import Call, Enforcer
from pdp.query import Credential, Query, ToolRef

from .answers import ALLOW
from .job import Target, work
from .people import SERVER
from .tally import Measured, Tally, WrongAnswer

ANSWERS_WITHIN = 5.0  # seconds: a queue is measured here, not cut off
RESULT: dict[str, Any] = {"content": [{"type": "text", "text": "done"}]}

Ask = Callable[[Call], Awaitable[None]]


async def run(target: Target, callers: int, seconds: float) -> Measured:
    """Make calls with so many callers at once. Raises `WrongAnswer`."""
    calls = itertools.cycle([Decoder(Call).decode(request) for request in target.requests])
    client = Client(f"http://127.0.0.1:{target.port}", target.key, ANSWERS_WITHIN)
    tally = Tally(seconds)
    async with _asking(client, target) as ask:
        await asyncio.gather(*(_caller(ask, calls, tally) for _ in range(callers)))
    return tally.measured()


@asynccontextmanager
async def _asking(client: Client, target: Target) -> AsyncIterator[Ask]:
    enforcer = Enforcer(client, SERVER)

    async def enforced(call: Call) -> None:
        ran = []

        async def tool(arguments: dict[str, Any]) -> dict[str, Any]:
            ran.append(arguments)
            return RESULT

        result = await enforcer.call(call, tool)
        if not ran or result["content"] != RESULT["content"]:
            raise WrongAnswer(repr(result)[:500])

    async def decided(call: Call) -> None:
        assert call.definition is not None
        tool = ToolRef(SERVER, call.tool, call.definition.digest, call.toolset_digest)
        answer = await client.decide(Query(Credential(access_token=call.token), tool, call.arguments, call.context))
        if answer.decision != ALLOW:
            raise WrongAnswer(repr(answer)[:500])

    try:
        yield enforced if target.speaks == "enforcer" else decided
    finally:
        await enforcer.close()


async def _caller(ask: Ask, calls: Iterator[Call], tally: Tally) -> None:
    more = True
    while more:
        began = time.perf_counter()
        await ask(next(calls))
        more = tally.note(began)


if __name__ == "__main__":
    work(run)
