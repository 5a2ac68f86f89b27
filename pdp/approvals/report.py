"""How each person votes: how often they agree, and after how long. Who agrees within seconds, always, does not read.

Names are here, for those who look after approvals, and not in the metrics, where each would be a series of its own.
"""

from collections import defaultdict
from collections.abc import Iterable
from statistics import median
from typing import Any

from msgspec import Struct

from ..times import parse_rfc3339


class Habits(Struct, frozen=True):
    """One person's votes. Times are seconds from the opening of a request to the vote; the rate is from 0 to 1."""

    person: str
    votes: int
    approve_rate: float
    median_dwell_s: float
    fastest_dwell_s: float


def habits_of(votes: Iterable[dict[str, Any]]) -> list[Habits]:
    """Return the habits of everybody who voted, those with the most votes first."""
    by_person: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for vote in votes:
        by_person[vote["person"]].append(vote)
    found = [_habits(person, cast) for person, cast in by_person.items()]
    return sorted(found, key=lambda one: (-one.votes, one.person))


def _habits(person: str, cast: list[dict[str, Any]]) -> Habits:
    dwell = [(parse_rfc3339(vote["at"]) - parse_rfc3339(vote["opened_at"])).total_seconds() for vote in cast]
    return Habits(
        person=person,
        votes=len(cast),
        approve_rate=sum(vote["vote"] == "approve" for vote in cast) / len(cast),
        median_dwell_s=median(dwell),
        fastest_dwell_s=min(dwell),
    )
