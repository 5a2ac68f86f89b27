"""Habits: how often each caller calls, is denied, and asks for tools that do not exist. Kept in memory, per worker.

Counts decay, so there is nothing to reset: an event `window_s` seconds ago counts 1/e. The arithmetic is pure; `Habits`
keeps the counts of the callers seen last. Another worker or a restart knows nothing of them: they may raise risk, and
nothing is ever allowed because of them.
"""

import math
from collections import OrderedDict
from datetime import UTC, datetime

from msgspec import Struct
from msgspec.structs import replace

from .risk import Sign, Weights, Windows, known_sign

CALLERS = 50_000  # kept a worker; a few hundred bytes each
Caller = tuple[str | None, str | None]
"""Person and agent."""


class Count(Struct, frozen=True):
    """A decayed number of events as it stood at `at` (seconds since 1970)."""

    value: float = 0.0
    at: float = 0.0

    def now(self, moment: float, window_s: float) -> float:
        """Return what is left of it; a clock that was set back makes nothing grow."""
        return self.value * math.exp(-max(0.0, moment - self.at) / window_s)

    def plus(self, moment: float, window_s: float) -> "Count":
        """Return the count after one more event."""
        return Count(self.now(moment, window_s) + 1.0, max(moment, self.at))


class Habit(Struct, frozen=True):
    """What one caller is used to. `seen`: when each sign was last given cause for, by its code."""

    calls: Count = Count()
    usual: Count = Count()
    refused: Count = Count()
    probing: Count = Count()
    seen: dict[str, float] = {}  # never changed, only replaced

    def after(self, moment: float, windows: Windows, *, denied: bool, unknown: bool) -> "Habit":
        """Return the habit after one more call, decided or refused at `moment`."""
        fast, refused, probing = windows.fast, windows.refused, windows.probing
        grown = replace(
            self,
            calls=self.calls.plus(moment, fast.window_s),
            usual=self.usual.plus(moment, fast.usual_s),
            refused=self.refused.plus(moment, refused.window_s) if denied else self.refused,
            probing=self.probing.plus(moment, probing.window_s) if unknown else self.probing,
        )
        expected = grown.usual.now(moment, fast.usual_s) * fast.window_s / fast.usual_s
        many = {
            "use.fast": grown.calls.value >= max(fast.at_least, fast.times_usual * expected),
            "use.refused": grown.refused.now(moment, refused.window_s) >= refused.at_least,
            "use.probing": grown.probing.now(moment, probing.window_s) >= probing.at_least,
        }
        return replace(grown, seen=self.seen | {code: moment for code, is_so in many.items() if is_so})


class Habits:
    """The habits of the callers seen last."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Caller, Habit] = OrderedDict()

    def note(self, caller: Caller, now: datetime, weights: Weights, *, denied: bool, unknown: bool) -> None:
        """Count one call; the flow says so once it is recorded."""
        habit = self._kept.get(caller, NONE)
        self._kept[caller] = habit.after(now.timestamp(), weights.habits, denied=denied, unknown=unknown)
        self._kept.move_to_end(caller)
        if len(self._kept) > CALLERS:
            self._kept.popitem(last=False)

    def signs(self, caller: Caller, weights: Weights) -> list[Sign]:
        """Return what this caller's earlier calls give away; each sign fades by its half-life."""
        seen = self._kept.get(caller, NONE).seen
        return [known_sign(code, datetime.fromtimestamp(at, tz=UTC), "pdp", weights) for code, at in seen.items()]


NONE = Habit()
