"""What `make fuzz` does at length, in brief; and everything it ever found, once more."""

import importlib
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from pdp.decide import read_reply
from pdp.engine.opa import result_of
from pdp.engine.wire import Response
from pdp.errors import Refused
from tests.conftest import ROOT
from tests.fuzz import engine, strict
from tests.fuzz.__main__ import TARGETS

pytestmark = pytest.mark.promise("fuzz")
FOUND = sorted(path for path in (ROOT / "tests/fuzz/found").iterdir() if path.suffix != ".md")


@pytest.mark.parametrize("target", TARGETS)
def test_what_fuzzing_begins_with_is_read_or_refused(target: str) -> None:
    module = importlib.import_module(f"tests.fuzz.{target}")
    for seed in module.seeds():
        module.check(seed)


@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.name)
def test_what_fuzzing_found_stays_mended(path: Path) -> None:
    importlib.import_module(f"tests.fuzz.{path.name.partition('-')[0]}").check(path.read_bytes())


def fuzzed(out: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command with a fixed seed."""
    pytest.importorskip("atheris", reason="atheris has no wheel here: nothing was fuzzed")
    command = [sys.executable, "-m", "tests.fuzz", "--seed", "20261129", "--out", str(out), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_brief_run_of_every_target_finds_nothing(tmp_path: Path) -> None:
    done = fuzzed(tmp_path, "--minutes", "0.15", *TARGETS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 findings" in done.stdout.splitlines()[-1]
    assert not [path for path in tmp_path.iterdir() if path.suffix == ".txt"]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_planted_faults_are_found_and_written_down(tmp_path: Path) -> None:
    done = fuzzed(tmp_path, "--runs", "60000", "canary")
    assert done.returncode == 1, done.stdout + done.stderr
    told = [path.read_text() for path in tmp_path.glob("canary-*.txt")]
    assert {"Rejected", "ZeroDivisionError"} <= {
        text.splitlines()[-1].partition(":")[0].split(".")[-1] for text in told
    }
    module = importlib.import_module("tests.fuzz.canary")
    for path in [path for path in tmp_path.glob("canary-*") if path.suffix != ".txt"]:
        with pytest.raises(Exception):  # noqa: B017, PT011  # whatever it was, the file brings it back
            module.check(path.read_bytes())


@pytest.mark.parametrize(
    "text",
    [
        b'{"a":1,"a":1}',
        b'{"a":1,"\\u0061":1}',
        b"[1,]",
        b"01",
        b"1.",
        b"NaN",
        b"1e999",
        b'"\\ud800"',
        b'"\xff"',
        b"1 2",
    ],
)
def test_the_second_reader_is_strict(text: bytes) -> None:
    with pytest.raises(strict.NotJson):
        strict.read(text)


@pytest.mark.promise("engine.strict")
@pytest.mark.parametrize(
    "member", [b'"effect":"deny"', b'"\\u0065ffect":"deny"', b'"broken_guards":[]', b'"permits":[]']
)
def test_a_verdict_that_says_something_twice_is_refused(member: bytes) -> None:
    verdict = msgspec.json.encode(engine.allow())
    assert read_reply(verdict, engine.pack()).effect == "allow"
    with pytest.raises(Refused) as refusal:
        read_reply(b"{" + member + b"," + verdict[1:], engine.pack())
    assert refusal.value.code == "engine.garbled"


@pytest.mark.promise("engine.strict")
def test_a_duty_that_says_something_twice_is_refused() -> None:
    verdict = msgspec.json.encode(engine.allow(duties=[{"type": "redact", "pointers": []}]))
    with pytest.raises(Refused, match="ambiguous"):
        read_reply(verdict.replace(b'"pointers":[]', b'"pointers":["/ssn"],"pointers":[]'), engine.pack())


@pytest.mark.promise("engine.strict")
def test_an_answer_with_two_results_is_refused() -> None:
    assert result_of(Response(200, b'{"result":{"a":1}}\n')) == b'{"a":1}'
    assert result_of(Response(200, b'{"decision_id":"x","result":{"a":1}}')) == b'{"a":1}'
    for body in (b'{"result":{"a":0},"result":{"a":1}}', b'{"\\u0072esult":{"a":0},"result":{"a":1}}'):
        with pytest.raises(Refused, match="ambiguous"):
            result_of(Response(200, body))


@pytest.mark.promise("engine.strict")
def test_a_reply_that_is_not_utf_8_is_refused_as_garbled() -> None:
    verdict = msgspec.json.encode(engine.allow(permits=["x"])).replace(b'"x"', b'"\x80"')
    for read in (
        lambda: read_reply(verdict, engine.pack()),
        lambda: result_of(Response(200, b'{"\x80":1,"result":1}')),
    ):
        with pytest.raises(Refused) as refusal:
            read()
        assert refusal.value.code == "engine.garbled"
