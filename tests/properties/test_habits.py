"""Habits: unusual speed, bursts of denies and probing are noticed, and fade; usual work is not held against anybody."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdp.identity.habits import NONE, Count, Habit, Habits
from pdp.identity.risk import assess
from tests.conftest import START
from tests.flow.people import WEIGHTS

pytestmark = pytest.mark.promise("risk.habits")
WINDOWS = WEIGHTS.habits
T0 = START.timestamp()


def after(times: list[float], habit: Habit = NONE, *, denied: bool = False, unknown: bool = False) -> Habit:
    for moment in times:
        habit = habit.after(moment, WINDOWS, denied=denied, unknown=unknown)
    return habit


def test_more_calls_in_a_minute_than_ever_before_are_fast() -> None:
    many = int(WINDOWS.fast.at_least) * 2
    assert "use.fast" in after([T0 + number * 0.1 for number in range(many)]).seen
    assert "use.fast" not in after([T0 + number * 2.0 for number in range(many)]).seen


def test_a_caller_that_always_calls_that_often_is_not_fast_but_one_that_speeds_up_is() -> None:
    steady = after([T0 + number * 0.5 for number in range(3 * 86_400)])  # 120 a minute for a day and a half
    end = T0 + 1.5 * 86_400
    assert max(steady.seen.get("use.fast", 0), T0) < end - 86_400 / 2, "it was new at first, and is usual by now"
    faster = after([end + number * 0.02 for number in range(2000)], steady)
    assert faster.seen["use.fast"] > end


def test_many_denies_and_tools_that_do_not_exist_are_noticed_and_allows_are_not() -> None:
    burst = [T0 + number for number in range(12)]
    assert after(burst, denied=True).seen.keys() == {"use.refused"}
    assert after(burst[:6], denied=True, unknown=True).seen.keys() == {"use.probing"}
    assert after(burst).seen == {}
    assert after([T0 + number * 600 for number in range(50)], denied=True).seen == {}


def test_what_was_noticed_raises_the_risk_of_this_caller_alone_and_fades() -> None:
    habits = Habits()
    for number in range(20):
        moment = START + timedelta(seconds=number)
        habits.note(("alice", "bot"), moment, WEIGHTS, denied=True, unknown=False)
    assert habits.signs(("alice", None), WEIGHTS) == habits.signs(("bob", "bot"), WEIGHTS) == []
    signs = habits.signs(("alice", "bot"), WEIGHTS)

    def score(after_s: int) -> float:
        now = START + timedelta(seconds=after_s)
        return assess(signs, impact="write", labels=[], coverage={}, now=now, weights=WEIGHTS).score

    assert [sign.code for sign in signs] == ["use.refused"]
    assert score(20) > score(1800) > score(86_400)


@given(st.lists(st.floats(-1e6, 1e6), max_size=30), st.floats(1, 1e5))
def test_a_count_lies_between_nothing_and_the_number_of_events_whatever_the_clock_does(
    steps: list[float], window_s: float
) -> None:
    count, moment = Count(), T0
    for number, step in enumerate(steps, 1):
        moment += step
        count = count.plus(moment, window_s)
        assert 0 <= count.now(moment, window_s) <= number + 1e-9
