"""Tool patterns: what they cover, and that a slash or a star in the wrong place covers nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdp.identity.patterns import covers, part_covers, read_pattern

pytestmark = pytest.mark.promise("patterns")
names = st.text(st.characters(exclude_characters="/*", exclude_categories=["Cs"]), min_size=1, max_size=20)


@given(names, names)
def test_an_exact_pattern_covers_its_tool_and_no_other(server: str, tool: str) -> None:
    pattern = f"{server}/{tool}"
    assert covers(pattern, server, tool)
    for other in (f"{tool}x", f"x{tool}", tool[:-1]):
        assert not covers(pattern, server, other)
        assert not covers(pattern, other, tool) or other == server


@given(names, names, names)
def test_a_star_covers_whatever_follows(server: str, start: str, rest: str) -> None:
    assert covers(f"{server}/{start}*", server, start + rest)
    assert covers(f"{server}/{start}*", server, start)
    assert covers(f"{server}/*", server, rest)
    assert covers(f"{server[:1]}*/*", server, rest)


@given(names, names, names)
def test_a_star_covers_only_what_begins_as_written(server: str, start: str, tool: str) -> None:
    assert covers(f"{server}/{start}*", server, tool) == tool.startswith(start)


@given(st.text(max_size=30), names, names)
def test_text_that_is_no_pattern_covers_nothing(text: str, server: str, tool: str) -> None:
    try:
        pattern = read_pattern(text)
    except ValueError:
        return
    assert covers(text, server, tool) == (part_covers(pattern.server, server) and part_covers(pattern.tool, tool))


@pytest.mark.parametrize("text", ["", "/", "a", "a/", "/b", "a/b/c", "a*b/c", "a/*b", "a/b**", "**/a", "a//b", "*"])
def test_malformed_patterns_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="pattern"):
        read_pattern(text)


def test_a_slash_in_a_name_does_not_move_the_border_between_server_and_tool() -> None:
    assert not covers("payments/x", "payments/x", "")
    assert not covers("a/b", "a/b", "c")
    assert not covers("a/b", "", "a/b")
    assert covers("a/b*", "a", "b/c")
    assert not covers("nothing", "nothing", "")
