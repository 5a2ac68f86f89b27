"""What `pdp check` and CI run: examples, cases and every loss, of the pack and of an organisation."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from pdp.engine.opa import OpaClient
from pdp.errors import Refused
from pdp.policy.examine import examine
from pdp.policy.pack import Pack
from pdp.policy.problem import Problem
from tests.policy.engine import running
from tests.policy.rules import org, write

pytestmark = pytest.mark.promise("policy.examined")
Build = Callable[[Path], Pack]

CASES = """
tools:
  payments/get_order: {risk_class: read}
people:
  bob: {rights: [{tool: payments/get_order}]}
cases:
  - {case: bob may read, person: bob, tool: payments/get_order, expect: EXPECT}
"""
NOT_PAYMENTS = 'holds if input.tool.server in ["pdp.probe", "x"]'


@asynccontextmanager
async def engine_of(opa: Path, pack: Pack, folder: Path) -> AsyncIterator[OpaClient]:
    """Run the pack in an OPA and yield the engine."""
    with running(opa, folder, "--bundle", str(pack.bundle)) as asked:
        engine = OpaClient(f"unix://{asked.socket}", pack.revision)
        try:
            yield engine
        finally:
            await engine.close()


async def examined(opa: Path, pack: Pack, folder: Path, *, alone: bool = True) -> list[Problem]:
    """Return what is found in a pack."""
    async with engine_of(opa, pack, folder) as engine:
        return await examine(engine, pack, alone=alone)


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_the_pack_that_ships_has_no_problem_and_says_what_it_tries(opa: Path, pack: Pack, tmp_path: Path) -> None:
    said: list[str] = []
    async with engine_of(opa, pack, tmp_path) as engine:
        assert await examine(engine, pack, said.append) == []
    assert f"the examples of {len(pack.rules)} rules" in said
    assert f"{sum(len(table.cases) for table in pack.tables.values())} cases" in said


async def test_an_org_case_that_comes_out_as_it_says_is_no_problem(opa: Path, build: Build, tmp_path: Path) -> None:
    folder = write(tmp_path / "org", {"cases/mine.yaml": CASES.replace("EXPECT", "allow")})
    assert await examined(opa, build(folder), tmp_path) == []


async def test_an_org_case_that_comes_out_otherwise_is_named(opa: Path, build: Build, tmp_path: Path) -> None:
    folder = write(tmp_path / "org", {"cases/mine.yaml": CASES.replace("EXPECT", "deny")})
    (problem,) = await examined(opa, build(folder), tmp_path)
    assert problem.file == "org/cases/mine.yaml"
    assert "'bob may read' comes out as allow" in problem.what
    assert "the table says deny" in problem.what


@pytest.mark.slow
async def test_a_duty_or_a_reason_that_differs_is_a_problem_too(opa: Path, build: Build, tmp_path: Path) -> None:
    for wrong in ("deny, because: [guards.token_scope]", "allow, duties: [redact]"):
        folder = write(tmp_path / wrong[:4] / "org", {"cases/mine.yaml": CASES.replace("EXPECT", wrong)})
        (problem,) = await examined(opa, build(folder), tmp_path)
        assert "bob may read" in problem.what


@pytest.mark.slow
async def test_an_org_guard_may_change_what_the_packs_own_cases_say(opa: Path, build: Build, tmp_path: Path) -> None:
    """It is what a guard is for; the organisation's own case must still be true."""
    folder = org(tmp_path, "guards", NOT_PAYMENTS)
    text = (folder / "guards/mine.rego").read_text()
    examples = "#   good: {tool: {server: x}}\n#   bad: {tool: {server: y}}\n"
    head, tail = text[: text.index("#   good")], text[text.index("package") :]
    (folder / "guards/mine.rego").write_text(head + examples + tail)
    write(folder, {"cases/mine.yaml": CASES.replace("EXPECT", "deny, because: [guards.mine]")})
    assert await examined(opa, build(folder), tmp_path) == []


@pytest.mark.slow
async def test_an_org_that_only_changes_values_is_not_judged_by_the_packs_cases(
    opa: Path, build: Build, tmp_path: Path
) -> None:
    built = build(write(tmp_path / "org", {"config.yaml": "gates: {amount: {open_up_to: 1}}"}))
    assert await examined(opa, built, tmp_path, alone=False) == []
    assert await examined(opa, built, tmp_path, alone=True) != []


@pytest.mark.parametrize(
    ("good", "bad", "says"),
    [
        ("{tool: {server: y}}", "{tool: {server: z}}", "does not say yes on its good example"),
        ("{tool: {server: x}}", "{tool: {server: x, name: y}}", "says yes on its bad example"),
    ],
)
async def test_an_example_that_is_untrue_is_named_with_its_line(
    *, good: str, bad: str, says: str, opa: Path, build: Build, tmp_path: Path
) -> None:
    folder = org(tmp_path, "guards", NOT_PAYMENTS)
    file = folder / "guards/mine.rego"
    file.write_text(file.read_text().replace("{tool: {name: x}}", good).replace("{tool: {name: y}}", bad))
    (problem,) = await examined(opa, build(folder), tmp_path)
    assert problem.file == "org/guards/mine.rego"
    assert file.read_text().split("\n")[problem.line - 1].startswith("#   good:" if "good" in says else "#   bad:")
    assert says in problem.what


@pytest.mark.slow
async def test_rules_that_contradict_each_other_on_a_case_are_named(opa: Path, build: Build, tmp_path: Path) -> None:
    body = 'holds if _limit == 1\n\n_limit := 1 if input.tool.server\n\n_limit := 2 if input.tool.name == "get_order"'
    folder = write(
        org(tmp_path, "guards", body), {"cases/mine.yaml": CASES.replace("EXPECT", "deny, because: [guards.mine]")}
    )
    found = await examined(opa, build(folder), tmp_path)
    assert any("There is no verdict on the case 'bob may read'" in problem.what for problem in found)


async def test_an_engine_that_is_away_is_no_problem_of_the_pack(pack: Pack, tmp_path: Path) -> None:
    engine = OpaClient(f"unix://{tmp_path}/nobody.sock", pack.revision)
    with pytest.raises(Refused) as refused:
        await examine(engine, pack)
    await engine.close()
    assert refused.value.code == "engine.unavailable"
