"""A new rule of an org folder: the rule, its test and a table of cases, complete and green before anybody edits them.

What is drafted concerns only tools that carry a label of the rule's own name, so that it changes nothing until somebody
sets that label. The texts are in `drafts/`, a folder a kind; `NAME` in them becomes the name.
"""

from pathlib import Path

from ..errors import Fault
from .sources import NAME, SHARED, TEST

KINDS = {"permit": "permits", "guard": "guards", "gate": "gates", "duty": "duties"}
DRAFTS = Path(__file__).parent / "drafts"
MAX_NAME = 40  # characters: it is a code, a label and a file name, and the drafts keep their lines short
RESERVED = {  # words of Rego, and names that would hide what rules read
    *("as", "contains", "data", "default", "else", "every", "false", "if", "import", "in", "input", "list"),
    *("not", "null", "package", "some", "true", "with"),
}


def draft(kind: str, name: str) -> dict[str, str]:
    """Return the files of a new rule by their path in an org folder. Raises `Fault` when `name` cannot be one."""
    must_be_name(name)
    folder = KINDS[kind]
    drafts = {f"{folder}/{name}.rego": "rule.rego", f"{folder}/{name}{TEST}": "test.rego"}
    drafts |= {f"cases/{name}.yaml": "cases.yaml"}
    return {path: (DRAFTS / folder / file).read_text("utf-8").replace("NAME", name) for path, file in drafts.items()}


def must_be_name(name: str) -> None:
    """Raise `Fault`, saying what to choose instead, unless a rule can have this name."""
    if not NAME.fullmatch(name) or len(name) > MAX_NAME:
        rule = f"up to {MAX_NAME} lower-case letters, digits and underscores, beginning with a letter"
        raise Fault(f"{name!r} cannot be the name of a rule, which is a package too: use {rule}.")
    if name.endswith("_test"):
        raise Fault(f"{name} ends in _test, as only the tests of rules do: leave that out, its test is written too.")
    if name in RESERVED or name in SHARED:
        raise Fault(f"{name} is a word with a meaning of its own in rules: choose another, such as {name}_allowed.")


def must_be_new(files: dict[str, str], pack: Path, org: Path) -> None:
    """Raise `Fault` when the pack has a rule of this place, or the org folder a file: nothing is ever overwritten."""
    for path in files:
        if not path.startswith("cases/") and (pack / path).exists():
            code = path.removesuffix(".rego").replace("/", ".")
            raise Fault(f"The pack has {code} already: choose another name, or change its values in config.yaml.")
        if (org / path).exists():
            raise Fault(f"{org / path} exists already: edit it, remove it, or choose another name.")
