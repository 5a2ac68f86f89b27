"""`pdp serve`: run the service until it is told to stop."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import click
import uvloop

from ..app import open_service
from ..settings import Settings, load
from .listener import server_for, watched

GRACE_S = 5  # seconds that requests in flight get when we are told to stop

Announce = Callable[[str], Awaitable[None]]


@click.command()
@click.option("--host", help="Address to listen on (PDP_HOST).")
@click.option("--port", type=int, help="Port to listen on, 0 for a free one (PDP_PORT).")
@click.option("--dev", is_flag=True, help="Sample people, tools, tokens and a loopback issuer; loopback only.")
def serve(host: str | None, port: int | None, dev: bool) -> None:
    """Serve the decision API. A local OPA child runs the rules unless PDP_OPA_URL or PDP_ENGINE says otherwise."""
    given = {name: value for name, value in {"host": host, "port": port}.items() if value is not None}
    settings = load(**given)
    for chatty in ("alembic", "httpx", "uvicorn.error"):
        logging.getLogger(chatty).setLevel("WARNING")
    logging.basicConfig(level=settings.log_level.upper(), format="%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    if dev:
        from ..dev.run import run_dev

        uvloop.run(run_dev(settings, serve_until_stopped))
    else:
        uvloop.run(serve_until_stopped(settings, _say))


async def serve_until_stopped(settings: Settings, announce: Announce) -> None:
    """Open the service, listen, call `announce` with its URL, and serve until SIGINT or SIGTERM."""
    async with open_service(settings) as service:
        server = server_for(service.app, settings.host, settings.port, GRACE_S, service.hush)
        serving = asyncio.create_task(server.serve())
        while not server.started and not serving.done():  # noqa: ASYNC110  # uvicorn offers no event to wait for
            await asyncio.sleep(0.01)
        if server.started:
            await announce(f"http://{settings.host}:{server.port}")
        async with watched(server):
            await serving


async def _say(url: str) -> None:
    click.echo(f"pdp serves on {url}")
