"""What is told of approvals, by a running service to a real receiver: signed, thin, and never in a decision's way."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from pdp.times import system_clock
from tests.conftest import FakeClock
from tests.flow.test_approvals import APPROVERS, REFUND, asked, know, vote
from tests.receiver import Receiver, receiving
from tests.service import Bench, calm, running

SECRET = f"whsec_{base64.b64encode(b'k' * 32).decode()}"


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


def kept(folder: Path, *secrets: str) -> Path:
    """Write secrets into a file that nobody else reads, and return it."""
    path = folder / "secret"
    path.write_text("\n".join(secrets))
    path.chmod(0o600)
    return path


@asynccontextmanager
async def telling(folder: Path, receiver: Receiver, **settings: Any) -> AsyncIterator[Bench]:
    """Run a service that tells a receiver on this machine, with people who may approve."""
    webhooks = ({"url": receiver.url, "secret_file": kept(folder, SECRET)},)
    given = {"webhooks": webhooks, "unsafe_webhook_private_addresses": True, **settings}
    clock = FakeClock(system_clock())  # the receiver's library compares with the real time
    async with running(folder / "pdp", clock, org_dir=calm(folder / "org"), **given) as bench:
        await know(bench, APPROVERS)
        yield bench


@pytest.mark.promise("notify.signed")
async def test_who_is_to_approve_hears_of_a_request_and_of_its_end(receiver: Receiver, tmp_path: Path) -> None:
    async with telling(tmp_path, receiver) as bench:
        identifier = await asked(bench)
        [opened] = await receiver.until(lambda posts: len(posts) == 1)
        await vote(bench, identifier, "dave")
        [_, decided] = await receiver.until(lambda posts: len(posts) == 2)
    told = Webhook(SECRET).verify(opened.body, opened.headers)
    assert (told["type"], told["data"]["request"]) == ("approval.opened", identifier)
    assert told["data"].keys() == {"request", "status", "server", "tool", "expires_at", "risk_class", "person"}
    assert Webhook(SECRET).verify(decided.body, decided.headers)["data"]["status"] == "approved"
    assert decided.id != opened.id
    assert not set(REFUND.values()) & set(told["data"].values()), "arguments stay here"
