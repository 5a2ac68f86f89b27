"""What clients were told, against what is on record: every answer has its line, and no approval lets two calls run."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pdp.audit.entry import Entry, digest_of, read_entry
from pdp.audit.read import Reader, shards

ALLOW = "allow"


@dataclass(frozen=True)
class Line:
    """What the log says of one decision, as far as it is compared. `number` is where it was read, over all shards."""

    number: int
    id: str
    decision: str
    digest: str
    approval: str | None


@dataclass
class Ledger:
    """The answers of one data directory and the records in it; `check` reads on and finds what does not agree."""

    data_dir: Path
    answers: list[dict[str, Any]] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    checked: int = 0
    recorded: int = 0
    mended: int = 0  # torn tails that a restart cut off, and said so
    redeemed: Counter[str] = field(default_factory=Counter)  # allows on record, by the approval they used up
    _ends: dict[Path, Reader] = field(default_factory=dict)
    _lines: dict[tuple[str, int], Line] = field(default_factory=dict)
    _ids: dict[str, str] = field(default_factory=dict)
    _used_by: set[str] = field(default_factory=set)

    def told(self, answer: dict[str, Any]) -> None:
        """Take down an answer that a client has received."""
        self.answers.append(answer)

    def check(self) -> None:
        """Compare what was answered until now with what is on record. Blocks: call it in a thread."""
        told, self.answers = self.answers, []  # first: an answer given before the files are read must be in them
        for entry, digest in self._added():
            self._note(entry, digest)
        for answer in told:
            self.checked += 1
            if wrong := self._wrong(answer):
                self.violations.append(f"{answer['id']} ({answer['decision']}): {wrong}")

    def _added(self) -> Iterator[tuple[Entry, str]]:
        for shard in shards(self.data_dir):
            for line in self._ends.setdefault(shard, Reader(shard)).lines():
                try:
                    yield read_entry(line), digest_of(line)
                except ValueError:
                    self.violations.append(f"a line of {shard} is no record: {line[:80]!r}")

    def _note(self, entry: Entry, digest: str) -> None:
        body = entry.body
        if entry.kind in {"approval.used", "approval.spent"}:
            self._used_by.add(body["decision"])
        if entry.kind == "log.recovered":
            self.mended += body["reason"] == "torn_tail"
        if entry.kind != "decision":
            return
        self.recorded += 1
        if body["id"] in self._ids:
            self.violations.append(f"{body['id']} is on record twice")
        self._ids[body["id"]] = body["decision"]
        line = Line(self.recorded, body["id"], body["decision"], digest, body.get("approval"))
        self._lines[entry.origin, entry.index] = line
        if line.decision == ALLOW and line.approval:
            self._note_redeemed(line, line.approval)

    def _note_redeemed(self, line: Line, approval: str) -> None:
        self.redeemed[approval] += 1
        if self.redeemed[approval] > 1:
            self.violations.append(f"{approval} let {self.redeemed[approval]} calls run, the last as {line.id}")
        if line.id not in self._used_by:  # written before, or it could be used again
            self.violations.append(f"{line.id} ran by {approval}, and no record before it says that it was used up")

    def _wrong(self, answer: dict[str, Any]) -> str:
        receipt = answer.get("receipt")
        if receipt is None:
            return "it came without a receipt"
        line = self._lines.get((receipt["origin"], receipt["index"]))
        if line is None:
            return f"entry {receipt['index']} of {receipt['origin']} is not in the log"
        if line.id != answer["id"]:
            return f"entry {receipt['index']} is about {line.id}"
        if line.decision != answer["decision"]:
            return f"on record as {line.decision}"
        return "" if line.digest == receipt["entry_digest"] else "its entry has another digest than its receipt says"
