"""Sparing: of many parameters of one kind a few are tried in every run, the rest with the slow tests."""

from collections.abc import Callable, Hashable, Iterable
from typing import Any

import pytest


def sparing(parameters: Iterable[Any], kind: Callable[[Any], Hashable]) -> list[Any]:
    """Return the parameters, all but the first of each kind marked `slow`. One may be a `pytest.param`, or a value."""
    seen: set[Hashable] = set()
    marked = []
    for parameter in parameters:
        param = parameter if isinstance(parameter, type(pytest.param())) else pytest.param(parameter)
        of = kind(parameter)
        marks = [] if of not in seen else [pytest.mark.slow]
        seen.add(of)
        marked.append(pytest.param(*param.values, id=param.id, marks=[*param.marks, *marks]))
    return marked
