"""Read: the lines of a log directory, while it is being written or long after."""

import mmap
from collections.abc import Iterable, Iterator
from pathlib import Path

from .entry import Entry, read_entry
from .shard import segments

ABOUT_A_DECISION = {"decision": "id", "outcome": "decision"}  # kind -> where its body names the decision


class Reader:
    """Walks through one log directory; remembers where it is, so that a later walk yields what was added since."""

    def __init__(self, directory: Path, index: int = 0) -> None:
        """Stand before the entry with this index, or at the first one after it that is still there."""
        self._directory = directory
        self._path: Path | None = None
        self._offset = 0
        before = [path for path in segments(directory) if int(path.stem) <= index]
        if before:
            self._path = before[-1]
            for _ in zip(range(index - int(before[-1].stem)), self._segment_lines(), strict=False):
                pass

    def lines(self) -> Iterator[bytes]:
        """Yield the whole lines that are there, oldest first, without newline.

        A last line that is still being written is left for the next walk; when a newer segment follows it, it is
        yielded as it is, for then nobody will finish it. Raises `OSError`.
        """
        while True:
            following = self._following()  # asked before reading: a segment is finished when the next one begins
            if self._path is not None:
                yield from self._segment_lines()
                if following is not None:
                    yield from self._unfinished()
            if following is None:
                return
            self._path, self._offset = following, 0

    def unfinished_bytes(self) -> int:
        """Return how many bytes follow the last whole line."""
        return self._path.stat().st_size - self._offset if self._path else 0

    def _following(self) -> Path | None:
        later = [path for path in segments(self._directory) if self._path is None or path > self._path]
        return later[0] if later else None

    def _segment_lines(self) -> Iterator[bytes]:
        with _existing(self._path).open("rb") as file:
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self._offset += len(line)
                yield line[:-1]

    def _unfinished(self) -> Iterator[bytes]:
        with _existing(self._path).open("rb") as file:
            file.seek(self._offset)
            rest = file.read()
        if rest:
            yield rest


def last_lines(directory: Path, count: int) -> list[bytes]:
    """Return the newest `count` whole lines of a log directory, oldest first, without reading the rest."""
    found: list[bytes] = []
    for path in reversed(segments(directory)):
        found = _last_lines_of(path, count - len(found)) + found
        if len(found) >= count:
            break
    return found


def shards(data_dir: Path) -> list[Path]:
    """Return the log directories under `PDP_DATA_DIR`, by name; none when nothing was logged yet."""
    return sorted(path for path in (data_dir / "log").glob("*") if path.is_dir())


def find_entry(data_dir: Path, decision: str) -> Entry | None:
    """Return the `decision` entry with this id, whichever worker wrote it; `None` when the log does not hold it."""
    found = [entry for entry in find_entries(data_dir, decision) if entry.kind == "decision"]
    return found[0] if found else None


def find_entries(data_dir: Path, decision: str) -> list[Entry]:
    """Return every entry about one decision: the decision itself, then its outcomes. Raises `OSError`."""
    paths = [path for shard in shards(data_dir) for path in segments(shard)]
    found = [entry for path in paths for entry in _entries_with(path, decision)]
    return sorted(found, key=lambda entry: (entry.kind != "decision", entry.at_ms))


def entries(lines: Iterable[bytes]) -> Iterator[Entry]:
    """Read lines; what is torn or damaged is left to `pdp log verify` to report."""
    for line in lines:
        try:
            yield read_entry(line)
        except ValueError:
            continue


def _entries_with(path: Path, decision: str) -> Iterator[Entry]:
    for entry in entries(_lines_with(path, decision.encode())):
        if entry.body.get(ABOUT_A_DECISION.get(entry.kind)) == decision:
            yield entry


def _lines_with(path: Path, needle: bytes) -> Iterator[bytes]:
    if path.stat().st_size == 0:  # an empty file cannot be mapped
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
        hit = view.find(needle)
        while hit >= 0:
            end = view.find(b"\n", hit)
            end = len(view) if end < 0 else end
            yield view[view.rfind(b"\n", 0, hit) + 1 : end]
            hit = view.find(needle, end)


def _last_lines_of(path: Path, count: int) -> list[bytes]:
    if count <= 0 or path.stat().st_size == 0:
        return []
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
        start = end = view.rfind(b"\n") + 1
        for _ in range(count):
            if start == 0:
                break
            start = view.rfind(b"\n", 0, start - 1) + 1
        return view[start:end].split(b"\n")[:-1]


def _existing(path: Path | None) -> Path:
    if path is None:
        raise AssertionError("a reader without a segment has nothing to read")
    return path
