"""The safe form of rules: a conjunction of things that are there. Checked on OPA's own parse of each file.

In this form a fact that is missing can only make a rule fail. What could make it hold instead (`not`, `else`,
`default`, `every`, comprehensions, counting, ordering) is done by the words of `lib/`, which check types first and are
tested against null, true, [], {} and nothing. What is not named here is refused, so a newer Rego adds no way around.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

ASKED = {"permits": "applies", "guards": "holds", "gates": "open", "duties": "duty"}  # what a file of a folder defines
CONCERNS = "concerns"  # a permit that looks at arguments also says whether it concerns the caller at all
READABLE = {"config", "lib"}  # below data
BUILTINS = {
    *("assign", "equal", "internal.member_2", "internal.member_3"),  # :=  ==  in
    *("is_array", "is_boolean", "is_number", "is_object", "is_string"),
    *("startswith", "endswith", "lower", "upper", "concat"),
}
TESTS = {  # answer false as well as true, also about a fact of another type
    *("equal", "internal.member_2", "internal.member_3", "startswith", "endswith"),
    *("is_array", "is_boolean", "is_number", "is_object", "is_string"),
}
ARGUMENTS = {"arguments", "parsed", "context"}  # what only the call itself has
CLAIMED = "context"  # what the caller says about itself: it may raise friction, so no right rests on it
NEVER = "It is what the caller says about itself: no right and no duty rests on that."
RIGHTS = {ASKED["permits"], ASKED["duties"]}
TERMS = {"boolean", "number", "string", "var", "array", "object", "set", "ref", "call"}
EMPTY = "A comprehension is empty when the facts are missing."
STRANGE = {
    "null": "`null` is what a lost fact may look like.",
    **dict.fromkeys(("arraycomprehension", "setcomprehension", "objectcomprehension"), EMPTY),
}
INSTEAD = {
    "lt": "number.at_most, number.less, moment.before, clock.within",
    "lte": "number.at_most",
    "gt": "number.at_least, moment.before",
    "gte": "number.at_least",
    "neq": "a positive test, such as list.contains_none or text.differs",
    "eq": "== to compare, := to name",
    "count": "list.filled, list.empty",
    "minus": "list.contains_all, list.contains_none",
    "object.get": "the path itself",
}
SIGNS = {  # as authors write them
    "lt": "<",
    "lte": "<=",
    "gt": ">",
    "gte": ">=",
    "neq": "!=",
    "eq": "=",
    "minus": "-",
    "equal": "==",
    "internal.member_2": "in",
    "internal.member_3": "in",
}

Ast = dict[str, Any]


class Offence(NamedTuple):
    """A departure from the form: its line (0 when the parse carried none), what it is, and what to write instead."""

    line: int
    what: str
    instead: str


def offences(module: Ast, folder: str, stage: str | None) -> list[Offence]:
    """Return everything in a rule file of `folder` that is not in the safe form; `stage` is its METADATA's."""
    return list(_Reading(module, folder, stage).offences())


class _Reading:
    def __init__(self, module: Ast, folder: str, stage: str | None) -> None:
        self._rules = module.get("rules", [])
        self._imports = module.get("imports", [])
        self._asked = ASKED[folder]
        self._public = {self._asked, CONCERNS} if folder == "permits" else {self._asked}
        self._hidden = {"approval"}
        self._hidden |= {CLAIMED} if folder in {"permits", "duties"} else set()
        self._hidden |= ARGUMENTS if stage == "caller" else set()
        self._local = {rule["head"]["ref"][0]["value"] for rule in self._rules}
        self._alias = {_alias(entry): [part["value"] for part in entry["path"]["value"]] for entry in self._imports}
        self._wants_concerns = folder == "permits" and stage == "call"

    def offences(self) -> Iterator[Offence]:
        for entry in self._imports:
            yield from self._path(self._alias[_alias(entry)], _line(entry["path"], 0))
        for rule in self._rules:
            yield from self._rule(rule)
        if self._asked not in self._local:
            yield Offence(0, f"The file does not define `{self._asked}`.", f"Write `{self._asked} if ...`.")
        if self._wants_concerns and CONCERNS not in self._local:
            instead = "Write `concerns if ...`: whom and which tool it is about, whatever the arguments."
            yield Offence(0, f"A permit of stage call lacks `{CONCERNS}`.", instead)
        if not self._wants_concerns and CONCERNS in self._local:
            yield Offence(0, f"Only a permit of stage call defines `{CONCERNS}`.", "Remove it, or correct the stage.")

    def _rule(self, rule: Ast) -> Iterator[Offence]:
        head, line = rule["head"], _line(rule["head"], _line(rule, 0))
        name = head["ref"][0]["value"]
        if rule.get("default"):
            yield Offence(line, "`default` makes a rule answer when nothing is known.", "Leave it undefined.")
        if "else" in rule:
            yield Offence(line, "`else` answers when the first test failed.", "Write two rules, each with its test.")
        if "key" in head or len(head["ref"]) > 1:
            yield Offence(
                line, "A rule that collects values answers when there are none.", "Write a rule with one value."
            )
        if not name.startswith("_"):
            yield from self._public_head(name, head, line)
        for part in (head.get("value"), *head.get("args", [])):
            yield from self._term(part, line)
        for expression in rule.get("body", []):
            yield from self._expression(expression, line)

    def _public_head(self, name: str, head: Ast, line: int) -> Iterator[Offence]:
        if name not in self._public:
            yield Offence(line, f"`{name}` is asked by nobody.", f"Name it `{self._asked}`, or, as a part, `_{name}`.")
        elif "args" in head:
            yield Offence(line, f"`{name}` is a function, and nobody passes it arguments.", "Read `input`.")
        elif name != ASKED["duties"] and head.get("value", {}).get("value") is not True:
            yield Offence(line, f"`{name}` answers something other than true.", f"Write `{name} if ...`.")

    def _expression(self, expression: Ast, line: int) -> Iterator[Offence]:
        line = _line(expression, line)
        if expression.get("negated"):
            instead = "Say what must be there, with a word of lib such as list.contains_none."
            yield Offence(line, "`not` holds when the fact is missing.", instead)
        if "with" in expression:
            yield Offence(line, "`with` replaces the facts of the call.", "Remove it.")
        terms = expression["terms"]
        if isinstance(terms, list):
            yield from self._call(terms, line)
        elif "domain" in terms:
            yield Offence(line, "`every` holds when there is nothing to look at.", "Use a word of lib.")
        elif "symbols" in terms:
            for symbol in terms["symbols"]:
                yield from self._symbol(symbol, line)
        else:
            yield from self._term(terms, line)

    def _term(self, term: Ast | None, line: int) -> Iterator[Offence]:
        if term is None:
            return
        line, kind, value = _line(term, line), term["type"], term.get("value") or []
        if kind not in TERMS:
            yield Offence(line, STRANGE.get(kind, f"`{kind}`."), "Use a word of lib, or say what must be there.")
        elif kind == "call":
            yield from self._value(value, line)
            yield from self._call(value, line)
        elif kind == "ref":
            yield from self._ref(value, line)
        elif kind == "var" and value in {"input", "data"}:
            yield Offence(line, f"`{value}` as a whole hides which fact is read.", "Name the fact.")
        elif kind in {"array", "set"}:
            for item in value or []:
                yield from self._term(item, line)
        elif kind == "object":
            for pair in value or []:
                yield from self._term(pair[0], line)
                yield from self._term(pair[1], line)

    def _symbol(self, symbol: Ast, line: int) -> Iterator[Offence]:
        """Read what follows `some`: names, or `x in xs`, which is a call that answers for itself."""
        if symbol["type"] == "call":
            yield from self._call(symbol["value"], _line(symbol, line))
        else:
            yield from self._term(symbol, line)

    def _value(self, terms: list[Ast], line: int) -> Iterator[Offence]:
        """Refuse a test whose answer is used as a value: `(x in banned) == false` holds for whatever x is not text."""
        name = ".".join(str(part["value"]) for part in terms[0]["value"])
        if name in TESTS:
            what = f"`{SIGNS.get(name, name)}` as a value is false also for a fact of another type."
            yield Offence(line, what, "Let it stand alone, and say what must be there: text.one_of, text.differs.")

    def _call(self, terms: list[Ast], line: int) -> Iterator[Offence]:
        operator = terms[0]["value"]
        path = [part["value"] for part in operator]
        if path[0] in self._alias or path[0] == "data":
            yield from self._path([*self._alias.get(path[0], ["data"]), *path[1:]], line)
        elif path[0] not in self._local and ".".join(map(str, path)) not in BUILTINS:
            name = ".".join(map(str, path))
            instead = f"Use {INSTEAD.get(name, 'a word of lib')}."
            yield Offence(line, f"`{SIGNS.get(name, name)}` is not in the safe form.", instead)
        for term in terms[1:]:
            yield from self._term(term, line)

    def _ref(self, parts: list[Ast], line: int) -> Iterator[Offence]:
        root = parts[0]
        names = [part["value"] if part["type"] == "string" else None for part in parts[1:]]
        if root["type"] != "var":
            yield from self._term(root, line)
        elif root["value"] == "input":
            yield from self._input(names, line)
        elif root["value"] == "data":
            yield from self._path(["data", *names], line)
        for part in parts[1:]:
            yield from self._term(part, line)

    def _input(self, names: list[Any], line: int) -> Iterator[Offence]:
        if not names or names[0] is None:
            yield Offence(line, "`input` as a whole hides which fact is read.", "Name the fact: input.caller.person.")
        elif names[0] == "approval":
            yield Offence(line, "Approvals are looked at by decision.rego alone.", "Remove it: a gate opens by itself.")
        elif names[0] in self._hidden:
            what = f"`input.{names[0]}` may not be read here."
            yield Offence(line, what, NEVER if names[0] == CLAIMED and self._asked in RIGHTS else "Set `stage: call`.")

    def _path(self, names: list[Any], line: int) -> Iterator[Offence]:
        if names == ["rego", "v1"]:
            return
        if names[0] != "data" or len(names) < 2 or names[1] not in READABLE:  # noqa: PLR2004  # data and a name
            what = "Rules read input, data.config and data.lib."
            yield Offence(line, what, "Ask no other rule; put values into config.yaml.")


def _alias(entry: Ast) -> str:
    return str(entry.get("alias") or entry["path"]["value"][-1]["value"])


def _line(node: Ast, otherwise: int) -> int:
    return int(node.get("location", {}).get("row", otherwise))
