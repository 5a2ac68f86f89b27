"""The activation probe: a policy says no to nothing at all, answers what is known, and gives nothing for a lost fact.

At activation one case of each kind and what the organisation wrote are tried, which takes about 0.2 s of CPU;
`examine` tries everything (docs/decisions/0020-losses-at-activation.md).
"""

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from ..engine import VERDICT, VISIBLE, Engine
from ..errors import Refused
from ..query import digest
from .known import KNOWN, SERVER
from .losses import Document, Met
from .problem import PackRefused, Problem
from .trials import ask, cases_of, kinds_of, no_verdict, try_losses, verdict_on

if TYPE_CHECKING:
    from .pack import Pack

DECISION = "pdp/decision.rego"
ORG = "org/"  # how the names of an organisation's own files begin
INPUTS_EACH = 1  # inputs on which a rule of the pack is tried at activation; its own tests try it on all
PROVEN: set[str] = set()  # what gained nothing in this process: the same rules on the same inputs need it only once
MOST_PROVEN = 1_000  # digests of a hundred bytes or so, one a policy that was activated
MET: set[Met] = set()  # what did not, rule by rule: of a policy that differs in one of fifty only that is tried
MOST_MET = 5_000  # of a thousand bytes or so; a policy has some hundreds
TRIED_TAG = "mcp-pdp/tried/v1"


async def probe(engine: Engine, pack: "Pack") -> None:
    """Try the running policy before it answers anybody. Raises `PackRefused` naming file, case, field and replacement.

    On the empty input nothing may apply, hold, be open or be owed; the known allow and the known deny come out; and
    no lost fact may gain anything. Raises `Refused` with an `engine.*` code when the engine does not answer, or runs
    another policy than the one we built.
    """
    problems = await on_nothing(engine, pack) or await on_ourselves(engine, pack)
    documents = at_activation(pack)
    tried = digest(TRIED_TAG, {"engine": type(engine).__name__, "policy": pack.revision, "on": documents})
    if not problems and tried not in PROVEN:
        problems = await try_losses(engine, pack, documents, sparing(pack), MET)
        if len(MET) > MOST_MET:
            MET.clear()
    if problems:
        raise PackRefused(problems)
    if len(PROVEN) >= MOST_PROVEN:
        PROVEN.clear()
    PROVEN.add(tried)


async def on_nothing(engine: Engine, pack: "Pack") -> list[Problem]:
    """Ask about the empty input, where nothing may apply, hold, be open or be owed."""
    verdict = await _said(engine, VERDICT, {}, pack)
    expected = {
        "effect": "deny",
        "permits": [],
        "broken_guards": pack.codes("guards"),
        "shut_gates": pack.codes("gates"),
        "duties": [],
        "revision": pack.revision,
    }
    if verdict != expected:
        return [*_loose(verdict, expected, pack)]
    if await _said(engine, VISIBLE, {"calls": [{}]}, pack) != {"tools": [], "revision": pack.revision}:
        return [Problem(DECISION, 0, "It shows tools to nobody in particular.", "Restore it.")]
    return []


async def on_ourselves(engine: Engine, pack: "Pack") -> list[Problem]:
    """Ask for the PDP's own principal: a known allow and a known deny, without which it would never be ready."""
    allow, deny = cases_of({SERVER: KNOWN})
    allowed = await verdict_on(engine, pack, allow.document)
    denied = await verdict_on(engine, pack, deny.document)
    if allowed is None or denied is None:
        return await no_verdict(engine, pack, "the PDP's own probe", (deny if allowed else allow).document)
    against = {*allowed.broken_guards, *allowed.shut_gates, *denied.broken_guards}
    found = [*_each(pack, against, "It says no to the PDP's own probe, which would never be ready.", LET_PASS)]
    found += _each(pack, denied.permits, "It gives a right to the PDP's own probe, which holds none.", GIVE_LESS)
    if not found and (allowed.effect, denied.effect) != ("allow", "deny"):
        what = f"The known allow came back as {allowed.effect}, the known deny as {denied.effect}."
        duties = [rule.file for rule in pack.rules.values() if rule.folder == "duties" and rule.file.startswith(ORG)]
        instead = "Let this duty be defined for a plain tool too, as none." if duties else "Restore this file."
        found = [Problem(file, 0, what, instead) for file in sorted(duties) or [DECISION]]
    return found


LET_PASS = f'Write beside it a rule of the same name that says yes if `input.tool.server == "{SERVER}"`.'
GIVE_LESS = "Name whom it is for: nobody holds a right by being a person."


def sparing(pack: "Pack") -> dict[str, int]:
    """Return how often to try the pack's own rules: seldom, but duties always, whose rule a verdict does not name."""
    own = [rule for rule in pack.rules.values() if not rule.file.startswith(ORG)]
    return {rule.code: INPUTS_EACH for rule in own if rule.folder != "duties"}


def at_activation(pack: "Pack") -> dict[str, Document]:
    """Return by name what is tried at every activation: a case of each kind, and the organisation's own."""
    cases = cases_of(pack.tables)
    chosen = [*kinds_of(cases), *(case for case in cases if case.file.startswith(ORG))]
    documents = {f"the case {case.row.case!r} of {case.file}": case.document for case in chosen}
    return documents | examples_of(pack, ORG)


def examples_of(pack: "Pack", start: str = "") -> dict[str, Document]:
    """Return by name the examples of the rules whose file begins with `start`."""
    return {
        f"the {kind} example {number} of {rule.file}": example
        for rule in pack.rules.values()
        if rule.file.startswith(start)
        for kind in ("good", "bad")
        for number, example in enumerate(getattr(rule, kind), 1)
    }


async def _said(engine: Engine, entrypoint: str, document: Any, pack: "Pack") -> dict[str, Any]:
    said = json.loads(await ask(engine, entrypoint, document))
    if not isinstance(said, dict):
        raise Refused("engine.garbled", f"{entrypoint} answered {type(said).__name__}")
    if said.get("revision") != pack.revision:
        raise Refused("engine.revision", f"expected {pack.revision}, the engine runs {said.get('revision')}")
    return said


def _each(pack: "Pack", codes: Iterable[str], what: str, instead: str) -> list[Problem]:
    return [Problem(pack.rules[code].file, 0, what, instead) for code in sorted(codes)]


def _loose(verdict: dict[str, Any], expected: dict[str, Any], pack: "Pack") -> Iterator[Problem]:
    """Name each rule that says yes to nothing; `decision.rego` when it is none of them."""
    lenient = {
        "applies": set(_listed(verdict, "permits")),
        "holds": set(expected["broken_guards"]) - set(_listed(verdict, "broken_guards")),
        "is open": set(expected["shut_gates"]) - set(_listed(verdict, "shut_gates")),
    }
    named = [(code, says) for says, codes in lenient.items() for code in sorted(codes) if code in pack.rules]
    for code, says in named:
        what = f"On an empty input this rule {says}."
        yield Problem(pack.rules[code].file, 0, what, "Name every fact it relies on, with a word that checks its type.")
    if verdict.get("duties"):
        what = f"On an empty input one of these is owed: {json.dumps(verdict['duties'])[:300]}."
        yield Problem("duties", 0, what, "Name every fact a duty relies on, so that it is undefined without them.")
    elif not named:
        what = f"On an empty input the verdict is {json.dumps(verdict)[:300]}."
        yield Problem(DECISION, 0, what, "Restore this file from the package.")


def _listed(verdict: dict[str, Any], name: str) -> list[str]:
    listed = verdict.get(name)
    return [item for item in listed if isinstance(item, str)] if isinstance(listed, list) else []
