"""Change: what a new policy does differently, by name, for the record and for whoever reviews it.

A new guard or gate can only say no more often. A permit or a duty of an organisation's own may say yes where nobody
said it before, or oblige to less; so those are named for review (architecture, section 3).
"""

from typing import Any

from msgspec import Struct, field

from .law import Rule
from .pack import Pack

REVIEWED = ("permits", "duties")


class Change(Struct, frozen=True, omit_defaults=True):
    """Codes of rules; `values` are sections of config.yaml, `shared` files that rules are written in.

    `review`: the organisation's own permits and duties among those added or changed.
    """

    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    values: list[str] = field(default_factory=list)
    shared: list[str] = field(default_factory=list)
    review: list[str] = field(default_factory=list)


def change_between(before: Pack, after: Pack) -> Change:
    """Compare two packs."""
    added, removed = sorted(after.rules.keys() - before.rules), sorted(before.rules.keys() - after.rules)
    changed = _different(before.rules, after.rules)
    return Change(
        added=added,
        removed=removed,
        changed=changed,
        values=_different(_sections(before), _sections(after), absent=True),
        shared=_different(before.shared, after.shared, absent=True),
        review=[code for code in sorted({*added, *changed}) if _for_review(after.rules[code])],
    )


def everything(pack: Pack) -> Change:
    """Return the change from nothing, at the start of the service: no rule is new, those for review are named."""
    return Change(review=[code for code in sorted(pack.rules) if _for_review(pack.rules[code])])


def _for_review(rule: Rule) -> bool:
    return rule.folder in REVIEWED and rule.file.startswith("org/")


def _different(before: dict[str, Any], after: dict[str, Any], *, absent: bool = False) -> list[str]:
    names = before.keys() | after.keys() if absent else before.keys() & after.keys()
    return sorted(name for name in names if before.get(name) != after.get(name))


def _sections(pack: Pack) -> dict[str, Any]:
    return {f"{folder}.{name}": value for folder, named in pack.config.items() for name, value in named.items()}
