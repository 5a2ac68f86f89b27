"""Mask: sensitive values never reach the log; a keyed commitment stands in their place (contracts, section 7).

Who holds the key can check that a masked value was this one; nobody else can even guess it. What is sensitive, the
labels of the approved definition say. A call whose tool is not in good standing has no labels: all its values go.
"""

import hashlib
import hmac
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct, field

from ..keyfile import kept_key
from ..query import canonical

SENSITIVE = frozenset({"secret", "personal", "payment"})
TAG = b"mcp-pdp/mask/v1\0"
MIN_COPY = 4  # shorter values are everywhere: searching for "1" would mask the whole record
MAX_SEARCHED = 64  # more masked values than this are not searched for one by one: then everything is masked
MAX_COPIED = 8  # nor are the copies of more than this cut out one by one: a hostile call could make that slow

CUT = "[masked]"

Prompt = Literal["full", "commitment", "none"]


class Spoken(Struct, frozen=True):
    """What came from the caller: the call's arguments, their parsed form, and the untrusted context."""

    arguments: dict[str, Any]
    parsed: dict[str, Any]
    context: dict[str, Any]


class Masked(Struct, frozen=True):
    """The same, fit for the log; `pointers` lead to what was masked or left out (RFC 6901, from here)."""

    spoken: Spoken
    pointers: list[str] = field(default_factory=list)


class Masker:
    """Masks with one key and one rule for prompts. Without its key nothing can be recorded."""

    def __init__(self, key_file: Path, prompt: Prompt = "full") -> None:
        """Read the key, making it (0600) the first time. Raises `Fault`."""
        self._key = kept_key(key_file, "mask key")
        self._prompt = prompt

    def commit(self, value: Any) -> dict[str, str]:
        """Return what stands for a masked value: HMAC-SHA-256 over its canonical JSON."""
        return {"$masked": self.seal(canonical(value))}

    def seal(self, data: bytes) -> str:
        """Return a keyed commitment to bytes, `hmac-sha256:` and hex."""
        return "hmac-sha256:" + hmac.new(self._key, TAG + data, hashlib.sha256).hexdigest()

    def mask(self, spoken: Spoken, labels: dict[str, list[str]] | None) -> Masked:
        """Mask what `labels` (of argument pointers; `None`: not known) call sensitive, wherever it appears again."""
        work = _Work(self, spoken)
        work.treat_prompt(self._prompt)
        for pointer in _sensitive(spoken, labels):
            work.mask_argument(pointer)
        work.mask_copies()
        return work.done()


class _Work:
    """The masking of one record: copies what it changes, so that the query itself stays as it is."""

    def __init__(self, masker: Masker, spoken: Spoken) -> None:
        self._masker = masker
        self._spoken = spoken
        self._arguments, self._parsed, self._context = spoken.arguments, spoken.parsed, spoken.context
        self._gone: list[Any] = []
        self._made: dict[int, Any] = {}  # our commitments by identity: what merely looks like one is searched too
        self._pointers: list[str] = []

    def treat_prompt(self, rule: Prompt) -> None:
        intent = self._context.get("intent")
        if rule == "full" or not isinstance(intent, dict) or "prompt" not in intent:
            return
        kept = {name: value for name, value in intent.items() if name != "prompt"}
        if rule == "commitment":
            kept["prompt"] = self._commit(intent["prompt"])
        self._context = self._context | {"intent": kept}
        self._pointers.append("/context/intent/prompt")

    def mask_argument(self, pointer: str) -> None:
        before = len(self._gone)
        self._arguments = self._replace(self._arguments, _steps(pointer))
        if len(self._gone) > before:
            self._pointers.append("/arguments" + pointer)
        for name, value in self._parsed.items():
            if _related(name, pointer):
                self._parsed = self._parsed | {name: self._commit(value)}
                self._pointers.append("/parsed/" + _escape(name))

    def mask_copies(self) -> None:
        texts = _texts(self._gone)
        if 0 < len(texts) <= MAX_SEARCHED:
            left = msgspec.json.encode((self._arguments, self._parsed, self._context))
            texts = {text for text in texts if msgspec.json.encode(text)[1:-1] in left}
        if len(texts) > MAX_COPIED:
            self._mask_everything()
        elif texts:
            longest_first = sorted(texts, key=len, reverse=True)
            self._arguments = self._scrub(self._arguments, "/arguments", longest_first)
            self._parsed = self._scrub(self._parsed, "/parsed", longest_first)
            self._context = self._scrub(self._context, "/context", longest_first)

    def done(self) -> Masked:
        return Masked(Spoken(self._arguments, self._parsed, self._context), sorted(set(self._pointers)))

    def _commit(self, value: Any) -> dict[str, str]:
        made = self._masker.commit(value)
        self._made[id(made)] = made
        return made

    def _mask_everything(self) -> None:
        self._arguments = {name: self._commit(value) for name, value in self._spoken.arguments.items()}
        self._parsed = {name: self._commit(value) for name, value in self._spoken.parsed.items()}
        self._context = self._commit(self._spoken.context)
        self._pointers = ["/arguments", "/parsed", "/context"]

    def _replace(self, value: Any, steps: list[str]) -> Any:
        if steps and isinstance(value, dict):
            if steps[0] not in value:
                return value
            return value | {steps[0]: self._replace(value[steps[0]], steps[1:])}
        if steps and isinstance(value, list) and steps[0].isdecimal() and int(steps[0]) < len(value):
            index = int(steps[0])
            return [*value[:index], self._replace(value[index], steps[1:]), *value[index + 1 :]]
        self._gone.append(value)  # also when the pointer leads further: better too much than the value in another shape
        return self._commit(value)

    def _scrub(self, value: Any, pointer: str, texts: list[str]) -> Any:
        if id(value) in self._made:
            return value
        if isinstance(value, dict):
            return {
                self._scrub_text(name, pointer, texts): self._scrub(item, f"{pointer}/{_escape(name)}", texts)
                for name, item in value.items()
            }
        if isinstance(value, list):
            return [self._scrub(item, f"{pointer}/{index}", texts) for index, item in enumerate(value)]
        if isinstance(value, str):
            return self._scrub_text(value, pointer, texts)
        if _text(value) in texts:
            self._pointers.append(pointer)
            return self._commit(value)
        return value

    def _scrub_text(self, value: str, pointer: str, texts: list[str]) -> str:
        for text in texts:
            if text in value:
                self._pointers.append(pointer)
                value = value.replace(text, CUT)
        return value


def without(value: Any, secret: str) -> Any:
    """Return a JSON value with every occurrence of `secret` cut out of its keys and texts."""
    if isinstance(value, dict):
        return {name.replace(secret, CUT): without(item, secret) for name, item in value.items()}
    if isinstance(value, list):
        return [without(item, secret) for item in value]
    return value.replace(secret, CUT) if isinstance(value, str) else value


def _sensitive(spoken: Spoken, labels: dict[str, list[str]] | None) -> list[str]:
    if labels is None:
        return ["/" + _escape(name) for name in spoken.arguments]
    marked = [pointer for pointer, names in labels.items() if not SENSITIVE.isdisjoint(names)]
    if "" in marked:  # the label of the whole
        return ["/" + _escape(name) for name in spoken.arguments]
    return marked


def _texts(values: list[Any]) -> set[str]:
    found: set[str] = set()
    stack = list(values)
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            stack += value.values()
        elif isinstance(value, list):
            stack += value
        elif len(text := _text(value)) >= MIN_COPY:
            found.add(text)
    return found


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if isinstance(value, bool) or value is None else str(value)


def _steps(pointer: str) -> list[str]:
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]


def _escape(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _related(one: str, other: str) -> bool:
    return one == other or one.startswith(other + "/") or other.startswith(one + "/")
