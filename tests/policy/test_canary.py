"""A pack of deliberate mistakes. The first line of each says which checkers must reject it, and each of them does.

`place`, `schema`, `capabilities`, `form`, `law`, `probe` (the empty input), `known` (the PDP's own probe) and `losses`
are steps of loading; the first that finds something ends it. `examples` and `cases` are what `examine` finds besides,
and `lint` is Regal with our rules, which authors run before all of it.
"""

import asyncio
import json
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest

from pdp.engine.opa import OpaClient
from pdp.policy.examine import examine
from pdp.policy.pack import Pack, PackRefused, probe
from tests.policy.engine import running
from tests.sparing import sparing

pytestmark = pytest.mark.promise("policy.canary")
Build = Callable[[Path], Pack]
CANARY = Path(__file__).parent / "canary"
FILES = sorted(file for file in CANARY.rglob("*.*") if file.is_file())
NAMES = [str(file.relative_to(CANARY)) for file in FILES]
SAYS = {
    "place": ("already has", "place and its package", "look away"),
    "schema": ("undefined ref", "match error"),
    "capabilities": ("undefined function", "current capabilities", "unexpected keyword"),
    "form": (
        *("nothing is known", "fact is missing", "first test", "does not define", "collects values", "other than true"),
        *("Name ", "Use ", "read", "decision.rego"),
    ),
    "law": ("METADATA",),
    "probe": ("On an empty input",),
    "known": ("the PDP's own probe",),
    "losses": ("and did not before", "duties are less"),
    "examples": ("example",),
    "cases": ("The case 'bob may read' comes out as deny",),
}
RUNNING = {"probe", "known", "losses", "examples", "cases"}  # what it takes a running policy to find
EXAMINED = {"examples", "cases"}  # ... and what is not tried at every start


def checkers(file: Path) -> set[str]:
    """Return the checkers that the first line of a canary names."""
    return set(file.read_text().splitlines()[0].removeprefix("# canary: ").split())


def step_of(name: str) -> str:
    """Return the step of loading that must reject a canary."""
    (step,) = checkers(CANARY / name) - {"lint"}
    return step


@pytest.mark.parametrize("name", sparing(NAMES, step_of))
async def test_loading_rejects_it_at_the_step_it_is_about(name: str, build: Build, opa: Path, tmp_path: Path) -> None:
    folder = tmp_path / "org" / Path(name).parent
    folder.mkdir(parents=True)
    shutil.copy(CANARY / name, folder)
    with pytest.raises(PackRefused) as refused:
        await _load(name, build, opa, tmp_path)
    step = step_of(name)
    for problem in refused.value.problems:
        assert problem.file in {f"org/{name}", "duties"}  # a verdict does not say which of its duties is which
        assert problem.instead
        assert any(word in str(problem) for word in SAYS[step]), problem


def test_the_linter_rejects_those_it_can_see(regal: Path, source: Path) -> None:
    visible = [file for file in FILES if "lint" in checkers(file)]
    rules = source / ".regal"
    flags = ["--config-file", str(rules / "config.yaml"), "--rules", str(rules / "rules"), "--format", "json"]
    done = subprocess.run([regal, "lint", *flags, *visible], capture_output=True, check=False)
    found = defaultdict(set)
    for violation in json.loads(done.stdout)["violations"]:
        found[violation["location"]["file"]].add(violation["category"])
    unseen = [file for file in visible if "pdp" not in found[str(file)]]
    assert not unseen, "our rules said nothing about these"


def test_every_step_has_a_canary() -> None:
    named = set().union(*(checkers(file) for file in FILES))
    assert named == {*SAYS, "lint"}


async def _load(name: str, build: Build, opa: Path, folder: Path) -> None:
    built = build(folder / "org")
    assert checkers(CANARY / name) <= RUNNING, "it was built, and should not have been"
    with running(opa, folder, "--bundle", str(built.bundle)) as asked:
        client = OpaClient(f"unix://{asked.socket}", built.revision)
        try:
            async with asyncio.timeout(20):
                await probe(client, built)
                assert checkers(CANARY / name) <= EXAMINED, "it was activated, and should not have been"
                raise PackRefused(await examine(client, built))
        finally:
            await client.close()
