"""The adapter asks over TLS: it acts on what the PDP it trusts says, and denies when it meets any other."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from mcp import Client

from pdp.cli.lines import Renewal
from pdp.cli.listener import server_for
from pdp.net import trusted
from pdp.tls import Files
from tests.adapters.stage import Pdp, Ran, payments, protected, text_of
from tests.pki import authority

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.promise("serve.tls")]


@asynccontextmanager
async def over_tls(pdp: Pdp, files: Files) -> AsyncIterator[Pdp]:
    """Serve a running PDP by the listener of `pdp serve`, over TLS."""
    assert pdp.service
    server = server_for(pdp.service.app, "127.0.0.1", 0, grace_s=1, tls=Renewal(files).context)
    serving = asyncio.create_task(server.serve())
    async with asyncio.timeout(20):
        while not server.started:  # noqa: ASYNC110  # uvicorn offers no event to wait for
            await asyncio.sleep(0.01)
    yield replace(pdp, url=f"https://127.0.0.1:{server.port}")
    server.should_exit = True
    await serving


async def refund(pdp: Pdp, folder: Path, tls: ssl.SSLContext | None) -> tuple[Ran, str]:
    """Call a protected server, and return what ran and what the model reads."""
    ran: Ran = []
    server = payments(ran)
    protected(server, pdp, folder, tls=tls)
    async with Client(server) as client:
        return ran, text_of(await client.call_tool("create_refund", {"order": "o-1", "amount": 40}))


async def test_a_call_runs_only_when_both_ends_trust_each_other(
    pdp: Pdp, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ours, theirs = authority(tmp_path / "ours"), authority(tmp_path / "theirs")
    server, adapter, stranger = ours.issue("server"), ours.issue("adapter"), theirs.issue("stranger")
    files = Files(server.certificate, server.key, client_ca=ours.ca)
    async with over_tls(pdp, files) as reached:
        ran, _ = await refund(reached, tmp_path, trusted(ours.ca, adapter.certificate, adapter.key))
        assert ran == ["create_refund"]
        for context, why in (
            (trusted(ours.ca), "PDP_CLIENT_CERTIFICATE"),  # shows none
            (trusted(ours.ca, stranger.certificate, stranger.key), "PDP_CLIENT_CERTIFICATE"),
            (trusted(theirs.ca, adapter.certificate, adapter.key), "PDP_CA_FILE"),  # trusts another
            (None, "PDP_CA_FILE"),
        ):
            caplog.clear()
            ran, text = await refund(reached, tmp_path, context)
            assert ran == []
            assert text.startswith("Denied."), text
            assert why in caplog.text
