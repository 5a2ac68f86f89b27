"""Words: a file of `lib/` looks at what a rule passes it, at the values, and at other words, and at nothing else. Pure.

What a rule's answer rests on can be told from its own text, the words and the values only as long as no word reads a
fact, another rule, or the cases by itself: what is tried at an activation relies on it (losses.py, trials.py).
"""

from collections.abc import Iterator
from typing import Any

from .problem import Problem
from .sources import Source

ROOTS = {"input", "data"}
OPEN = {"config", "lib"}  # what of `data` a word may look at


def straying(source: Source, module: dict[str, Any]) -> list[Problem]:
    """Find what a word reads by itself, in OPA's parse of its file."""
    return [
        Problem(source.file, 0, f"A word of lib reads `{name}`.", "Let the rule pass it what it needs.")
        for name in sorted(set(_strays([module.get("imports", []), module.get("rules", [])])))
    ]


def _strays(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for item in node:
            yield from _strays(item)
    elif isinstance(node, dict) and node.get("type") == "ref":
        steps = node["value"]
        if _is_root(steps[0]) and not (steps[0]["value"] == "data" and len(steps) > 1 and steps[1]["value"] in OPEN):
            yield ".".join(str(step["value"]) for step in steps if step["type"] in {"var", "string"})
        yield from _strays(steps[1:] if _is_root(steps[0]) else steps)
    elif _is_root(node):
        yield str(node["value"])
    elif isinstance(node, dict):
        for item in node.values():
            yield from _strays(item)


def _is_root(node: Any) -> bool:
    return isinstance(node, dict) and node.get("type") == "var" and node.get("value") in ROOTS
