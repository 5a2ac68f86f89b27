"""Text from a call, made safe to look at: what hides, turns around or imitates is shown as what it is. Pure.

People decide on what they see. Text can hold characters that have no shape, that reverse the ones after them, or that
look like others (Unicode, UTS 39 and UAX 9). None of it is interpreted here as markup, and none of it is left out.
"""

import unicodedata
from collections.abc import Iterator

UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}  # control, format, surrogate, private, unassigned, separators
SHAPELESS = {"\u115f", "\u1160", "\u2800", "\u3164", "\uffa0"}  # letters and a symbol that have no ink
LOOK_ALIKE = ("LATIN", "GREEK", "CYRILLIC", "ARMENIAN", "CHEROKEE")  # scripts whose letters imitate each other
COPIES = {"<font>", "<wide>", "<compat>"}  # of compatibility decompositions (Unicode Character Database)
FIRST_BEYOND_ASCII = 0x80
MOST_MARKS = 2  # of combining marks on one letter in any language we know of; more of them hide what is around


def plain(text: str) -> str:
    """Return the text with every character that cannot be seen, or hides others, written as `<U+202E>`."""
    return "".join(_shown(text))


def imitations(text: str) -> list[str]:
    """Return the words that mix letters of scripts which look alike, or that write ASCII in other characters.

    Such as a Cyrillic a in a Latin word, or the wide, bold and Roman numeral copies of letters (UAX 15).
    """
    return [word for word in text.split() if len(_scripts(word)) > 1 or any(map(_is_copy, word))]


def _shown(text: str) -> Iterator[str]:
    marks = 0
    for character in text:
        category = unicodedata.category(character)
        marks = marks + 1 if category in {"Mn", "Me"} else 0
        blank = category == "Zs" and character != " "
        if category in UNSEEN or character in SHAPELESS or blank or marks > MOST_MARKS:
            yield f"<U+{ord(character):04X}>"
        else:
            yield character


def _is_copy(character: str) -> bool:
    """Say whether a character is another way to draw one of ASCII (not a small raised one, which looks different)."""
    kind, _, code = unicodedata.decomposition(character).partition(" ")
    return kind in COPIES and " " not in code and int(code, 16) < FIRST_BEYOND_ASCII


def _scripts(word: str) -> set[str]:
    names = (unicodedata.name(character, "") for character in word if character.isalpha())
    return {name.partition(" ")[0] for name in names if name.startswith(LOOK_ALIKE)}
