"""Tool patterns: `server/tool`, exact or with one trailing `*` in either part (contracts, section 4).

The two parts are matched apart, so a slash in a name can never move the border between server and tool; such a
name is covered by a `*` only.
"""

from functools import lru_cache
from typing import NamedTuple

REMEMBERED = 16_384  # answers, a process: each right of a caller is looked at twice a call, mostly for the same tools
MAX_PATTERN = 513  # two names of 256 characters and the slash


class Pattern(NamedTuple):
    """A tool pattern taken apart."""

    server: str
    tool: str


def read_pattern(text: str) -> Pattern:
    """Take `server/tool` apart. Raises `ValueError` saying what is wrong with it."""
    parts = text.split("/")
    if len(parts) != 2 or not all(parts) or len(text) > MAX_PATTERN:  # noqa: PLR2004  # server and tool
        raise ValueError("a tool pattern reads server/tool")
    if any("*" in part[:-1] for part in parts):
        raise ValueError("a tool pattern takes one * at the end of a part")
    return Pattern(*parts)


@lru_cache(maxsize=REMEMBERED)  # 0.1 us instead of 1.5
def covers(pattern: str, server: str, tool: str) -> bool:
    """Say whether a pattern covers a tool; what is not a pattern covers nothing."""
    server_part, slash, tool_part = pattern.partition("/")
    return bool(slash) and part_covers(server_part, server) and part_covers(tool_part, tool)


@lru_cache(maxsize=REMEMBERED)
def part_covers(part: str, name: str) -> bool:
    """Say whether one part of a pattern covers a name: equal, or beginning with what stands before `*`."""
    return name.startswith(part[:-1]) if part.endswith("*") else part == name
