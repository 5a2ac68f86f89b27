"""What is wrong with a policy pack: where, what, and what to do instead."""

from collections.abc import Iterable
from typing import NamedTuple

from ..errors import Fault


class Problem(NamedTuple):
    """One thing wrong with a pack. `file` is what its author calls it; `line` is 0 when it concerns the whole file."""

    file: str
    line: int
    what: str
    instead: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.what} {self.instead}".rstrip()


class PackRefused(Fault):
    """A policy pack that is not loaded; the policy before it, if any, stays. The message lists every problem."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("The policy pack is refused:\n" + "\n".join(f"  {problem}" for problem in self.problems))
