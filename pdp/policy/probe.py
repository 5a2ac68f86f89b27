"""The activation probe: the policy that runs must say no to nothing at all, in every single rule."""

import asyncio
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..engine import VERDICT, VISIBLE, Engine
from ..errors import Refused
from .problem import PackRefused, Problem

if TYPE_CHECKING:
    from .pack import Pack

DECISION = "pdp/decision.rego"
WITHIN_S = 5.0  # one evaluation takes a fraction of a millisecond; the engine may still be warming up


async def probe(engine: Engine, pack: "Pack") -> None:
    """Ask the running policy about the empty input. Raises `PackRefused` naming each rule that speaks for it.

    Nothing may apply, hold, be open or be owed there; and the policy must be the one we built. Raises `Refused` with
    an `engine.*` code when the engine does not answer.
    """
    verdict = await _ask(engine, VERDICT, b"{}", pack)
    expected = {
        "effect": "deny",
        "permits": [],
        "broken_guards": pack.codes("guards"),
        "shut_gates": pack.codes("gates"),
        "duties": [],
        "revision": pack.revision,
    }
    if verdict != expected:
        raise PackRefused([*_loose(verdict, expected, pack)])
    if await _ask(engine, VISIBLE, b'{"calls":[{}]}', pack) != {"tools": [], "revision": pack.revision}:
        raise PackRefused([Problem(DECISION, 0, "It shows tools to nobody in particular.", "Restore it.")])


async def _ask(engine: Engine, entrypoint: str, document: bytes, pack: "Pack") -> dict[str, Any]:
    deadline = asyncio.get_running_loop().time() + WITHIN_S
    said = json.loads(await engine.evaluate(entrypoint, document, deadline))
    if not isinstance(said, dict):
        raise Refused("engine.garbled", f"{entrypoint} answered {type(said).__name__}")
    if said.get("revision") != pack.revision:
        raise Refused("engine.revision", f"expected {pack.revision}, the engine runs {said.get('revision')}")
    return said


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
