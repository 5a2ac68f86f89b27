"""What a scrape of `/metrics` says, and what PromQL expressions name."""

import re
from collections.abc import Iterable

from prometheus_client.parser import text_string_to_metric_families

from tests.service import Bench

Series = tuple[str, tuple[tuple[str, str], ...]]
"""A name and its labels."""

NAME = re.compile(r"\b(?:pdp|process)_[a-z_]+\b")


async def scrape(pdp: Bench) -> dict[Series, float]:
    """Return every series of a service and its value."""
    response = await pdp.http.get("/metrics")
    assert response.status_code == 200
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def value(found: dict[Series, float], name: str, **labels: str) -> float:
    """Return the value of one series."""
    return found[name, tuple(sorted(labels.items()))]


def named(expressions: Iterable[str]) -> set[str]:
    """Return the metrics that PromQL expressions name."""
    return {name for expression in expressions for name in NAME.findall(expression)}
