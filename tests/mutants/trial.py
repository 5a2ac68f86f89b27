"""The trial of a mutant by the pack's own tests, the quickest first: those of its file, all of them, then the tables.

The tests of a pack are its *_test.rego files, the examples in METADATA and the decision tables in cases/.
"""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple

import msgspec

from pdp.policy.form import ASKED
from pdp.policy.pack import Pack
from pdp.policy.sources import FOLDERS, SHARED
from pdp.policy.trials import cases_of

from .mutate import Mutant

FAILED = 2  # how `opa test` ends when a test failed
CONFIG = "config.yaml"
ASK = """package asked

answers := {"verdicts": verdicts, "examples": examples}

verdicts := [[verdict | verdict := data.pdp.decision.verdict with input as call] | some call in input.calls]

examples := [[answer | answer := data[it.folder][it.name][it.asked] with input as it.input] | some it in input.examples]
"""
STALLED_S = 60  # a trial takes 0.1 s; a mutant that never ends is killed


class Outcome(NamedTuple):
    """How a mutant fared: `by` what it was killed; empty when it survived, `None` when it is no policy at all."""

    mutant: Mutant
    by: str | None


class Trials:
    """Tries mutants of the pack in `source`, some at a time, each in a copy of its own."""

    def __init__(self, opa: Path, source: Path, pack: Pack | None, jobs: int) -> None:
        self._opa = opa.absolute()
        self._source = source.absolute()
        self._folders = [name for name in (*SHARED, *FOLDERS) if (source / name).is_dir()]
        self._questions = json.dumps(_questions(pack)) if pack else ""
        self._data = _data(pack) if pack else {}
        self._jobs = jobs
        self._copies: SimpleQueue[Path] = SimpleQueue()

    @contextmanager
    def ready(self) -> Iterator[None]:
        """Make the copies. Raises `AssertionError` when the pack itself does not pass."""
        with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
            for number in range(self._jobs):
                self._copies.put(self._copy(Path(folder) / str(number)))
            with self._place() as place:
                assert self._test(place, "full").returncode == 0, "the pack does not pass its own tests"
                self._expected = self._answers(place) if self._questions else ""
            yield

    def run(self, mutants: list[Mutant]) -> Iterator[Outcome]:
        """Try each; the outcomes come in the order of the mutants, as they are known."""
        with ThreadPoolExecutor(self._jobs) as threads:
            yield from threads.map(self._try, mutants)

    def _try(self, mutant: Mutant) -> Outcome:
        with self._place() as place:
            for suite in ("own", "full"):
                (place / suite / mutant.file).write_text(mutant.text)
            try:
                return Outcome(mutant, self._killer(place, mutant))
            finally:
                self._restore(place, mutant.file)

    def _killer(self, place: Path, mutant: Mutant) -> str | None:
        test = mutant.file.replace(".rego", "_test.rego")
        own = place / "own" / test
        try:
            if (self._source / test).is_file():
                shutil.copy(self._source / test, own)
                code = self._test(place, "own").returncode
                if code:
                    return "its own tests" if code == FAILED else None
            code = self._test(place, "full").returncode
            if code:
                return "the tests of others" if code == FAILED else None
            return "cases and examples" if self._questions and self._answers(place) != self._expected else ""
        except subprocess.TimeoutExpired:
            return "never ending"
        finally:
            own.unlink(missing_ok=True)

    def _test(self, place: Path, suite: str) -> subprocess.CompletedProcess[str]:
        values = [f"config:{CONFIG}"] if (self._source / CONFIG).is_file() else []
        return self._run(place / suite, "test", *self._folders, *values)

    def _answers(self, place: Path) -> str:
        """Return what the policy answers on every case and example; the error when it gives none."""
        flags = ("--format", "raw", "--data", "data.json", "--data", "asked.rego", "--stdin-input")
        folders = [part for folder in self._folders for part in ("--data", folder)]
        return self._run(place / "own", "eval", *flags, *folders, "data.asked.answers", stdin=self._questions).stdout

    def _run(self, folder: Path, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        command = [str(self._opa), *arguments]
        return subprocess.run(
            command, cwd=folder, env={}, input=stdin, capture_output=True, text=True, timeout=STALLED_S, check=False
        )

    def _copy(self, place: Path) -> Path:
        """Copy the pack twice: with every test, and with none, to which the tests of one file are added."""
        for suite, ignored in (("full", ()), ("own", ("*_test.rego",))):
            for name in self._folders:
                shutil.copytree(self._source / name, place / suite / name, ignore=shutil.ignore_patterns(*ignored))
            if (self._source / CONFIG).is_file():
                shutil.copy(self._source / CONFIG, place / suite)
        (place / "own" / "data.json").write_text(json.dumps(self._data))
        (place / "own" / "asked.rego").write_text(ASK)
        return place

    def _restore(self, place: Path, file: str) -> None:
        for suite in ("own", "full"):
            shutil.copy(self._source / file, place / suite / file)

    @contextmanager
    def _place(self) -> Iterator[Path]:
        place = self._copies.get()
        try:
            yield place
        finally:
            self._copies.put(place)


def _questions(pack: Pack) -> dict[str, Any]:
    examples = [
        {"folder": rule.folder, "name": rule.name, "asked": ASKED[rule.folder], "input": example}
        for rule in pack.rules.values()
        for example in (*rule.good, *rule.bad)
    ]
    return {"calls": [case.document for case in cases_of(pack.tables)], "examples": examples}


def _data(pack: Pack) -> dict[str, Any]:
    """Return what the pack's rules read beside the input: its values and its manifest."""
    import tarfile

    with tarfile.open(pack.bundle) as archive:
        member = next(m for m in archive.getmembers() if m.name.lstrip("/") == "data.json")
        stream = archive.extractfile(member)
        assert stream is not None
        data: dict[str, Any] = msgspec.json.decode(stream.read())
    return {"config": data["config"], "manifest": data["manifest"]}
