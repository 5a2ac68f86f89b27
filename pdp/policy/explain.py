"""Explain: a recorded decision, judged again by the policy of its revision: which rules decided, on which facts.

What was refused outside the policy is not judged again; `floor_of` says which step refused it.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from ..decide import Reply, Verdict, verdict_from
from ..identity.checks import CHECKS
from .candidates import approved, candidates
from .facts import Fact, facts_of, values_of
from .flips import Found, harmful, helpful, problems_of
from .form import Ast
from .hints import Hints
from .law import Rule
from .masked import masked_reads
from .pack import Pack
from .patch import Change
from .reads import Reads, reads_of
from .replay import Judge

STEPS = {  # where a refusal comes from: the word of the sentence, and what was not there in good standing
    "identity": ("identify", "a verified caller: a good token, a known and active person, agent and delegation"),
    "facts": ("enrich", "facts about the caller that are fresh enough to rely on"),
    "tool": (
        "vet",
        "a registered tool whose approved definition is the one the adapter saw, and arguments that fit it",
    ),
    "engine": ("decide", "a verdict of the policy engine, in time and in its closed form"),
    "approvals": ("settle", "a human's yes to this very call that still stands, or room to ask for one"),
    "deadline": ("flow", "an answer before the deadline"),
    "fault": ("flow", "a call that met no unforeseen condition"),
}


class Floor(Struct, frozen=True):
    """The step that refused a call outside the policy, what it lacked, and the checks that may say so."""

    step: str
    lacked: str
    checks: list[str]


class Deciding(Struct, frozen=True):
    """A rule that decided: what it said, its words, and what it read. `masked`: where it read what the log masks."""

    code: str
    says: str
    title: str
    description: str
    remedy: str
    owner: str
    file: str
    facts: list[Fact]
    values: list[Fact]
    masked: list[str]


class Replayed(Struct, frozen=True):
    """What the policy says now on the recorded input. `differs`: in what it is not the recorded answer.

    `masked`: what the rules that now answer otherwise read of what the log masks; then no more can be known.
    """

    decision: str
    reasons: list[str]
    permits: list[str]
    duties: list[dict[str, Any]]
    differs: list[str]
    masked: list[str]

    @property
    def tampered(self) -> bool:
        """Say whether the answer differs and nothing explains it but a log or an archive that was changed."""
        return bool(self.differs) and not self.masked


class Explanation(Struct, frozen=True):
    """Why a call was decided as it was. `flips`: what would have helped; `hangs_on`: what would have made it worse."""

    replayed: Replayed
    deciding: list[Deciding]
    flips: Found | None = None
    hangs_on: Found | None = None


def floor_of(code: str) -> Floor | None:
    """Return the floor that a refusal code stands for; `None` for the code of a rule."""
    if (found := STEPS.get(code.partition(".")[0])) is None:
        return None
    checks = [f"check {check.number}: {check.what}" for check in CHECKS if code in check.codes]
    return Floor(*found, checks)


async def explain(
    record: Mapping[str, Any], judge: Judge, modules: Mapping[str, Ast], *, everything: bool
) -> Explanation:
    """Judge a recorded decision again and say what decided it. `modules`: parses by code, of rules and words.

    `everything`: also what would have made it worse, which is said of an allow in any case.
    """
    call = dict(record["input"])
    case = _Case(call, record.get("masked", []), judge.pack, modules)
    reply = await judge.judge(msgspec.json.encode(call))
    replayed = case.replayed(record, reply)
    deciding = [case.deciding(rule, says) for rule, says in case.spoke(reply)]
    if replayed.differs:  # what would change another answer than the recorded one explains nothing
        return Explanation(replayed, deciding)
    helps = await helpful(call, judge, case.proposals) if reply.effect != "allow" else None
    hangs = await harmful(call, judge, case.threats) if reply.effect == "allow" or everything else None
    return Explanation(replayed, deciding, helps, hangs)


class _Case:
    def __init__(self, call: dict[str, Any], masked: list[str], pack: Pack, modules: Mapping[str, Ast]) -> None:
        self._call = call
        self._masked = masked
        self._pack = pack
        self._reads: dict[str, Reads] = {code: reads_of(code, modules) for code in pack.rules}

    def replayed(self, record: Mapping[str, Any], reply: Reply) -> Replayed:
        verdict = verdict_from(reply, self._pack)
        now = _told(verdict)
        before = {name: record.get(name, []) for name in ("permits", "duties")}
        before |= {"decision": record["decision"], "reasons": [reason["code"] for reason in record["reasons"]]}
        differs = [name for name, value in now.items() if value != before[name]]
        masked = self._masked_reasons(before, now) if differs else []
        return Replayed(differs=differs, masked=masked, **now)

    def spoke(self, reply: Reply) -> Iterator[tuple[Rule, str]]:
        """Yield the rules that made the verdict what it is, with what each said."""
        rules = self._pack.rules
        yield from ((rules[code], "does not hold") for code in reply.broken_guards)
        if not reply.permits:
            yield from ((rules[code], "does not apply") for code in self._pack.codes("permits"))
        if reply.effect != "deny":
            yield from ((rules[code], "is not open") for code in reply.shut_gates)
            yield from ((rules[code], "applies") for code in reply.permits)
        if reply.effect == "allow":
            yield from ((rules[code], "is owed") for code in self._owed(reply))
        if problems_of(reply) == {"duties.undefined"}:
            yield from ((rules[code], "may be undefined") for code in self._pack.codes("duties"))

    def deciding(self, rule: Rule, says: str) -> Deciding:
        reads = self._reads[rule.code]
        return Deciding(
            code=rule.code,
            says=says,
            title=rule.title,
            description=rule.description,
            remedy=rule.remedy,
            owner=rule.owner,
            file=rule.file,
            facts=facts_of(reads, self._call),
            values=values_of(reads, self._pack.config, self._call),
            masked=self._hidden(rule.code),
        )

    def proposals(self, call: dict[str, Any], reply: Reply) -> Iterator[Change]:
        """Yield changes of what the rules read that object to a call."""
        codes = [*reply.broken_guards, *reply.shut_gates, *([] if reply.permits else self._pack.codes("permits"))]
        if reply.shut_gates:
            yield approved(reply.shut_gates, call)
        yield from self._changes(call, codes or self._pack.codes("duties"))

    def threats(self, call: dict[str, Any], reply: Reply) -> Iterator[Change]:
        """Yield changes of what the rules read that let a call pass."""
        passed = set(self._pack.codes("guards")) - set(reply.broken_guards)
        passed |= set(self._pack.codes("gates")) - set(reply.shut_gates)
        yield from self._changes(call, sorted({*passed, *reply.permits, *self._pack.codes("duties")}))

    def _changes(self, call: dict[str, Any], codes: Iterable[str]) -> Iterator[Change]:
        rules = tuple(self._pack.rules[code] for code in codes)
        for rule in rules:
            reads = self._reads[rule.code]
            yield from candidates(
                Hints(
                    call=call,
                    rules=(rule, *(other for other in rules if other is not rule)),
                    facts=tuple(facts_of(reads, call)),
                    values=tuple(values_of(reads, self._pack.config, call)),
                    literals=reads.literals,
                    masked=tuple(self._masked),
                )
            )

    def _owed(self, reply: Reply) -> list[str]:
        kinds = [f'"{duty["type"]}"' for duty in reply.duties]
        return [
            code for code in self._pack.codes("duties") if any(kind in self._pack.rules[code].text for kind in kinds)
        ]

    def _masked_reasons(self, before: dict[str, Any], now: dict[str, Any]) -> list[str]:
        """Return the masked places that every rule which now answers otherwise reads; none when one reads none."""
        decisions = {before["decision"], now["decision"]}
        said = {code.partition(".")[0] for code in (*before["reasons"], *now["reasons"])}
        codes = set(before["permits"]) ^ set(now["permits"])
        for folder in ("guards",) if "deny" in decisions else ("gates",):  # a deny does not tell of gates
            codes |= {code for code in set(before["reasons"]) ^ set(now["reasons"]) if code.startswith(folder)}
        if "duties" in said or (decisions == {"allow"} and before["duties"] != now["duties"]):
            codes |= set(self._pack.codes("duties"))
        read = [self._hidden(code) for code in codes if code in self._reads]
        return sorted({pointer for pointers in read for pointer in pointers}) if read and all(read) else []

    def _hidden(self, code: str) -> list[str]:
        return masked_reads(self._reads[code], self._masked, self._call, self._pack.config)


def _told(verdict: Verdict) -> dict[str, Any]:
    return {
        "decision": verdict.effect,
        "reasons": [reason.code for reason in verdict.reasons],
        "permits": verdict.permits,
        "duties": verdict.duties,
    }
