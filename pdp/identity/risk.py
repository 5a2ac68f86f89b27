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
from typing import Any

import msgspec
from msgspec import Struct

from ..answer import Evidence, Level, Risk
from ..times import parse_rfc3339, rfc3339

MOST = 0.999  # the probability of a certain sign: one sign alone must not make the sum infinite
SHOWN = 12  # signs named in an answer; the rest are one line
REST = "risk.more"


class Kind(Struct, frozen=True):
    """What a sign weighs: a probability, and the seconds in which it halves; 0 lasts until it is withdrawn."""

    probability: float
    half_life_s: int


class Burst(Struct, frozen=True):
    """When events are many: `at_least` in a decayed window of `window_s` seconds."""

    window_s: float
    at_least: float


class Pace(Burst, frozen=True):
    """When calls are fast: as many, and `times_usual` what the last `usual_s` seconds would make one expect."""

    usual_s: float
    times_usual: float


class Windows(Struct, frozen=True):
    """What habits are watched, and how."""

    fast: Pace
    refused: Burst
    probing: Burst


class Weights(Struct, frozen=True):
    """The section `risk` of config.yaml: `impact` by tool class, `labels` by argument label, `signs` by code."""

    impact: dict[str, float]
    labels: dict[str, float]
    levels: dict[Level, float]
    signs: dict[str, Kind]
    habits: Windows

    def level(self, score: float) -> Level:
        """Return the highest level whose floor the score has reached."""
        reached = [level for level, floor in self.levels.items() if score >= floor]
        return max(reached, key=self.levels.__getitem__, default="minimal")


def read_weights(config: Mapping[str, Any]) -> Weights:
    """Read the values of a pack, which its schema has checked."""
    return msgspec.convert(config["risk"], Weights)


class Sign(Struct, frozen=True):
    """One reason for suspicion: a probability, observed at a time, that halves every `half_life_s` (0: never)."""

    code: str
    probability: float
    observed_at: str
    half_life_s: int
    source: str


def known_sign(code: str, observed_at: datetime, source: str, weights: Weights) -> Sign:
    """Return a sign of the catalogue."""
    kind = weights.signs[code]
    return Sign(code, kind.probability, rfc3339(observed_at), kind.half_life_s, source)


def assess(
    signs: Iterable[Sign],
    *,
    impact: str,
    labels: Iterable[str],
    coverage: Mapping[str, bool],
    now: datetime,
    weights: Weights,
) -> Risk:
    """Return the risk of a call of a tool of class `impact` whose arguments carry `labels`."""
    weighed = [(sign, units(sign, now)) for sign in signs]
    total = math.fsum(unit for _, unit in weighed)
    factor = weights.impact[impact] if impact in weights.impact else max(weights.impact.values())
    factor *= max((weights.labels.get(label, 1.0) for label in labels), default=1.0)
    cents = round(10_000 * -math.expm1(-factor * total))
    return Risk(
        score=cents / 100,
        level=weights.level(cents / 100),
        evidence=_shares(weighed, total, cents),
        coverage=dict(coverage),
    )


def units(sign: Sign, now: datetime) -> float:
    """Return the decayed evidence of one sign; one from the future counts as new."""
    probability = min(max(sign.probability, 0.0), MOST)
    age_s = max(0.0, (now - parse_rfc3339(sign.observed_at)).total_seconds())
    decay = 2 ** (-age_s / sign.half_life_s) if sign.half_life_s else 1.0
    return -math.log1p(-probability) * decay


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
