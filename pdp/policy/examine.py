"""Examine: everything that a running policy can be tried on, for whoever writes it. `pdp check` and CI run it."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..engine import Engine
from .asks import try_asks
from .probe import INPUTS_EACH, ORG, examples_of, on_nothing, on_ourselves
from .problem import Problem
from .trials import cases_of, try_cases, try_examples, try_losses

if TYPE_CHECKING:
    from .pack import Pack


def silent(_stage: str) -> None:
    """Say nothing."""


async def examine(
    engine: Engine, pack: "Pack", say: Callable[[str], None] = silent, *, alone: bool = True
) -> list[Problem]:
    """Try the policy on nothing, on the PDP's own probe, its examples, its cases, and every loss in any of them.

    Returns every problem, of the pack and of the organisation's own rules and cases. `say` is told what comes next.
    `alone` is false where an organisation changes values: then, and where it adds rules or cases, only its own examples
    and cases must come out as they say, because the pack's say what the pack does by itself.
    So are the losses: the pack's own rules, which were tried on all of them by themselves, are tried on few.
    The engine must answer for single rules, as OPA does. Raises `Refused` with an `engine.*` code when it does not
    answer, or runs another policy than the one we built.
    """
    cases = cases_of(pack.tables)
    alone = alone and not any(file.startswith(ORG) for file in files_of(pack))
    judged = [case for case in cases if alone or case.file.startswith(ORG)]
    rules = [rule for rule in pack.rules.values() if alone or rule.file.startswith(ORG)]
    say("the empty input, the known allow and the known deny")
    found = [*await on_nothing(engine, pack), *await on_ourselves(engine, pack)]
    say(f"the examples of {len(rules)} rules")
    found += await try_examples(engine, rules)
    say(f"{len(judged)} cases")
    found += [*await try_cases(engine, pack, judged), *await try_asks(engine, pack, judged)]
    say("every field of every case and example, removed or replaced")
    documents = {f"the case {case.row.case!r} of {case.file}": case.document for case in cases}
    often = {} if alone else {code: INPUTS_EACH for code, rule in pack.rules.items() if not rule.file.startswith(ORG)}
    return found + await try_losses(engine, pack, documents | examples_of(pack), often)


def files_of(pack: "Pack") -> list[str]:
    """Return the files of the pack that say something: its rules and its tables."""
    return [*(rule.file for rule in pack.rules.values()), *pack.tables]
