"""A message on its way out, and what a destination is."""

from datetime import datetime
from typing import Any, NamedTuple, Protocol

import msgspec

from ..errors import Fault
from .notify import Told
from .states import Event


class Undelivered(Fault):
    """A destination did not take a message; `gone` when it will take none any more."""

    def __init__(self, message: str, *, gone: bool = False) -> None:
        super().__init__(message)
        self.gone = gone


class Message(NamedTuple):
    """What is sent: the same id and the same body at each attempt. `at` is when it happened."""

    id: str
    event: Event
    at: str
    told: Told

    @property
    def body(self) -> bytes:
        """Return the message as JSON: `type`, `timestamp`, `data` (Standard Webhooks, "Payload structure")."""
        return msgspec.json.encode({"type": self.event, "timestamp": self.at, "data": self.told})


class Destination(Protocol):
    """Where messages go. `name` tells it apart in the outbox; `events` are those it is told of."""

    @property
    def name(self) -> str: ...

    @property
    def events(self) -> frozenset[str]: ...

    async def send(self, message: Message, now: datetime, within_s: float) -> None:
        """Send a message within so many seconds. Raises `Fault` when it was not taken."""


def message_of(row: dict[str, Any], console: str | None) -> Message:
    """Return what a row of the outbox is to say; `console` is where people find its pages."""
    told = msgspec.convert(row["told"], Told)
    if console:
        told = msgspec.structs.replace(told, url=f"{console}/approvals/{told.request}")
    return Message(row["id"], row["event"], row["at"], told)
