"""Chats and mailboxes are told through Apprise, where it is installed; its URLs are shown nowhere."""

import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pdp.approvals.chat import chats_in, text_of, title_of
from pdp.approvals.messages import Message, Undelivered
from pdp.approvals.notify import Told
from pdp.errors import Fault
from pdp.times import system_clock
from tests.conftest import ROOT, FakeClock
from tests.flow.test_approvals import APPROVERS, asked, know
from tests.receiver import Receiver, receiving
from tests.service import calm, running

pytestmark = [
    pytest.mark.slow,
    pytest.mark.promise("notify.chat"),
    pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning"),  # Apprise's mail plugin, on 3.11
]
TOLD = Told("apr_1", "open", "payments", "create_refund", "2026-01-05T10:15:00Z", "write", "alice", "helpdesk")


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


def listed(folder: Path, *urls: str) -> Path:
    """Write a file of Apprise URLs."""
    path = folder / "urls"
    path.write_text("\n".join(urls))
    path.chmod(0o600)
    return path


async def test_a_running_service_tells_a_chat(receiver: Receiver, tmp_path: Path) -> None:
    pytest.importorskip("apprise", reason="the extra `notify` is not installed: chats were not tested")
    urls = listed(tmp_path, "# the team's channel", "", receiver.url.replace("http:", "json:"))
    async with running(tmp_path / "pdp", FakeClock(), org_dir=calm(tmp_path / "org"), notify_urls_file=urls) as bench:
        await know(bench, APPROVERS)
        identifier = await asked(bench)
        [post] = await receiver.until(1)
    assert post.said["title"] == "Approval wanted: payments/create_refund"
    assert post.said["message"].split("\n") == [
        "for alice",
        "a tool of class write",
        "until 2026-01-05T10:15:00Z",
        identifier,
    ]


async def test_a_chat_that_does_not_take_a_message_is_sent_it_again(receiver: Receiver, tmp_path: Path) -> None:
    pytest.importorskip("apprise")
    [chat] = chats_in(listed(tmp_path, receiver.url.replace("http:", "json:")))
    receiver.answers = [500]
    with pytest.raises(Undelivered):
        await chat.send(Message("msg_1", "approval.opened", TOLD.expires_at, TOLD), system_clock(), 5.0)
    assert len(receiver.posts) == 1


def test_a_url_that_apprise_does_not_know_is_a_fault_that_does_not_show_it(tmp_path: Path) -> None:
    pytest.importorskip("apprise")
    with pytest.raises(Fault, match="URL 2 in") as fault:
        chats_in(listed(tmp_path, "json://localhost/", "nonsense://token@nowhere/"))
    assert "token" not in str(fault.value)
    [chat] = chats_in(listed(tmp_path, "json://user:hunter22@localhost/"))
    assert "hunter22" not in repr(chat) + chat.name


def test_without_the_extra_the_fault_says_what_to_install(tmp_path: Path) -> None:
    urls = listed(tmp_path, "json://localhost/")
    script = f"""
import sys
sys.modules["apprise"] = None  # as where it is not installed
from pathlib import Path
from pdp.approvals.chat import chats_in
chats_in(Path({str(urls)!r}))
"""
    ended = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "Fault: PDP_NOTIFY_URLS_FILE needs Apprise: pip install 'mcp-pdp[notify]'." in ended.stderr


def test_a_service_without_chats_does_not_import_apprise() -> None:
    script = "import sys, pdp.app; sys.exit('apprise' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False).returncode == 0


def test_what_a_chat_says_hides_nothing_and_leads_to_the_request() -> None:
    message = Message("msg_1", "approval.decided", TOLD.expires_at, TOLD)
    assert title_of(message) == "Approval open: payments/create_refund"
    odd = Told("apr_1", "open", "s", "t", TOLD.expires_at, "read", "ali\u202ece\nfor bob", url="https://pdp.example/x")
    said = text_of(odd).split("\n")
    assert ("\u202e" in text_of(odd), len(said), said[-1]) == (False, 4, "https://pdp.example/x")
