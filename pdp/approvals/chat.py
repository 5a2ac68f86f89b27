"""Chats and mailboxes that are told of approvals, through Apprise: an optional extra, imported only when it is used.

Apprise knows more than a hundred services, one way: nobody votes in a chat, the message leads to the request. Its URLs
hold passwords and tokens, so they are in a file of their own and never in a log or in the store.
"""

import hashlib
import importlib
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from ..errors import Fault
from ..keyfile import private_lines
from .messages import Message, Undelivered
from .notify import Told
from .plain import plain
from .states import EVENTS, Event

TITLES: dict[Event, str] = {
    "approval.opened": "Approval wanted",
    "approval.reminder": "Still waits for approval",
    "approval.escalated": "Nobody has decided yet",
    "approval.decided": "Approval",
}


@dataclass(frozen=True)
class Chat:
    """One Apprise URL, which is not to be shown. `name` is what the outbox knows it by."""

    name: str
    service: Any = field(repr=False)
    events: frozenset[str] = frozenset(EVENTS)

    async def send(self, message: Message, _now: datetime, _within_s: float) -> None:
        """Send a message. Raises `Undelivered`; Apprise logs why."""
        if not await self.service.async_notify(title=title_of(message), body=text_of(message.told)):
            raise Undelivered("the service did not take it: see the lines of apprise in the log")


def chats_in(path: Path) -> list[Chat]:
    """Return a destination for each Apprise URL in a file, one a line. Raises `Fault` naming a line that is none."""
    try:
        apprise = importlib.import_module("apprise")
    except ModuleNotFoundError:
        raise Fault("PDP_NOTIFY_URLS_FILE needs Apprise: pip install 'mcp-pdp[notify]'.") from None
    return [
        _chat(apprise, url, f"URL {number} in {path}")
        for number, url in enumerate(private_lines(path, "file of Apprise URLs"), 1)
    ]


def _chat(apprise: Any, url: str, where: str) -> Chat:
    service = apprise.Apprise()
    if not service.add(url) or len(service) != 1:
        raise Fault(f"{where} is not one that Apprise knows: see its list of services.")
    kind, _, _ = url.partition(":")
    return Chat(f"chat:{kind}:{hashlib.sha256(url.encode()).hexdigest()[:12]}", service)


def title_of(message: Message) -> str:
    """Return a message's first line."""
    told = message.told
    ended = f" {told.status}" if message.event == "approval.decided" else ""
    return f"{TITLES[message.event]}{ended}: {plain(told.server)}/{plain(told.tool)}"


def text_of(told: Told) -> str:
    """Return what is said of a request; nothing in its names hides or turns around."""
    who = " through ".join(plain(name) for name in (told.person, told.agent) if name)
    lines = (f"for {who or 'nobody'}", f"a tool of class {told.risk_class}", f"until {told.expires_at}")
    return "\n".join((*lines, told.url or told.request))
