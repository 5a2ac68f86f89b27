"""Signatures of webhooks: the standard's vector and library agree, also with two secrets while one is replaced."""

import base64
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook as Library
from standardwebhooks import WebhookVerificationError

from pdp.approvals.messages import Message
from pdp.approvals.notify import Told
from pdp.approvals.states import EVENTS
from pdp.approvals.webhooks import secrets_in, signed, webhook_at
from pdp.errors import Fault
from pdp.outward import Outward
from pdp.times import system_clock

pytestmark = pytest.mark.promise("notify.signed")
OLD, NEW = (f"whsec_{base64.b64encode(byte * 32).decode()}" for byte in (b"o", b"n"))


def kept(path: Path, text: str, mode: int = 0o600) -> Path:
    """Write a file of secrets and return it."""
    path.write_text(text)
    path.chmod(mode)
    return path


def test_the_vector_of_the_standard(tmp_path: Path) -> None:
    secrets = secrets_in(kept(tmp_path / "s", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n"))
    at = datetime.fromtimestamp(1614265330, UTC)
    assert signed("msg_p5jXN8AQM9LWM0D4loKWxJek", at, b'{"test": 2432232314}', secrets) == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_while_one_replaces_the_other_a_receiver_with_either_secret_is_content(tmp_path: Path) -> None:
    secrets = secrets_in(kept(tmp_path / "s", f"{NEW}\n{OLD}\n"))
    headers = signed("msg_1", system_clock(), b"{}", secrets)
    for secret in (OLD, NEW):
        assert Library(secret).verify(b"{}", headers) == {}
    with pytest.raises(WebhookVerificationError):
        Library(f"whsec_{base64.b64encode(b'x' * 32).decode()}").verify(b"{}", headers)


@given(tool=st.text(), person=st.none() | st.text())
def test_whatever_a_tool_or_a_person_is_called_the_receiver_reads_what_was_signed(
    tool: str, person: str | None
) -> None:
    told = Told("apr_1", "open", "payments", tool, "2026-01-05T10:00:00Z", person=person)
    body = Message("msg_1", "approval.opened", "2026-01-05T10:00:00Z", told).body
    data = Library(NEW).verify(body, signed("msg_1", system_clock(), body, [b"n" * 32]))["data"]
    assert (data["tool"], data.get("person")) == (tool, person)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hunter22",
        f"{OLD[6:]}",
        "whsec_c2hvcnQ=",
        "whsec_!!!!",
        f"{OLD}\n{NEW}\n{OLD}",
        f"whsec_{'A' * 88}",
        "whsec_ü",
    ],
    ids=["empty", "no prefix", "prefix left out", "short", "not Base64", "three", "long", "not ASCII"],
)
def test_a_file_without_a_good_secret_is_a_fault_that_does_not_show_it(text: str, tmp_path: Path) -> None:
    with pytest.raises(Fault) as fault:
        secrets_in(kept(tmp_path / "s", text))
    assert not text or text not in str(fault.value)


def test_a_receiver_is_known_by_its_host_and_never_by_what_else_is_in_its_url(tmp_path: Path) -> None:
    url = "https://hooks.example/services/T0K3N?key=hunter22"
    known = webhook_at(url, kept(tmp_path / "s", OLD), frozenset(EVENTS), Outward())
    assert known.name.startswith("webhook:hooks.example:")
    assert not {word for word in ("T0K3N", "hunter22") if word in known.name}
    other = webhook_at(f"{url}2", tmp_path / "s", frozenset(EVENTS), Outward())
    assert known.name != other.name


def test_a_secret_that_others_may_read_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(Fault, match="chmod 600"):
        secrets_in(kept(tmp_path / "s", OLD, 0o640))
    with pytest.raises(Fault, match="cannot be read"):
        secrets_in(tmp_path / "missing")
