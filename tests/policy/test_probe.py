"""The activation probe: what says yes to nothing, or is not the policy we built, is not used."""

import asyncio
import json
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from pdp import readiness
from pdp.app import open_service
from pdp.engine import VERDICTS
from pdp.engine.opa import OpaClient
from pdp.errors import Refused
from pdp.policy.known import KNOWN
from pdp.policy.losses import Met
from pdp.policy.pack import Pack, PackRefused, build_pack, default_pack_dir, probe
from pdp.policy.probe import MET
from pdp.policy.trials import try_losses
from pdp.settings import Settings
from tests.policy.engine import running
from tests.policy.rules import org, rule, write
from tests.service import CALM

pytestmark = pytest.mark.promise("policy.probe")
LETS_GO = """duty := {"type": "redact", "pointers": ["/a"]} if is_string(input.tool.owner)

duty := {"type": "none"} if is_boolean(input.tool.owner)"""
OURS = 'input.tool.server == "pdp.probe"'
ALWAYS_ASKED = 4  # the empty input, an empty list of calls, the known allow and the known deny
MOST_ASKED = 400  # at a millisecond of CPU each; 214 for the pack as it is


@asynccontextmanager
async def client(opa: Path, bundle: Path, folder: Path, pack: Pack) -> AsyncIterator[OpaClient]:
    """Run `bundle` and yield an engine that takes it for `pack`."""
    with running(opa, folder, "--bundle", str(bundle)) as asked:
        engine = OpaClient(f"unix://{asked.socket}", pack.revision)
        try:
            async with asyncio.timeout(20):
                yield engine
        finally:
            await engine.close()


async def test_the_default_pack_says_no_to_nothing(opa: Path, pack: Pack, tmp_path: Path) -> None:
    async with client(opa, pack.bundle, tmp_path, pack) as engine:
        await probe(engine, pack)


@pytest.mark.parametrize(
    ("file", "body", "says"),
    [
        ("guards/token_scope.rego", "holds := true", "guards/token_scope.rego: On an empty input this rule holds"),
        ("gates/amount.rego", "open := true", "gates/amount.rego: On an empty input this rule is open"),
        ("permits/agent_entitled.rego", "applies := true", "agent_entitled.rego: On an empty input this rule applies"),
        ("duties/redact.rego", 'duty := {"type": "limit"}', "duties: On an empty input one of these is owed"),
    ],
)
async def test_a_rule_that_says_yes_to_nothing_is_named(
    *, file: str, body: str, says: str, opa: Path, pack: Pack, unpacked: Path, tmp_path: Path
) -> None:
    package = file.removesuffix(".rego").replace("/", ".")
    (unpacked / file).write_text(f"package {package}\n\n{body}\n")
    async with client(opa, unpacked, tmp_path, pack) as engine:
        with pytest.raises(PackRefused) as refused:
            await probe(engine, pack)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('default effect := "deny"', 'default effect := "allow"'),
        ('"effect": effect,', '"effect": effect, "more": 1,'),
        ('"shut_gates": codes("gates", shut),', '"shut_gates": [],'),
        ("some name in manifest.guards\n\tnot holds(name)", "some name in manifest.gates\n\tnot holds(name)"),
        ("entry := seen with input as call", 'entry := {"name": "x"}'),
    ],
)
async def test_an_entrypoint_that_was_changed_is_refused(
    *, old: str, new: str, opa: Path, pack: Pack, unpacked: Path, tmp_path: Path
) -> None:
    file = unpacked / "pdp/decision.rego"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    async with client(opa, unpacked, tmp_path, pack) as engine:
        with pytest.raises(PackRefused):
            await probe(engine, pack)


@pytest.mark.parametrize(
    ("folder", "body", "bad", "says"),
    [
        (
            "guards",
            "holds if input.risk.evidence == []",
            "{risk: {evidence: [{code: use.fast}]}}",
            "mine.rego:13: On the bad example 1 of org/guards/mine.rego with input.risk.evidence replaced by [] this",
        ),
        (
            "gates",
            'open if input.tool.server == "pdp.probe"\n\nopen if is_boolean(input.context.quiet)',
            "{context: {quiet: hush}}",
            "with input.context.quiet replaced by true this rule is open",
        ),
        (
            "permits",
            "applies if input.arguments == {}\n\nconcerns if input.tool.owner",
            "{arguments: {all: x}}",
            "gives a right to the PDP's own probe",
        ),
        (
            "permits",
            'applies if {\n\tinput.tool.server == "x"\n\tinput.arguments == {}\n}\n\nconcerns if input.facts.first_use',
            "{tool: {server: x}, arguments: {all: x}}",
            "with input.arguments replaced by {} this rule applies",
        ),
        (
            "duties",
            LETS_GO,
            "{tool: {}}",
            "with input.tool.owner replaced by true duties are less: redact",
        ),
    ],
)
async def test_a_rule_that_gains_by_a_loss_is_not_activated_and_the_refusal_says_how(
    *, folder: str, body: str, bad: str, says: str, opa: Path, source: Path, tmp_path: Path
) -> None:
    file = org(tmp_path, folder, body) / f"{folder}/mine.rego"
    file.write_text(file.read_text().replace("{tool: {name: y}}", bad))
    built = build_pack(opa, source, tmp_path / "org", tmp_path / "built")
    async with client(opa, built.bundle, tmp_path, built) as engine:
        with pytest.raises(PackRefused) as refused:
            await probe(engine, built)
    assert says in str(refused.value)
    assert all(problem.instead for problem in refused.value.problems)


async def test_an_org_case_is_what_losses_are_tried_on_too(opa: Path, source: Path, tmp_path: Path) -> None:
    """The same rule with examples that do not show it: its author's case does."""
    folder = org(tmp_path, "guards", f"holds if {OURS}\n\nholds if is_boolean(input.arguments.sure)")
    table = """
tools: {a/b: {risk_class: read}}
people: {bob: {rights: [{tool: a/b}]}}
cases: [{case: a word, person: bob, tool: a/b, arguments: {sure: x}, expect: deny, because: [guards.mine]}]
"""
    write(folder, {"cases/mine.yaml": table})
    built = build_pack(opa, source, folder, tmp_path / "built")
    async with client(opa, built.bundle, tmp_path, built) as engine:
        with pytest.raises(PackRefused, match=r"the case 'a word' of org/cases/mine\.yaml with input\.arguments\.sure"):
            await probe(engine, built)


@pytest.mark.parametrize(
    ("folder", "body", "says"),
    [
        ("guards", 'holds if input.tool.server == "payments"', "It says no to the PDP's own probe"),
        ("gates", 'open if input.tool.server == "payments"', "It says no to the PDP's own probe"),
        ("permits", "applies if input.tool.server\n\nconcerns if input.tool.server", "holds none"),
        (
            "duties",
            'duty := {"type": "none"} if input.tool.server == "payments"',
            r"org/duties/mine\.rego: .* Let this duty be defined",
        ),
    ],
)
async def test_a_pack_with_which_the_service_would_never_be_ready_is_not_activated(
    *, folder: str, body: str, says: str, opa: Path, source: Path, tmp_path: Path
) -> None:
    built = build_pack(opa, source, org(tmp_path, folder, body), tmp_path / "built")
    async with client(opa, built.bundle, tmp_path, built) as engine:
        with pytest.raises(PackRefused, match=says):
            await probe(engine, built)


async def test_the_known_allow_and_deny_are_those_of_readiness() -> None:
    people: Any = readiness.IDENTITIES["people"]
    assert [*KNOWN.people] == [person["id"] for person in people]
    assert {tool.partition("/")[2] for tool in KNOWN.tools} == {
        readiness.KNOWN_ALLOW["name"],
        readiness.KNOWN_DENY["name"],
    }


class Counting:
    """An engine that counts the inputs it is asked about, many of them in one question."""

    def __init__(self, engine: OpaClient) -> None:
        self._engine = engine
        self.revision = engine.revision
        self.asked = 0

    async def evaluate(self, entrypoint: str, document: bytes, deadline: float) -> bytes:
        """Count, and ask the engine."""
        self.asked += len(json.loads(document)["calls"]) if entrypoint == VERDICTS else 1
        return await self._engine.evaluate(entrypoint, document, deadline)

    async def close(self) -> None:
        """Close the engine."""
        await self._engine.close()


async def test_losses_are_tried_once_for_a_policy_and_few_of_them(opa: Path, source: Path, tmp_path: Path) -> None:
    folder = org(tmp_path, "gates", f"open if {OURS}")
    built = build_pack(opa, source, folder, tmp_path / "built")
    async with client(opa, built.bundle, tmp_path, built) as engine:
        counting = Counting(engine)
        await probe(counting, built)
        first = counting.asked
        await probe(counting, built)
    assert 100 < first < MOST_ASKED
    assert counting.asked - first == ALWAYS_ASKED


async def test_of_a_policy_that_differs_in_one_rule_only_that_rule_is_tried_again(
    opa: Path, source: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "org"

    async def asked_about(name: str, words: str = "") -> int:
        write(folder, {"gates/mine.rego": rule("gates", "mine", f'open if {OURS}\n\nopen if input.now == "{name}"')})
        write(folder, {"config.yaml": words})
        built = build_pack(opa, source, folder, tmp_path / "built")
        (place := tmp_path / name).mkdir()
        async with client(opa, built.bundle, place, built) as engine:
            counting = Counting(engine)
            await probe(counting, built)
        return counting.asked

    MET.clear()
    first = await asked_about("a")
    assert await asked_about("b") < 0.8 * first
    assert await asked_about("c", CALM) > 0.9 * first, "with other values every rule may say something else"


LATER = {  # the policy before and after: what of it differs, and who is found out
    "the text of the rule": (
        {"guards": f'holds if {OURS}\n\nholds if input.tool.owner == "nobody"'},
        {"guards": f"holds if {OURS}\n\nholds if is_boolean(input.tool.owner)"},
        "org/guards/mine.rego",
    ),
    "a word it is written in": (
        {"guards": f"holds if {OURS}\n\nholds if number.fine(input.tool.owner)", "word": 'x == "nobody"'},
        {"guards": f"holds if {OURS}\n\nholds if number.fine(input.tool.owner)", "word": "is_boolean(x)"},
        "org/guards/mine.rego",
    ),
    "another rule, which let no call go on that lost the fact": (
        {"guards": f"holds if {OURS}\n\nholds if is_string(input.tool.owner)", "duties": LETS_GO},
        {"guards": f"holds if {OURS}\n\nholds if is_string(input.tool.name)", "duties": LETS_GO},
        "duties",
    ),
}


@pytest.mark.parametrize("what", LATER)
async def test_a_policy_that_is_refused_alone_is_refused_after_a_good_one_too(
    what: str, opa: Path, copied: Path, tmp_path: Path
) -> None:
    number = (copied / "lib/number.rego").read_text()

    async def probed(place: str, bodies: dict[str, str]) -> None:
        (copied / "lib/number.rego").write_text(f"{number}\nfine(x) if {bodies.get('word', 'is_string(x)')}\n")
        for folder in ("guards", "duties"):
            body = bodies.get(folder, 'duty := {"type": "none"}')
            imported = "import data.lib.number\n\n" if "number." in body else ""
            write(tmp_path / "org", {f"{folder}/mine.rego": rule(folder, "mine", imported + body)})
        built = build_pack(opa, copied, tmp_path / "org", tmp_path / "built")
        (tmp_path / place).mkdir()
        async with client(opa, built.bundle, tmp_path / place, built) as engine:
            await probe(engine, built)

    good, bad, found = LATER[what]
    MET.clear()
    await probed("good", good)
    for place in ("after", "alone"):
        with pytest.raises(PackRefused, match=re.escape(found)):
            await probed(place, bad)
        MET.clear()


async def test_what_came_without_a_verdict_is_tried_again_once_it_has_one(
    opa: Path, source: Path, tmp_path: Path
) -> None:
    """A duty that contradicts itself when a fact is lost hides what a guard says about the same loss."""
    two_values = 'duty := {"type": "none"}\n\nduty := {"type": "x"} if is_boolean(input.tool.owner)'
    lenient = "holds if is_boolean(input.tool.owner)"

    def built(duty: str) -> Pack:
        write(tmp_path / "org", {"duties/mine.rego": rule("duties", "mine", duty)})
        folder = org(tmp_path, "guards", f"holds if {OURS}\n\n{lenient}")
        return build_pack(opa, source, folder, tmp_path / "built")

    pack = built(two_values)
    proven: set[Met] = set()
    document = {"caller": {"mode": "user_direct"}, "tool": {"owner": "x", "server": "y"}}
    async with client(opa, pack.bundle, tmp_path, pack) as engine:
        assert await try_losses(engine, pack, {"this": document}, proven=proven) == []
    pack = built('duty := {"type": "none"}')
    (place := tmp_path / "again").mkdir()
    async with client(opa, pack.bundle, place, pack) as engine:
        (problem,) = {found.file for found in await try_losses(engine, pack, {"this": document}, proven=proven)}
    assert problem == "org/guards/mine.rego"


async def test_a_policy_that_is_not_the_one_we_built_is_refused(
    opa: Path, pack: Pack, unpacked: Path, tmp_path: Path
) -> None:
    data = json.loads((unpacked / "data.json").read_text())
    data["manifest"]["revision"] = "sha256:" + "0" * 64
    (unpacked / "data.json").write_text(json.dumps(data))
    async with client(opa, unpacked, tmp_path, pack) as engine:
        with pytest.raises(Refused) as refused:
            await probe(engine, pack)
    assert refused.value.code == "engine.revision"


async def test_an_engine_that_is_away_is_told_apart_from_a_bad_policy(pack: Pack, tmp_path: Path) -> None:
    engine = OpaClient(f"unix://{tmp_path}/nobody.sock", pack.revision)
    with pytest.raises(Refused) as refused:
        await probe(engine, pack)
    await engine.close()
    assert refused.value.code == "engine.unavailable"


async def test_a_policy_for_a_sidecar_that_is_not_up_yet_is_probed_before_it_can_ever_answer(tmp_path: Path) -> None:
    policy = Path(shutil.copytree(default_pack_dir(), tmp_path / "rego"))
    entrypoint = policy / "pdp" / "decision.rego"
    entrypoint.write_text(entrypoint.read_text().replace('default effect := "deny"', 'default effect := "allow"'))
    away = f"unix://{tmp_path}/nobody.sock"
    with pytest.raises(PackRefused):
        async with open_service(Settings(data_dir=tmp_path / "bad", opa_url=away, policy_dir=policy)):
            pass
    async with open_service(Settings(data_dir=tmp_path / "good", opa_url=away)):
        pass  # the control: the same sidecar is awaited for a good one
