"""The score of a run: how many mutants were killed, and of each survivor why it may live."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from msgspec import Struct, convert

from .mutate import Mutant
from .trial import Outcome

EQUIVALENT = Path(__file__).parent / "equivalent.yaml"
LEAST = 95.0  # per cent of all mutants, equivalent ones among them


class Equivalent(Struct, frozen=True, forbid_unknown_fields=True):
    """A mutant that was looked at and means the same."""

    file: str
    rule: str
    was: str
    now: str
    why: str


def read_equivalents() -> list[Equivalent]:
    """Read the reviewed table."""
    return convert(yaml.safe_load(EQUIVALENT.read_text()), list[Equivalent])


@dataclass
class Score:
    """What came of the mutants so far."""

    equivalents: list[Equivalent]
    killed: Counter[str] = field(default_factory=Counter)
    by_folder: dict[str, Counter[bool]] = field(default_factory=dict)
    survivors: list[Mutant] = field(default_factory=list)
    not_policy: int = 0

    def count(self, outcome: Outcome) -> None:
        """Count one outcome."""
        if outcome.by is None:
            self.not_policy += 1
            return
        folder = outcome.mutant.file.split("/")[0]
        self.by_folder.setdefault(folder, Counter())[bool(outcome.by)] += 1
        if outcome.by:
            self.killed[outcome.by] += 1
        else:
            self.survivors.append(outcome.mutant)

    @property
    def dead(self) -> int:
        """Return how many were killed."""
        return self.killed.total()

    @property
    def made(self) -> int:
        """Return how many were tried."""
        return self.dead + len(self.survivors)

    @property
    def percent(self) -> float:
        """Return the share that was killed; equivalent mutants count as alive."""
        return 100 * self.dead / self.made if self.made else 0.0

    def lines(self, files: Iterable[str]) -> Iterator[str]:
        """Return the report on a run over `files`; its last line is the score."""
        for folder, counts in sorted(self.by_folder.items()):
            share = 100 * counts[True] / counts.total()
            yield f"{folder:12} {counts[True]:5} of {counts.total():5} killed, {share:5.1f} %"
        yield f"killed by {', '.join(f'{by}: {number}' for by, number in self.killed.most_common())}"
        yield f"not counted: {self.not_policy} that do not compile"
        reasons = {mutant: self._reason(mutant) for mutant in self.survivors}
        for mutant, why in reasons.items():
            yield f"survived   {mutant}\n             {why or 'NO REASON: write a test that notices it'}"
        for entry in self._stale(set(files)):
            yield f"stale      equivalent.yaml: {entry.file}: {entry.was}   =>   {entry.now}"
        known = sum(1 for why in reasons.values() if why)
        yield (
            f"mutants: {self.percent:.1f} % killed ({self.dead} of {self.made}; "
            f"{known} of the {len(self.survivors)} survivors change nothing)"
        )

    def _reason(self, mutant: Mutant) -> str:
        return next((entry.why for entry in self.equivalents if _matches(entry, mutant)), "")

    def _stale(self, files: set[str]) -> list[Equivalent]:
        looked_at = [entry for entry in self.equivalents if entry.file in files]
        return [entry for entry in looked_at if not any(_matches(entry, mutant) for mutant in self.survivors)]


def _matches(entry: Equivalent, mutant: Mutant) -> bool:
    said = (entry.file, entry.rule, entry.was, entry.now)
    return said == (mutant.file, mutant.rule, mutant.was, mutant.now)
