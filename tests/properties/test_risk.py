"""What the risk score promises, for any signs: bounded, monotone, free of order, and explained to the last point."""

import random
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdp.answer import Risk
from pdp.identity.risk import REST, SHOWN, Sign, assess, units
from pdp.times import rfc3339
from tests.conftest import START
from tests.flow.people import WEIGHTS

pytestmark = pytest.mark.promise("risk.score")
CLASSES = sorted(WEIGHTS.impact)
LABELS = [*WEIGHTS.labels, "path", "unheard of"]

signs = st.builds(
    Sign,
    code=st.sampled_from(["caep.risk", "token.old", "use.first", "edr.finding"]),
    probability=st.floats(0, 1),
    observed_at=st.integers(-86_400, 90 * 86_400).map(lambda age: rfc3339(START - timedelta(seconds=age))),
    half_life_s=st.sampled_from([0, 900, 86_400, 7 * 86_400]),
    source=st.sampled_from(["pdp", "okta", "edr"]),
)
lists = st.lists(signs, max_size=30)
impacts = st.sampled_from([*CLASSES, "unheard of"])
labels = st.lists(st.sampled_from(LABELS), max_size=3)


def score(of: list[Sign], impact: str = "write", labels: list[str] | None = None) -> Risk:
    return assess(of, impact=impact, labels=labels or [], coverage={}, now=START, weights=WEIGHTS)


def cents(points: float) -> int:
    return round(points * 100)


@given(lists, impacts, labels)
def test_a_score_lies_between_0_and_100(of: list[Sign], impact: str, labels: list[str]) -> None:
    assert 0 <= score(of, impact, labels).score <= 100


@given(lists, impacts, labels)
def test_the_evidence_adds_up_to_the_score(of: list[Sign], impact: str, labels: list[str]) -> None:
    risk = score(of, impact, labels)
    assert sum(cents(item.points) for item in risk.evidence) == cents(risk.score)
    assert all(item.points > 0 for item in risk.evidence)
    assert len(risk.evidence) <= SHOWN


@given(lists, signs, impacts, labels)
def test_one_more_sign_never_lowers_the_score(of: list[Sign], sign: Sign, impact: str, labels: list[str]) -> None:
    assert score([*of, sign], impact, labels).score >= score(of, impact, labels).score


@given(lists, signs, st.floats(0, 1), impacts)
def test_a_stronger_sign_never_lowers_the_score(of: list[Sign], sign: Sign, other: float, impact: str) -> None:
    weaker, stronger = sorted([sign.probability, other])
    scores = [
        score([*of, Sign(sign.code, p, sign.observed_at, sign.half_life_s, sign.source)], impact).score
        for p in (weaker, stronger)
    ]
    assert scores[0] <= scores[1]


@given(lists, signs)
def test_an_older_sign_never_weighs_more(of: list[Sign], sign: Sign) -> None:
    later = START + timedelta(days=1)
    assert units(sign, later) <= units(sign, START)
    assert (
        assess(of, impact="read", labels=[], coverage={}, now=later, weights=WEIGHTS).score <= score(of, "read").score
    )


@given(lists, labels, st.randoms(use_true_random=False))
def test_the_order_of_signs_changes_nothing(of: list[Sign], labels: list[str], shuffle: random.Random) -> None:
    mixed = list(of)
    shuffle.shuffle(mixed)
    assert score(mixed, "write", labels) == score(of, "write", labels)


@given(lists)
def test_a_tool_that_can_do_more_is_never_less_risky(of: list[Sign]) -> None:
    order = ["read", "write", "external", "destructive", "privileged"]
    scores = [score(of, impact).score for impact in order]
    assert scores == sorted(scores)


@given(lists)
def test_a_class_nobody_knows_counts_as_privileged(of: list[Sign]) -> None:
    assert score(of, "unheard of").score == score(of, "privileged").score


@given(lists, labels)
def test_a_labelled_argument_never_lowers_the_score(of: list[Sign], labels: list[str]) -> None:
    assert score(of, "write", labels).score >= score(of, "write").score


def test_no_sign_is_no_risk_and_a_certain_sign_is_not_infinite() -> None:
    assert score([]) == Risk(score=0, level="minimal", evidence=[], coverage={})
    certain = Sign("edr.finding", 1.0, rfc3339(START), 0, "edr")
    assert 99 < score([certain]).score <= 100


def test_more_signs_than_fit_are_summed_in_one_line() -> None:
    many = [Sign(f"code.{i:02}", 0.05, rfc3339(START), 0, "x") for i in range(40)]
    risk = score(many)
    assert [item.code for item in risk.evidence].count(REST) == 1
    assert sum(cents(item.points) for item in risk.evidence) == cents(risk.score)


def stored(p: float, *, age_s: int = 0, half_life_s: int = 7 * 86_400) -> Sign:
    return Sign("caep.risk", p, rfc3339(START - timedelta(seconds=age_s)), half_life_s, "okta")


@pytest.mark.promise("risk.calibrated")
@pytest.mark.parametrize(
    ("probabilities", "impact", "labels", "expected", "published"),
    [  # fresh signs: the score is 100 * (1 - ((1-p1) * (1-p2) * ...) ** w)
        ([0.35, 0.05], "external", [], 100 * (1 - (0.65 * 0.95) ** 1.5), 53),
        ([0.75, 0.05], "read", [], 100 * (1 - (0.25 * 0.95) ** 0.5), 61),
        ([0.4, 0.05], "privileged", [], 100 * (1 - (0.6 * 0.95) ** 3), 81),
        ([0.25, 0.15], "destructive", ["secret"], 100 * (1 - (0.75 * 0.85) ** 4), 84),
        ([0.6], "read", [], 100 * (1 - 0.4**0.5), 44),
        ([0.05], "write", [], 5.0, 5),
    ],
)
def test_a_score_can_be_checked_by_hand_and_is_near_the_published_example(
    probabilities: list[float], impact: str, labels: list[str], expected: float, published: float
) -> None:
    found = score([stored(p) for p in probabilities], impact, labels).score
    assert found == round(expected, 2)
    assert abs(found - published) <= 10  # research identity.md, section 3.3


@pytest.mark.promise("risk.calibrated")
def test_after_one_half_life_a_sign_weighs_half() -> None:
    assert units(stored(0.75, age_s=3600, half_life_s=3600), START) == units(stored(0.5), START)
    assert units(stored(0.75, age_s=10**9, half_life_s=0), START) == units(stored(0.75), START)


@pytest.mark.promise("risk.calibrated")
@pytest.mark.parametrize(
    ("p", "level"), [(0.19, "minimal"), (0.2, "low"), (0.4, "medium"), (0.7, "high"), (0.9, "critical")]
)
def test_levels_begin_where_they_say(p: float, level: str) -> None:
    assert score([stored(p)]).level == level
