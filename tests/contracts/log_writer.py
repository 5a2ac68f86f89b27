"""A process that writes a log as fast as it can and prints every receipt it was given; killed by the test."""

import asyncio
import sys
from pathlib import Path

import uvloop

from pdp.audit.log import Log
from pdp.times import system_clock

CLIENTS = 8


async def main(directory: Path) -> None:
    log = Log(directory, system_clock)
    loop = asyncio.get_running_loop()

    async def client(number: int) -> None:
        count = 0
        while True:
            body = {"id": f"{number}-{count}", "filling": "x" * 700}
            receipt = await log.append("decision", body, durable=count % 2 == 0, deadline=loop.time() + 10)
            sys.stdout.write(f"{receipt.index} {receipt.entry_digest}\n")
            sys.stdout.flush()
            count += 1

    await asyncio.gather(*(client(number) for number in range(CLIENTS)))


uvloop.run(main(Path(sys.argv[1])))  # the loop the service runs on
