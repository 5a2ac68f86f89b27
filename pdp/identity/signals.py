"""Signals: what others tell us about a person, an agent or a session, and how much it weighs.

Each belongs to its source, and ends: by itself, or because its source withdraws it. The same signal again changes
nothing; another one under its id is refused, so a source that repeats itself after a lost answer is safe, and one that
rewrites history is noticed.
"""

from datetime import datetime, timedelta
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from ..audit.office import Office
from ..errors import Fault
from ..store.revocations import registered
from ..store.signals import add_signal, count_signals, forget_expired, remove_signal, stored_signal
from ..store.sql import changing
from ..times import rfc3339
from .feed import Id, Text, Time
from .risk import Kind as Weighing
from .risk import Weights

MAX_HALF_LIFE_S = 10 * 365 * 86_400  # what fades slower does not fade
FIRST_YEAR, LAST_YEAR = 1970, 9000  # times of four digits, in every zone
FUTURE_S = 60  # clocks differ; what is observed later than that was not observed
LONGEST = timedelta(days=180)  # a source that still means it says so again; nobody stays marked for ever
MOST = 50  # live signals of one source about one entity: each is weighed at every decision about it


class SignalBody(Struct, frozen=True, forbid_unknown_fields=True):
    """One signal. `id` is its source's own; a session is `<issuer> <sid>`.

    `weight` (per mille) and `half_life_s` are those of the code in config.yaml, which must know it, unless given.
    """

    id: Id
    entity_kind: Literal["person", "agent", "session"]
    entity: Text
    code: Id
    observed_at: Time
    expires_at: Time | None = None
    weight: Annotated[int, Meta(ge=0, le=1000)] | None = None
    half_life_s: Annotated[int, Meta(ge=0, le=MAX_HALF_LIFE_S)] | None = None


class Taken(Struct, frozen=True):
    """A signal as it counts. Times are RFC 3339, `weight` is a probability per mille."""

    id: str
    entity_kind: str
    entity: str
    code: str
    weight: int
    observed_at: str
    half_life_s: int
    expires_at: str
    source: str


class Contradicted(Fault):
    """Another signal was taken under this id."""


class NotConcerned(Fault):
    """The signal is about nobody who is registered."""


async def receive(office: Office, body: SignalBody, source: str, weights: Weights) -> Taken:
    """Take a signal, on record before it counts; the same again is answered alike, whatever its code weighs by then.

    Raises `Fault` for one that cannot be, `Contradicted`, `NotConcerned`, `Unrecorded` and `StoreUnavailable`.
    """
    now = office.now()
    async with changing(office.store) as connection:  # the same signal may arrive twice at once
        known = await stored_signal(connection, stored_id(source, body.id))
        if known is not None:
            return _the_same(msgspec.convert(known, Taken), body)
        taken = weighed(body, source, weights, now)
        if body.entity_kind != "session" and not await registered(connection, body.entity_kind, body.entity):
            raise NotConcerned(f"No {body.entity_kind} is registered as {body.entity}.")
        await forget_expired(connection, taken.entity_kind, taken.entity, now)
        if await count_signals(connection, taken.entity_kind, taken.entity, source) >= MOST:
            raise Fault(f"{source} has {MOST} signals about {body.entity}: withdraw some, or let them expire.")
        await add_signal(connection, msgspec.to_builtins(taken), now)
        await office.put_on_record("signal.received", msgspec.to_builtins(taken))
    return taken


async def withdraw(office: Office, identifier: str, source: str) -> Taken:
    """Take a signal back, by the source that sent it. Raises `NotConcerned`, `Unrecorded` and `StoreUnavailable`."""
    async with changing(office.store) as connection:
        known = await stored_signal(connection, stored_id(source, identifier))
        if known is None:
            raise NotConcerned(f"{source} has no signal {identifier}.")
        taken = msgspec.convert(known, Taken)
        await remove_signal(connection, msgspec.to_builtins(taken), office.now())
        await office.put_on_record("signal.received", msgspec.to_builtins(taken) | {"withdrawn": True})
    return taken


def stored_id(source: str, identifier: str) -> str:
    """Return the id of a signal among those of all sources; a source holds no blank."""
    if " " in source:
        raise Fault(f"{source!r} cannot be a source: use a name without blanks.")
    return f"{source} {identifier}"


def _the_same(known: Taken, body: SignalBody) -> Taken:
    said = {
        "entity_kind": body.entity_kind,
        "entity": body.entity,
        "code": body.code,
        "observed_at": rfc3339(body.observed_at),
    }
    said |= {"expires_at": rfc3339(body.expires_at)} if body.expires_at else {}
    said |= {name: value for name in ("weight", "half_life_s") if (value := getattr(body, name)) is not None}
    if any(getattr(known, name) != value for name, value in said.items()):
        raise Contradicted(f"The signal {body.id} of {known.source} says something else: give yours another id.")
    return known


def weighed(body: SignalBody, source: str, weights: Weights, now: datetime) -> Taken:
    """Return what a signal counts for. Raises `Fault` for an unknown code without a weight, or impossible times."""
    known = weights.signs.get(body.code)
    if known is None and body.weight is None:
        raise Fault(f"config.yaml does not know the sign {body.code}: give its weight, or add it to risk.signs.")
    if any(not FIRST_YEAR < time.year < LAST_YEAR for time in (body.observed_at, body.expires_at) if time):
        raise Fault(f"The times of a signal lie between {FIRST_YEAR} and {LAST_YEAR}.")
    if body.observed_at > now + timedelta(seconds=FUTURE_S):
        raise Fault("The signal was observed in the future: look at the clocks.")
    if body.expires_at is not None and body.expires_at <= body.observed_at:
        raise Fault("The signal expires before it was observed.")
    if body.entity_kind == "session" and not all(body.entity.partition(" ")):
        raise Fault("A session is named by its issuer, a space, and its sid.")
    kind, last = known or Weighing(0.0, 0), body.observed_at + LONGEST
    return Taken(
        id=stored_id(source, body.id),
        entity_kind=body.entity_kind,
        entity=body.entity,
        code=body.code,
        weight=round(kind.probability * 1000) if body.weight is None else body.weight,
        observed_at=rfc3339(body.observed_at),
        half_life_s=kind.half_life_s if body.half_life_s is None else body.half_life_s,
        expires_at=rfc3339(min(body.expires_at or last, last)),
        source=source,
    )
