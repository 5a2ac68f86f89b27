"""What to write instead of what OPA does not accept: its messages say what is wrong, and authors need the next step."""

import difflib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

WORD = re.compile(r"^([a-z]\w*)\(", re.MULTILINE)
OWN_VALUES = re.compile(r"undefined ref: data\.config\.(\w+)\.(\w+)")
UNKNOWN = re.compile(r"undefined function (data\.lib\.)?(\w+)\.(\w+)")
NEXT = (  # what OPA says -> what to do; the first that matches
    (r"undefined function time\.", "The time of the call is `input.now`, taken apart in `input.clock`."),
    (r"undefined function", "Rules use the words of lib and a few built-ins that always answer the same."),
    (r"match error", "The two sides have types that are never equal: compare with a value of the type that is there."),
    (r"has arity", "Give it the arguments that its description in lib names."),
    (r"unexpected eof", "Something above is not finished, or a bracket is not closed."),
    (r"`if` keyword", "Write `if` between what is defined and its body: `holds if { ... }`."),
    (r"var \w+ is unsafe", "Give it a value with `:=`, or put text into quotes."),
    (r"import .* unused", "Remove the import."),
    (r"^yaml:", "METADATA is YAML: put a text with a colon into quotes, and indent what is below `custom`."),
)

Words = dict[str, list[str]]  # what lib has: `list` -> contains_all, contains_none, ...


def words_of(lib: Path) -> Words:
    """Return the words of each file of `lib`."""
    return {file.stem: sorted({*WORD.findall(file.read_text("utf-8"))}) for file in sorted(lib.glob("*.rego"))}


def advise(message: str, known: Sequence[Any], words: Words) -> str:
    """Return what to do about a message of `opa check`; `known` are the names that OPA says there are."""
    if own := OWN_VALUES.match(message):
        folder, name = own.groups()
        if name not in known and not message.endswith(f".{folder}.{name}"):
            return f"{_there_are(name, known)} The values of your own rule stand under `{folder}: {{{name}: ...}}`."
    if message.startswith("undefined ref: "):
        return _there_are(message, known) if known else "Correct the name."
    called = UNKNOWN.match(message)
    if called and (called[1] or called[2] in words):
        return _of_lib(called[2], called[3], words)
    return _next(message)


def _next(message: str) -> str:
    return next((said for pattern, said in NEXT if re.search(pattern, message)), "Correct it.")


def _of_lib(file: str, word: str, words: Words) -> str:
    if file not in words:
        return f"lib has: {', '.join(words)}.{perhaps(file, words)}"
    if word in words[file]:
        return f"Import it: `import data.lib.{file}`."
    return f"lib/{file}.rego has: {', '.join(words[file])}.{perhaps(word, words[file])}"


def _there_are(ref: str, known: Iterable[Any]) -> str:
    """List the names there are; the misspelt one may be any part of `ref`."""
    listed = [str(one) for one in known]
    unknown = [part for part in re.findall(r"\w+", ref) if part not in listed]
    meant = next((said for said in (perhaps(part, listed) for part in reversed(unknown)) if said), "")
    return f"There are: {', '.join(listed)}.{meant}"


def perhaps(name: str, known: Iterable[str]) -> str:
    """Return ` Perhaps x is meant.` for what is most like a misspelt name, or nothing."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" Perhaps `{near[0]}` is meant." if near else ""
