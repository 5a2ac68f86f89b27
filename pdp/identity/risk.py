"""Risk: a score of 0 to 100 that a human can check with a pocket calculator (architecture, section 5). Pure.

    units of a sign   u = -ln(1 - p) * 2 ** (-age / half_life)      p: the probability it stands for
    score             100 * (1 - exp(-w * U))                       U: the sum of u;  w: the impact of the tool
    of fresh signs    100 * (1 - ((1 - p1) * (1 - p2) * ...) ** w)  the same, for the calculator

Signs are combined as if independent (noisy-or), each sign's points are its share of U, and the points add up to the
score to the last hundredth. Facts that must deny (a revoked session, a disabled agent) are no signs: steps refuse them.
"""

import math
from collections.abc import Iterable, Mapping
from datetime import datetime

from msgspec import Struct

from ..answer import Evidence, Level, Risk
from ..times import parse_rfc3339, rfc3339

MOST = 0.999  # the probability of a certain sign: one sign alone must not make the sum infinite
SHOWN = 12  # signs named in an answer; the rest are one line
REST = "risk.more"

DAY = 86_400
HOUR = 3_600


class Weights(Struct, frozen=True):
    """What signs weigh: `impact` by tool class, `labels` by argument label (the largest counts), `signs` by code.

    A sign is (probability, half-life in seconds; 0 lasts until it is withdrawn).
    """

    impact: dict[str, float]
    labels: dict[str, float]
    signs: dict[str, tuple[float, int]]
    levels: list[tuple[float, Level]]


# Judgement, calibrated so that the worked examples of research identity.md, section 3.3, come out within ten points.
DEFAULTS = Weights(
    impact={"read": 0.5, "write": 1.0, "external": 1.5, "destructive": 2.0, "privileged": 3.0},
    labels={"personal": 1.5, "secret": 2.0, "payment": 2.0},
    signs={
        "token.bearer_only": (0.05, 0),
        "token.old": (0.1, 0),
        "token.keys_stale": (0.1, 0),
        "caller.asserted": (0.2, 0),
        "agent.by_client_id": (0.1, 0),
        "agent.unowned": (0.3, 0),
        "use.first": (0.15, 0),
    },
    levels=[(90, "critical"), (70, "high"), (40, "medium"), (20, "low"), (0, "minimal")],
)


class Sign(Struct, frozen=True):
    """One reason for suspicion: a probability, observed at a time, that halves every `half_life_s` (0: never)."""

    code: str
    probability: float
    observed_at: str
    half_life_s: int
    source: str


def known_sign(code: str, observed_at: datetime, source: str, weights: Weights = DEFAULTS) -> Sign:
    """Return a sign of the catalogue."""
    probability, half_life_s = weights.signs[code]
    return Sign(
        code=code, probability=probability, observed_at=rfc3339(observed_at), half_life_s=half_life_s, source=source
    )


def assess(
    signs: Iterable[Sign],
    *,
    impact: str,
    labels: Iterable[str],
    coverage: Mapping[str, bool],
    now: datetime,
    weights: Weights = DEFAULTS,
) -> Risk:
    """Return the risk of a call of a tool of class `impact` whose arguments carry `labels`."""
    weighed = [(sign, units(sign, now)) for sign in signs]
    total = math.fsum(unit for _, unit in weighed)
    factor = weights.impact.get(impact, max(weights.impact.values()))
    factor *= max((weights.labels.get(label, 1.0) for label in labels), default=1.0)
    cents = round(10_000 * -math.expm1(-factor * total))
    return Risk(
        score=cents / 100,
        level=_level(cents / 100, weights),
        evidence=_shares(weighed, total, cents),
        coverage=dict(coverage),
    )


def units(sign: Sign, now: datetime) -> float:
    """Return the decayed evidence of one sign; one from the future counts as new."""
    probability = min(max(sign.probability, 0.0), MOST)
    age_s = max(0.0, (now - parse_rfc3339(sign.observed_at)).total_seconds())
    decay = 2 ** (-age_s / sign.half_life_s) if sign.half_life_s else 1.0
    return -math.log1p(-probability) * decay


def _level(score: float, weights: Weights) -> Level:
    return next(level for floor, level in weights.levels if score >= floor)


def _shares(weighed: list[tuple[Sign, float]], total: float, cents: int) -> list[Evidence]:
    """Split the score in hundredths by the largest remainder, so that nothing is lost to rounding."""
    if not cents:
        return []
    ordered = sorted(weighed, key=lambda pair: (-pair[1], pair[0].code, pair[0].observed_at, pair[0].source))
    exact = [cents * unit / total for _, unit in ordered]
    points = [int(share) for share in exact]
    by_remainder = sorted(range(len(exact)), key=lambda i: (points[i] - exact[i], i))
    for i in by_remainder[: cents - sum(points)]:
        points[i] += 1
    named = [_evidence(sign, point) for (sign, _), point in zip(ordered, points, strict=True) if point]
    return _shortened(named)


def _evidence(sign: Sign, cents: int) -> Evidence:
    return Evidence(code=sign.code, points=cents / 100, since=sign.observed_at, source=sign.source)


def _shortened(evidence: list[Evidence]) -> list[Evidence]:
    if len(evidence) <= SHOWN:
        return evidence
    kept, rest = evidence[: SHOWN - 1], evidence[SHOWN - 1 :]
    points = round(sum(item.points for item in rest), 2)
    since = min(item.since for item in rest)
    return [*kept, Evidence(code=REST, points=points, since=since, source="pdp")]
