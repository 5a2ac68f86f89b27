"""`pdp serve`: run the service until it is told to stop."""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from contextlib import nullcontext

import click
import uvloop

from ..app import open_service
from ..settings import Settings, load
from .lines import Renewal, must_not_be_overheard, renewing, tls_of, url_at
from .listener import server_for, watched
from .memory import giving_back, share_arenas, spare_collections
from .secluded import keep_to_ourselves
from .workers import die_with, serve_by_workers

MOST_WORKERS = 64
CLOSES_WITHIN_S = 10  # for the log, the store and OPA, after that
GRACE_S = 5  # seconds that requests in flight get when we are told to stop

Announce = Callable[[str], Awaitable[None]]


@click.command()
@click.option("--host", help="Address to listen on (PDP_HOST).")
@click.option("--port", type=int, help="Port to listen on, 0 for a free one (PDP_PORT).")
@click.option("--dev", is_flag=True, help="Sample people, tools, tokens and a loopback issuer; loopback only.")
@click.option("--workers", type=click.IntRange(1, MOST_WORKERS), help="Processes, one a core; default: this one.")
@click.option("--worker", type=click.IntRange(0, MOST_WORKERS - 1), hidden=True)
@click.option("--fd", type=int, hidden=True)
@click.option("--parent", type=int, hidden=True)
def serve(
    host: str | None,
    port: int | None,
    dev: bool,
    workers: int | None,
    worker: int | None,
    fd: int | None,
    parent: int | None,
) -> None:
    """Serve the decision API. A local OPA child runs the rules unless PDP_OPA_URL or PDP_ENGINE says otherwise."""
    named = {"host": host, "port": port, "worker": worker}
    given = {name: value for name, value in named.items() if value is not None}
    settings = load(**given)
    for chatty in ("alembic", "httpx"):
        logging.getLogger(chatty).setLevel("WARNING")
    logging.getLogger("uvicorn.error").setLevel("ERROR")  # it warns of every request that is none: strangers write it
    logging.basicConfig(level=settings.log_level.upper(), format="%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    must_not_be_overheard(settings)
    keep_to_ourselves()
    share_arenas()
    if workers is not None and workers > 1:
        if dev:
            raise click.UsageError("--dev serves with one process")
        asyncio.run(serve_by_workers(settings, workers, GRACE_S + CLOSES_WITHIN_S))
    elif parent is not None and fd is not None:
        die_with(parent)
        uvloop.run(serve_until_stopped(settings, _say, socket.socket(fileno=fd)))
    elif dev:
        from ..dev.run import run_dev

        uvloop.run(run_dev(settings, serve_until_stopped))
    else:
        uvloop.run(serve_until_stopped(settings, _say))


async def serve_until_stopped(settings: Settings, announce: Announce, shared: socket.socket | None = None) -> None:
    """Open the service, listen, call `announce` with its URL, and serve until SIGINT or SIGTERM.

    `shared`: the socket that all workers listen on; without one the settings say where.
    """
    files = tls_of(settings)
    renewal = Renewal(files) if files else None
    tls = renewal.context if renewal else None
    async with open_service(settings) as service:
        spare_collections()
        server = server_for(service.app, settings.host, settings.port, GRACE_S, service.hush, tls)
        serving = asyncio.create_task(server.serve([shared] if shared else None))
        while not server.started and not serving.done():  # noqa: ASYNC110  # uvicorn offers no event to wait for
            await asyncio.sleep(0.01)
        if server.started:
            await announce(url_at(settings, server.port))
        async with watched(server), giving_back(), renewing(renewal) if renewal else nullcontext():
            await serving


async def _say(url: str) -> None:
    click.echo(f"pdp serves on {url}")
