"""The annotation law: every rule says, in METADATA, what it asks, what to do when it says no, and whose it is.

The words go from there to answers, console, command line, docs and audit, so a rule without them is not loaded.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .compiler import Annotated
from .problem import PackRefused, Problem
from .sources import FOLDERS, Source

SEVERITIES = ("low", "medium", "high", "critical")
STAGES = ("caller", "call")  # `caller` rules do not read arguments; they alone say which tools a caller may see
MAX_WORDS = 2000  # characters of one text: it is shown to people in answers


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A rule of the pack and its words. `good` and `bad` are inputs on which it says yes, and does not."""

    code: str
    folder: str
    name: str
    title: str
    description: str
    remedy: str
    owner: str
    severity: str
    stage: str
    good: tuple[dict[str, Any], ...]
    bad: tuple[dict[str, Any], ...]
    file: str
    text: str

    @property
    def own(self) -> bool:
        """Say whether it is the organisation's, and not the pack's."""
        return self.file.startswith("org/")

    def words(self) -> dict[str, Any]:
        """Return what the manifest says about the rule."""
        names = ("title", "description", "remedy", "owner", "severity", "stage", "file")
        said = {name: getattr(self, name) for name in names}
        return said | {"good": list(self.good), "bad": list(self.bad)}


def read_rules(sources: list[Source], annotations: list[Annotated]) -> dict[str, Rule]:
    """Return every rule of the four folders by its code. Raises `PackRefused` for missing or unreadable words."""
    problems = list(_beyond_the_rule(annotations, sources))
    rules = {}
    for source in sources:
        if source.folder in FOLDERS:
            entry = _of_package(annotations, source)
            said = entry.get("annotations", {})
            line = entry.get("location", {}).get("row", 0)
            lacking = [Problem(source.file, line, what, instead) for what, instead in _lacking(said)]
            problems += lacking
            if not lacking:
                rules[source.code] = _rule(source, said)
    if problems:
        raise PackRefused(problems)
    return rules


def _rule(source: Source, said: dict[str, Any]) -> Rule:
    custom = said["custom"]
    return Rule(
        code=source.code,
        folder=source.folder,
        name=source.name,
        title=said["title"].strip(),
        description=" ".join(said["description"].split()),
        remedy=custom["remedy"].strip(),
        owner=custom["owner"].strip(),
        severity=custom["severity"],
        stage=custom["stage"],
        good=_examples(custom["good"]),
        bad=_examples(custom["bad"]),
        file=source.file,
        text=source.text,
    )


def _of_package(annotations: list[Annotated], source: Source) -> dict[str, Any]:
    for entry in annotations:
        scope = entry.get("annotations", {}).get("scope")
        path = [part["value"] for part in entry.get("path", [])]
        if scope == "package" and path == ["data", source.folder, source.name]:
            return entry
    return {}


def _lacking(said: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if not said:
        instead = "Write title, description and custom there; `pdp policy new` writes a rule that has them all."
        yield "There is no METADATA above `package`.", instead
        return
    custom = said.get("custom") if isinstance(said.get("custom"), dict) else {}
    texts = [("title", said), ("description", said), ("custom.remedy", custom), ("custom.owner", custom)]
    for name, place in texts:
        text = (place or {}).get(name.removeprefix("custom."))
        if not isinstance(text, str) or not 0 < len(text.strip()) <= MAX_WORDS:
            yield f"METADATA above `package` has no {name}.", "Write it: callers, approvers and auditors read it."
    for name, allowed in (("severity", SEVERITIES), ("stage", STAGES)):
        if (custom or {}).get(name) not in allowed:
            yield f"METADATA has no custom.{name}, or an unknown one.", f"Choose from {', '.join(allowed)}."
    for name in ("good", "bad"):
        if not _examples((custom or {}).get(name)):
            yield f"METADATA has no custom.{name}.", "Give an input, or a list of inputs; the tests run them."


def _examples(value: Any) -> tuple[dict[str, Any], ...]:
    listed = value if isinstance(value, list) else [value]
    return tuple(listed) if all(isinstance(item, dict) for item in listed) else ()


def _beyond_the_rule(annotations: list[Annotated], sources: list[Source]) -> Iterator[Problem]:
    """A rule that brings a schema of its own would switch off the check against ours, and nobody asks it but us."""
    files = {source.path: source for source in sources}
    for entry in annotations:
        source = files.get(str(entry["location"]["file"]).removeprefix("./"))
        if source is None or source.folder not in FOLDERS:
            continue
        said, line = entry["annotations"], entry["location"]["row"]
        if said.get("schemas"):
            instead = "Remove it: rules are checked against the schemas of the PDP."
            yield Problem(source.file, line, "METADATA brings a schema of its own.", instead)
        if said.get("entrypoint"):
            yield Problem(
                source.file, line, "METADATA makes an entrypoint.", "Remove it: decision.rego asks the rules."
            )
        if said.get("scope") == "subpackages":
            yield Problem(source.file, line, "METADATA is about packages below this one.", "Set `scope: package`.")
