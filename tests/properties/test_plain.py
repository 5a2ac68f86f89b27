"""What people decide on is what they see: nothing in a call's text hides, turns around or imitates unnoticed."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdp.approvals.plain import imitations, plain

pytestmark = pytest.mark.promise("approvals.plain")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Zahlung an Müller, 40 €", "Zahlung an Müller, 40 €"),
        ("支付 40 元", "支付 40 元"),
        ("pay\u202e004 oge", "pay<U+202E>004 oge"),
        ("al\u200bice", "al<U+200B>ice"),
        ("tag\U000e0041", "tag<U+E0041>"),
        ("a\tb\nc\x1b[2J", "a<U+0009>b<U+000A>c<U+001B>[2J"),
        ("wide\u3000gap", "wide<U+3000>gap"),
        ("filler\u3164", "filler<U+3164>"),
        ("e\u0301\u0301\u0301\u0301", "e\u0301\u0301<U+0301><U+0301>"),
        ("soft\u00adhyphen", "soft<U+00AD>hyphen"),
    ],
)
def test_what_cannot_be_seen_is_named(text: str, shown: str) -> None:
    assert plain(text) == shown


@given(st.text())
def test_no_text_leaves_a_character_that_cannot_be_seen(text: str) -> None:
    assert not {unicodedata.category(c) for c in plain(text)} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


@given(st.text(alphabet=st.characters(min_codepoint=0x20, max_codepoint=0x7E)))
def test_ordinary_text_is_left_as_it_is(text: str) -> None:
    assert plain(text) == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("pay alice at paypal", []),
        ("pay alice at p\u0430ypal", ["p\u0430ypal"]),
        ("\u041c\u043e\u0441\u043a\u0432\u0430 and Paris", []),
        ("\u03bfrder o-1", ["\u03bfrder"]),
        ("p\uff41ypal or \U0001d429aypal", ["p\uff41ypal", "\U0001d429aypal"]),
        ("\u217fail bank\uff0fx", ["\u217fail", "bank\uff0fx"]),
        ("12 m\u00b2, \u2122 \u2026 \u00bd caf\u00e9 \u6771\u4eac", []),
    ],
)
def test_a_word_of_two_alphabets_is_pointed_out(text: str, words: list[str]) -> None:
    assert imitations(text) == words
