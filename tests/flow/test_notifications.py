"""What is told of approvals, by a running service to a real receiver: signed, thin, and never in a decision's way."""

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from pdp.approvals.messages import message_of
from pdp.approvals.notify import Told
from pdp.approvals.states import EVENTS
from pdp.errors import Fault
from pdp.settings import load
from pdp.times import system_clock
from tests.conftest import ROOT, FakeClock
from tests.flow.test_approvals import APPROVERS, REFUND, asked, know, vote
from tests.receiver import Receiver, receiving
from tests.service import Bench, calm, running

pytestmark = pytest.mark.slow

SECRET = f"whsec_{base64.b64encode(b'k' * 32).decode()}"


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


def kept(folder: Path, *secrets: str) -> Path:
    """Write secrets into a file that nobody else reads, and return it."""
    folder.mkdir(exist_ok=True)
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


def later(bench: Bench, seconds: int) -> None:
    """Let time pass on the clock of a service."""
    assert isinstance(bench.clock, FakeClock)
    bench.clock.advance(seconds)


@pytest.mark.promise("notify.signed")
async def test_who_is_to_approve_hears_of_a_request_and_of_its_end(receiver: Receiver, tmp_path: Path) -> None:
    async with telling(tmp_path, receiver) as bench:
        identifier = await asked(bench)
        [opened] = await receiver.until(1)
        await vote(bench, identifier, "dave")
        [_, decided] = await receiver.until(2)
    told = Webhook(SECRET).verify(opened.body, opened.headers)
    assert (told["type"], told["data"]["request"]) == ("approval.opened", identifier)
    assert told["data"].keys() == {"request", "status", "server", "tool", "expires_at", "risk_class", "person"}
    assert Webhook(SECRET).verify(decided.body, decided.headers)["data"]["status"] == "approved"
    assert decided.id != opened.id
    assert not set(REFUND.values()) & set(told["data"].values()), "arguments stay here"


@pytest.mark.promise("notify.aside")
async def test_a_receiver_that_hangs_holds_up_neither_decisions_nor_votes(receiver: Receiver, tmp_path: Path) -> None:
    receiver.silent = True
    async with telling(tmp_path, receiver) as bench:
        first = await asked(bench)
        await receiver.until(1)
        await asked(bench, arguments={**REFUND, "amount": 7000})
        await vote(bench, first, "dave")
        assert (await bench.ask("create_refund", REFUND))["decision"] == "allow"
        assert len(receiver.posts) == 1, "all of that happened while the first message hung"


@pytest.mark.promise("notify.aside")
async def test_a_receiver_that_is_not_there_holds_up_nothing_and_hears_of_it_later(
    receiver: Receiver, tmp_path: Path
) -> None:
    receiver.answers = [503]
    async with telling(tmp_path, receiver) as bench:
        identifier = await asked(bench)
        await receiver.until(1)
        first, second = await receiver.until(2, lambda: later(bench, 10))
    assert first.id == second.id
    assert second.said["data"]["request"] == identifier


@pytest.mark.promise("notify.reminders")
async def test_the_service_itself_reminds_tells_others_and_marks_what_ran_out(
    receiver: Receiver, tmp_path: Path
) -> None:
    async with telling(tmp_path, receiver) as bench:
        identifier = await asked(bench)
        for number, seconds in enumerate((0, 300, 300, 300), 1):
            later(bench, seconds)
            await receiver.until(number)
        assert [post.said["type"] for post in receiver.posts] == [
            "approval.opened",
            "approval.reminder",
            "approval.escalated",
            "approval.decided",
        ]
        assert (
            receiver.posts[-1].said["data"] | {"status": "expired", "request": identifier}
            == (receiver.posts[-1].said["data"])
        )


@pytest.mark.promise("notify.outside")
async def test_a_receiver_inside_is_warned_about_or_not_told(
    receiver: Receiver, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with telling(tmp_path, receiver):
        assert "unsafe_webhook_private_addresses" in caplog.text
    with pytest.raises(Fault, match="not https"):
        async with telling(tmp_path / "safe", receiver, unsafe_webhook_private_addresses=False):
            pass


@pytest.mark.promise("notify.signed")
async def test_a_service_does_not_start_with_a_secret_it_cannot_sign_with(receiver: Receiver, tmp_path: Path) -> None:
    webhooks = ({"url": receiver.url, "secret_file": kept(tmp_path, "hunter22")},)
    with pytest.raises(Fault, match="no webhook secret"):
        async with telling(tmp_path / "pdp", receiver, webhooks=webhooks):
            pass


@pytest.mark.promise("notify.signed")
async def test_the_secret_is_replaced_without_a_restart(receiver: Receiver, tmp_path: Path) -> None:
    fresh = f"whsec_{base64.b64encode(b'f' * 32).decode()}"
    async with telling(tmp_path, receiver) as bench:
        kept(tmp_path, fresh, SECRET)
        await asked(bench)
        [post] = await receiver.until(1)
    for secret in (SECRET, fresh):
        assert Webhook(secret).verify(post.body, post.headers)["type"] == "approval.opened"


@pytest.mark.promise("notify.signed")
def test_a_message_leads_to_the_page_of_the_request_where_there_is_a_console() -> None:
    told = {"request": "apr_1", "status": "open", "server": "s", "tool": "t", "expires_at": "2026-01-05T10:00:00Z"}
    row = {"id": "msg_1", "event": "approval.opened", "at": "2026-01-05T10:00:00Z", "told": told}
    assert message_of(row, "https://pdp.example/console").told.url == "https://pdp.example/console/approvals/apr_1"
    assert message_of(row, None).told.url is None


@pytest.mark.promise("house.docs")
def test_the_settings_of_the_guide_are_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    guide = (ROOT / "docs" / "approvals.md").read_text()
    file = tmp_path / "pdp.toml"
    file.write_text(guide.split("```toml\n")[1].split("```")[0])
    monkeypatch.setenv("PDP_CONFIG", str(file))
    known = load()
    assert [item.events for item in known.webhooks] == [EVENTS, ("approval.escalated",)]
    assert known.notify_urls_file == Path("/etc/pdp/chats")


@pytest.mark.promise("house.docs")
async def test_the_message_of_the_guide_is_a_message(receiver: Receiver, tmp_path: Path) -> None:
    guide = (ROOT / "docs" / "approvals.md").read_text()
    shown = json.loads(guide.split("```json\n")[1].split("```")[0])
    async with telling(tmp_path, receiver) as bench:
        await asked(bench)
        [post] = await receiver.until(1)
    assert shown.keys() == post.said.keys()
    assert shown["data"].keys() == set(Told.__struct_fields__)
