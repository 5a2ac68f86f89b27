"""Every item of every row of the table "What fails open in a positive-form pack" (research policy-checked.md), written
as an organisation's folder: refused when it is built, refused by the probe, or answered with a deny. Never an allow.
"""

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from pdp.engine.opa import OpaClient
from pdp.policy.pack import Pack, PackRefused, probe
from tests.policy.engine import Asked, running
from tests.policy.rules import rule, write
from tests.sparing import sparing

pytestmark = pytest.mark.promise("policy.fails_closed")
Build = Callable[[Path], Pack]
FILE = "guards/mine.rego"
OURS = (
    'holds if input.tool.server == "pdp.probe"\n\n'  # so that the service is ready, and the row itself is what denies
)
BUILD, PROBE, DENY = "refused when built", "refused by the probe", "deny"

NAMED = "guard missing, misspelt in the manifest, undefined, false, a function; built-in error"
CONFLICT = "complete-rule, object or function conflict"
NOT_TRUE = "holds := 0, no, null, holds contains x (empty), empty partial object"
UNLISTED = "a guard file that the manifest does not list; a manifest without gates or duties"
GHOST = "a manifest entry that exists only as base data"
SECOND = "a second file with the same package whose holds is true"
LABELS = "argument_labels missing or of the wrong type"
ORDER = "arguments.amount null or true, compared <= max; expires_at {} passes > now"
NOTHING = "not helper, count == 0, set - set, sum, object.get, default, every over []"
DIALECT = "import rego.v2, import future.keywords.not"

Files = dict[str, str]


def guard(body: str, name: str = "mine") -> Files:
    """Return an organisation's folder with one guard."""
    return {f"guards/{name}.rego": rule("guards", name, body)}


def duty(body: str) -> Files:
    """Return an organisation's folder with one duty."""
    return {"duties/mine.rego": rule("duties", "mine", body)}


def changed(value: Any, *path: str | int) -> Callable[[Any], None]:
    """Return what puts `value` at a path of a call."""

    def change(call: Any) -> None:
        for key in path[:-1]:
            call = call[key]
        call[path[-1]] = value

    return change


ODD_LABELS: list[Any] = [None, True, [], "money", {"/amount": "money"}, {"/amount": None}, {"/amount": {"x": "money"}}]
ODD_AMOUNTS: list[Any] = [None, True, False, "10", [], {}]
ODD_TIMES: list[Any] = [{}, [], True, None, "", "tomorrow"]
REDACT = 'duty := {"type": "redact", "pointers": ["/ssn"]} if "money" in input.tool.argument_labels["/amount"]'
AMOUNT = "import data.lib.number\n\n" + OURS + "holds if number.at_most(input.arguments.amount, 80)"
EXPIRY = (
    "import data.lib.moment\n\n"
    + OURS
    + "holds if {\n\tsome held in input.caller.person.entitlements\n\tmoment.before(input.now, held.expires_at)\n}"
)
SET_DIFFERENCE = "holds if {s | some s in input.tool.required_scopes} - {s | some s in []} == set()"

ITEMS: list[tuple[str, str, Files, Callable[[Any], Any] | None, str]] = [
    (NAMED, "missing: a test without its rule", {"guards/mine_test.rego": "package guards.mine_test\n"}, None, BUILD),
    (NAMED, "misspelt in a manifest of its own", guard("holds if 1 == 1") | {"manifest/data.json": "{}"}, None, BUILD),
    (NAMED, "misspelt", guard("hold if input.tool.name"), None, BUILD),
    (NAMED, "undefined", guard(OURS + "holds if input.arguments.nothing == 1"), None, DENY),
    (NAMED, "undefined, everywhere", guard("holds if input.arguments.nothing == 1"), None, PROBE),
    (NAMED, "false", guard(OURS + "holds := false"), None, BUILD),
    (NAMED, "false, by a part", guard(OURS + "holds if _f\n\n_f := false"), None, DENY),
    (NAMED, "a function", guard("holds(_) if input.tool.name"), None, BUILD),
    (NAMED, "1/0", guard("holds if 1 / 0 == 0"), None, BUILD),
    (NAMED, 'to_number("x")', guard('holds if to_number("x") == 0'), None, BUILD),
    (
        NAMED,
        "an error in a built-in that is allowed",
        guard(OURS + 'holds if lower(input.arguments.amount) == "x"'),
        None,
        DENY,
    ),
    (
        CONFLICT,
        "of a complete rule",
        guard(OURS + "holds if _n == 1\n\n_n := 1 if input.arguments.order\n\n_n := 2 if input.arguments.amount"),
        None,
        PROBE,
    ),
    (CONFLICT, "of an object", guard('holds if _n.x == 1\n\n_n["x"] := 1\n\n_n["x"] := 2'), None, BUILD),
    (
        CONFLICT,
        "of a function",
        guard(OURS + "holds if _n(input.arguments.amount) == 1\n\n_n(x) := 1 if x\n\n_n(x) := 2 if x"),
        None,
        PROBE,
    ),
    (
        CONFLICT,
        "of a duty",
        duty('duty := {"type": "none"} if input.tool.name\n\nduty := {"type": "none", "x": 1}'),
        None,
        PROBE,
    ),
    (NOT_TRUE, "0", guard("holds := 0"), None, BUILD),
    (NOT_TRUE, '"no"', guard('holds := "no"'), None, BUILD),
    (NOT_TRUE, "null", guard("holds := null"), None, BUILD),
    (NOT_TRUE, "an empty set", guard("holds contains x if some x in input.risk.evidence"), None, BUILD),
    (NOT_TRUE, "an empty partial object", guard("holds[x] := 1 if some x in input.risk.evidence"), None, BUILD),
    (NOT_TRUE, "a value by another name", guard("holds := x if x := input.tool.name"), None, BUILD),
    (
        UNLISTED,
        "a guard in a folder of its own",
        {"guard/mine.rego": rule("guards", "mine", "holds if 1 == 1")},
        None,
        BUILD,
    ),
    (
        UNLISTED,
        "a guard in a folder below",
        {"guards/more/mine.rego": rule("guards", "mine", "holds if 1 == 1")},
        None,
        BUILD,
    ),
    (UNLISTED, "a hidden guard", {"guards/.mine.rego": rule("guards", "mine", "holds if 1 == 1")}, None, BUILD),
    (
        UNLISTED,
        "a guard with a manifest that leaves it out",
        guard(OURS + 'holds if input.tool.name == "x"') | {".manifest": "{}"},
        None,
        DENY,
    ),
    (
        UNLISTED,
        "a manifest without gates",
        {"manifest/data.json": '{"permits": [], "guards": [], "duties": []}'},
        None,
        BUILD,
    ),
    (UNLISTED, "a manifest without duties", {"manifest.yaml": "gates: []"}, None, BUILD),
    (UNLISTED, "a manifest in config.yaml", {"config.yaml": "manifest: {gates: []}"}, None, BUILD),
    (GHOST, "in a folder", {"guards/ghost/data.json": '{"holds": true}'}, None, BUILD),
    (GHOST, "as a file", {"guards/ghost.json": '{"holds": true}'}, None, BUILD),
    (GHOST, "as YAML", {"guards/ghost.yaml": "holds: true"}, None, BUILD),
    (GHOST, "at the top", {"data.json": '{"guards": {"ghost": {"holds": true}}}'}, None, BUILD),
    (GHOST, "in config.yaml", {"config.yaml": "guards: {ghost: {holds: true}}"}, None, BUILD),
    (
        SECOND,
        "the same file",
        {"guards/token_scope.rego": rule("guards", "token_scope", "holds if input.tool.name")},
        None,
        BUILD,
    ),
    (SECOND, "another file", {FILE: rule("guards", "token_scope", "holds if input.tool.name")}, None, BUILD),
    (
        SECOND,
        "another folder",
        {"gates/mine.rego": rule("guards", "token_scope", "holds if input.tool.name")},
        None,
        BUILD,
    ),
    (
        SECOND,
        "a test",
        guard("holds if input.tool.name", "x") | {"guards/token_scope_test.rego": "package guards.token_scope\n"},
        None,
        BUILD,
    ),
    *[
        (
            LABELS,
            f"{labels!r}",
            duty(f'{REDACT}\n\nduty := {{"type": "none"}} if input.tool.argument_labels == {{}}'),
            spoil,
            DENY,
        )
        for labels, spoil in [
            ("missing", lambda call: call["tool"].pop("argument_labels")),
            *[(odd, changed(odd, "tool", "argument_labels")) for odd in ODD_LABELS],
        ]
    ],
    (
        LABELS,
        "read with a default",
        duty('duty := {"type": "none"} if object.get(input.tool, "argument_labels", {}) == {}'),
        None,
        BUILD,
    ),
    (ORDER, "a bare <=", guard("holds if input.arguments.amount <= 80"), None, BUILD),
    (
        ORDER,
        "a bare <= in a part",
        guard("holds if _small(input.arguments.amount)\n\n_small(x) if x <= 80"),
        None,
        BUILD,
    ),
    (ORDER, "a bare >", guard("holds if input.caller.delegation.expires_at > input.now"), None, BUILD),
    *[
        (
            ORDER,
            f"amount {odd!r} by the word",
            guard(AMOUNT),
            changed(odd, "arguments", "amount"),
            DENY,
        )
        for odd in ODD_AMOUNTS
    ],
    *[
        (
            ORDER,
            f"expires_at {odd!r} by the word",
            guard(EXPIRY),
            changed(odd, "caller", "person", "entitlements", 0, "expires_at"),
            DENY,
        )
        for odd in ODD_TIMES
    ],
    (
        NOTHING,
        "not helper",
        guard('holds if not _bad\n\n_bad if "contractors" in input.caller.person.groups'),
        None,
        BUILD,
    ),
    (
        NOTHING,
        "count == 0",
        guard('holds if count([g | some g in input.caller.person.groups; g == "x"]) == 0'),
        None,
        BUILD,
    ),
    (NOTHING, "set - set == set()", guard(SET_DIFFERENCE), None, BUILD),
    (NOTHING, "sum <= n", guard("holds if sum([e.points | some e in input.risk.evidence]) <= 50"), None, BUILD),
    (NOTHING, "object.get < n", guard('holds if object.get(input.risk, "score", 0) < 50'), None, BUILD),
    (
        NOTHING,
        "default holds := true",
        guard('default holds := true\n\nholds := false if input.tool.name == "x"'),
        None,
        BUILD,
    ),
    (NOTHING, "every over []", guard("holds if every g in input.caller.person.groups { g == 1 }"), None, BUILD),
    (
        NOTHING,
        "an empty list that was lost",
        guard("holds if input.risk.evidence == []"),
        changed([{"code": "x"}], "risk", "evidence"),
        DENY,
    ),
    (DIALECT, "rego.v2", guard("import rego.v2\n\nholds if input.tool.name"), None, BUILD),
    (DIALECT, "future.keywords.not", guard("import future.keywords.not\n\nholds if input.tool.name"), None, BUILD),
]


async def outcome(files: Files, call: Any, build: Build, opa: Path, folder: Path) -> tuple[str, str]:
    """Return what becomes of a call with these files in `org/`, and what was said about it."""
    try:
        built = build(write(folder / "org", files))
    except PackRefused as refused:
        return BUILD, str(refused)
    with running(opa, folder, "--bundle", str(built.bundle)) as asked:
        engine = OpaClient(f"unix://{asked.socket}", built.revision)
        try:
            await probe(engine, built)
        except PackRefused as refused:
            return PROBE, str(refused)
        finally:
            await engine.close()
        verdict = asked.verdict(call)
    return (DENY if verdict == Asked.ERROR else verdict["effect"]), str(verdict)


@pytest.mark.parametrize(
    ("files", "spoil", "expected"),
    sparing(
        (pytest.param(*item[2:], id=f"{item[0]}: {item[1]}") for item in ITEMS),
        lambda param: param.id.partition(":")[0],
    ),
)
async def test_what_fails_open_elsewhere_does_not_here(
    *,
    files: Files,
    spoil: Callable[[Any], Any] | None,
    expected: str,
    call: Any,
    build: Build,
    opa: Path,
    tmp_path: Path,
) -> None:
    spoilt = deepcopy(call)
    if spoil is not None:
        spoil(spoilt)
    came, said = await outcome(files, spoilt, build, opa, tmp_path)
    assert came == expected, said
    if came != DENY:
        assert "\n  org/" in said or "\n  duties: " in said or "config.yaml" in said, said


@pytest.mark.parametrize(
    "files",
    [
        {},
        guard(OURS + 'holds if input.tool.name == "create_refund"'),
        guard(AMOUNT.replace("80", "4000")),
        guard(EXPIRY),
        duty(f'{REDACT}\n\nduty := {{"type": "none"}} if input.tool.argument_labels == {{}}'),
    ],
    ids=["nothing", "equality", "an amount", "a time", "a duty"],
)
async def test_the_same_call_is_allowed_by_what_is_sound(
    files: Files, call: Any, build: Build, opa: Path, tmp_path: Path
) -> None:
    """The control: it is not the folder, nor the call, that the tests above refuse."""
    (tmp_path / "org").mkdir()
    came, said = await outcome(files, call, build, opa, tmp_path)
    assert came == "allow", said
