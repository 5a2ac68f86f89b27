"""What a check says: one line, and advice that begins with a verb unless all is well."""

from typing import Literal

from msgspec import Struct

from ..errors import Fault

Level = Literal["ok", "warn", "fail"]


class Finding(Struct, frozen=True, omit_defaults=True):
    """One line of `pdp doctor`. `fail`: it does not work, or not safely; `warn`: somebody should look, or meant it."""

    check: str
    level: Level
    says: str
    advice: str = ""


def ok(check: str, says: str) -> Finding:
    """Say that all is well."""
    return Finding(check, "ok", says)


def warn(check: str, says: str, advice: str) -> Finding:
    """Say what somebody should look at."""
    return Finding(check, "warn", says, advice)


def fail(check: str, says: str, advice: str) -> Finding:
    """Say what does not work, or not safely."""
    return Finding(check, "fail", says, advice)


def failed(check: str, fault: Fault, advice: str = "Do what it says, and run this again.") -> Finding:
    """Turn a fault, whose text already tells an operator what to do, into a finding."""
    return fail(check, str(fault), advice)
