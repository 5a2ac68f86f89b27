"""How the load generator reads answers: each row asks for allows only, and another answer ends the bench."""

from collections.abc import Callable

from msgspec import Struct
from msgspec.json import Decoder

ALLOW = "allow"


class Decision(Struct):
    """What the bench reads of a decision."""

    decision: str


class Effect(Struct):
    """What the bench reads of a verdict."""

    effect: str


class _OpaAnswer(Struct):
    result: Effect


class _Batch(Struct):
    decisions: list[Decision]


class _Sight(Struct):
    visible: bool


class _Tools(Struct):
    tools: list[_Sight]


class _OpaList(Struct):
    result: _Tools


class _CerbosResult(Struct):
    actions: dict[str, str]


class _Cerbos(Struct):
    results: list[_CerbosResult]


class _Eunomia(Struct):
    allowed: bool


_decision, _verdict, _batch = Decoder(Decision).decode, Decoder(_OpaAnswer).decode, Decoder(_Batch).decode
_tools, _opa_list = Decoder(_Tools).decode, Decoder(_OpaList).decode
_cerbos, _eunomia = Decoder(_Cerbos).decode, Decoder(_Eunomia).decode


def _all(flags: list[bool]) -> bool:
    return bool(flags) and all(flags)


READERS: dict[str, Callable[[bytes], bool]] = {
    "pdp": lambda body: _decision(body).decision == ALLOW,
    "opa": lambda body: _verdict(body).result.effect == ALLOW,
    "batch": lambda body: _all([one.decision == ALLOW for one in _batch(body).decisions]),
    "list": lambda body: _all([tool.visible for tool in _tools(body).tools]),
    "opa_list": lambda body: _all([tool.visible for tool in _opa_list(body).result.tools]),
    "cerbos": lambda body: _all([e == "EFFECT_ALLOW" for one in _cerbos(body).results for e in one.actions.values()]),
    "eunomia": lambda body: _eunomia(body).allowed,
}
"""Says of an answer's body whether everything in it is allowed, by what the row speaks (`job.Speaks`)."""
