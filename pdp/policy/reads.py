"""What a rule reads: facts of the input and values of config, from OPA's parse of its file and of the words it uses.

A read is followed wherever the rule takes it: into its own `_parts`, through a name (`some held in ...`), and into the
words of lib/ it is passed to. So `caller.person.entitlements.*.expires_at` is found where the rule says `held`.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from .form import ASKED, Ast

EACH = "*"  # a step to every member of a list or object
INPUT, CONFIG = "input", "config"
NAMING = {"assign", "eq"}  # `x := ...`, and the unification that OPA's parse of `some` may hold


class Place(NamedTuple):
    """Somewhere in the input or in config. A step is a name, `EACH`, or, in config, the fact whose value names it."""

    root: str
    steps: tuple[Any, ...]

    def to(self, *steps: Any) -> "Place":
        """Return the place further down."""
        return Place(self.root, self.steps + steps)


class Reads(NamedTuple):
    """All that a rule looks at, sorted: paths into the input, places in config, and values in its own text.

    `words`: the files of lib/ it is written in, by code.
    """

    facts: tuple[tuple[str, ...], ...]
    values: tuple[Place, ...]
    literals: tuple[Any, ...] = ()
    words: tuple[str, ...] = ()


Names = dict[str, Place | None]  # what the names of a body stand for; None: something made, not read


def reads_of(code: str, modules: Mapping[str, Ast]) -> Reads:
    """Return what the rule `code` reads; `modules` are parses by code, of the rules and of the words of lib/."""
    walk = _Walk(modules, code)
    walk.follow(code, ASKED[code.split(".", maxsplit=1)[0]], ())
    facts = {place.steps for place in walk.found if place.root == INPUT}
    values = {place for place in walk.found if place.root == CONFIG}
    return Reads(
        facts=tuple(sorted(facts)),
        values=tuple(sorted(values, key=repr)),
        literals=tuple(sorted(walk.literals, key=repr)),
        words=tuple(sorted(walk.files - {code})),
    )


class _Walk:
    def __init__(self, modules: Mapping[str, Ast], code: str) -> None:
        self.found: set[Place] = set()
        self.literals: set[Any] = set()
        self._code = code
        self._modules = modules
        self._done: set[tuple[str, str, tuple[Place | None, ...]]] = set()

    @property
    def files(self) -> set[str]:
        return {code for code, _, _ in self._done}

    def follow(self, code: str, name: str, given: tuple[Place | None, ...]) -> None:
        """Read every rule `name` of a file, called with what `given` says about its arguments."""
        if code not in self._modules or (code, name, given) in self._done:
            return
        self._done.add((code, name, given))
        file = _File(code, self._modules[code])
        for rule in file.rules(name):
            parameters = rule["head"].get("args", [])
            names: Names = {}
            for parameter, place in zip(parameters, given, strict=False):
                if parameter["type"] == "var":
                    names[parameter["value"]] = place
                else:  # a pattern: the argument is compared with it
                    self._read(place)
            self._body(rule.get("body", []), names, file)
            self._term(rule["head"].get("value"), names, file)

    def _body(self, body: list[Ast], names: Names, file: "_File") -> None:
        for expression in sorted(body, key=_names_nothing):  # a body may use a name above the line that gives it
            terms = expression["terms"]
            if isinstance(terms, list):
                self._call(terms, names, file)
            elif "domain" in terms:
                self._every(terms, names, file)
            elif "symbols" in terms:
                for symbol in terms["symbols"]:
                    self._term(symbol, names, file)
            else:
                self._term(terms, names, file)

    def _every(self, terms: Ast, names: Names, file: "_File") -> None:
        inner = names | self._member(terms["value"], terms["domain"], names, file)
        if terms.get("key"):
            inner |= _named(terms["key"], None)
        self._body(terms["body"], inner, file)

    def _member(self, name: Ast, of: Ast, names: Names, file: "_File") -> Names:
        whole = self._place(of, names, file)
        if whole is None:
            self._term(of, names, file)
            return _named(name, None)
        if name["type"] != "var":
            self._read(whole)
            return {}
        return _named(name, whole.to(EACH))

    def _call(self, terms: list[Ast], names: Names, file: "_File") -> None:
        operator, arguments = file.path(terms[0]["value"]), terms[1:]
        if operator[0] in NAMING and arguments[0]["type"] == "var" and arguments[0]["value"] not in names:
            place = self._place(arguments[1], names, file)
            if place is None:
                self._term(arguments[1], names, file)
            names |= _named(arguments[0], place)
        elif operator[0] == "internal":
            self._among(arguments, names, file)
        elif word := file.word(operator):
            places = tuple(self._place(argument, names, file) for argument in arguments)
            for argument, place in zip(arguments, places, strict=True):
                if place is None:
                    self._term(argument, names, file)
            self.follow(*word, places)
        else:
            for argument in arguments:
                self._term(argument, names, file)

    def _among(self, arguments: list[Ast], names: Names, file: "_File") -> None:
        """`x in xs`, `some x in xs`, `some key, x in xs`: a name that is not known yet stands for each member."""
        *first, item, whole = arguments
        if item["type"] == "var" and item["value"] not in names and not file.rules(item["value"]):
            names |= self._member(item, whole, names, file)
        else:
            self._term(item, names, file)
            self._term(whole, names, file)
        for key in first:
            names |= _named(key, None)

    def _term(self, term: Ast | None, names: Names, file: "_File") -> None:
        """Note everything a term reads."""
        if term is None:
            return
        kind: str = term["type"]
        value: Any = term.get("value")
        if kind in {"string", "number"} and file.code == self._code:
            self.literals.add(value)
        elif kind in {"var", "ref"}:
            self._read(self._place(term, names, file))
        elif kind == "call":
            self._call(value, names, file)
        elif kind.endswith("comprehension"):
            inner = dict(names)
            self._body(value["body"], inner, file)
            for part in ("key", "value", "term"):
                self._term(value.get(part), inner, file)
        elif kind in {"array", "set", "object"}:
            for item in value or ():
                for part in item if kind == "object" else (item,):
                    self._term(part, names, file)

    def _place(self, term: Ast, names: Names, file: "_File") -> Place | None:
        """Return the place a term stands for; follows what it needs to get there, and reads the steps of its path."""
        if term["type"] == "var":
            return self._start(term["value"], (), names, file)[0]
        if term["type"] != "ref" or term["value"][0]["type"] != "var":
            for part in term["value"] if term["type"] == "ref" else []:
                self._term(part, names, file)
            return None
        root, *parts = term["value"]
        place, rest = self._start(root["value"], tuple(parts), names, file)
        for number, part in enumerate(rest):
            if part["type"] == "string":
                place = place and place.to(part["value"])
                continue
            step = self._place(part, names, file)
            self._read(step)
            if place is None:
                continue
            if place.root == INPUT:  # which member is known only when it runs: all of them may matter
                for later in rest[number + 1 :]:
                    self._term(later, names, file)
                return place if step is not None else place.to(EACH)
            place = place.to(step if step is not None and step.root == INPUT else EACH)
        return place

    def _start(
        self, name: str, parts: tuple[Ast, ...], names: Names, file: "_File"
    ) -> tuple[Place | None, tuple[Ast, ...]]:
        """Return where a path begins and the parts that are left of it."""
        if name in names:
            return names[name], parts
        if name == INPUT:
            return Place(INPUT, ()), parts
        path, alias = file.path([{"type": "var", "value": name}, *parts]), file.alias(name)
        if path[:2] == ["data", CONFIG]:
            return Place(CONFIG, tuple(alias[2:])), parts[max(0, 2 - len(alias)) :]
        if word := file.word(path):
            self.follow(*word, ())
        return None, parts

    def _read(self, place: Place | None) -> None:
        if place is not None and place.steps:
            self.found.add(place)


class _File:
    """One parsed file: its rules by name, and what its imports call things."""

    def __init__(self, code: str, module: Ast) -> None:
        self.code = code
        self._rules = module.get("rules", [])
        self._imports = {
            _alias(entry): [part["value"] for part in entry["path"]["value"]] for entry in module_imports(module)
        }

    def rules(self, name: str) -> list[Ast]:
        return [rule for rule in _with_else(self._rules) if rule["head"]["ref"][0]["value"] == name]

    def alias(self, name: str) -> list[str]:
        return self._imports.get(name, [name])

    def path(self, parts: list[Ast]) -> list[Any]:
        """Return a path with its import put in place: `number.at_most` is data.lib.number.at_most."""
        first, *rest = (part["value"] for part in parts)
        return [*self.alias(first), *rest]

    def word(self, path: list[Any]) -> tuple[str, str] | None:
        """Return the file and the name of a rule or function that a path leads to, in this file or in lib/."""
        if path[:2] == ["data", "lib"] and len(path) > 3:  # noqa: PLR2004  # data, lib, file, name
            return f"lib.{path[2]}", str(path[3])
        return (self.code, str(path[0])) if self.rules(path[0]) else None


def module_imports(module: Ast) -> list[Ast]:
    """Return the imports of a parsed file, those of the language itself left out."""
    return [entry for entry in module.get("imports", []) if entry["path"]["value"][0]["value"] == "data"]


def _names_nothing(expression: Ast) -> bool:
    terms = expression["terms"]
    return terms[0]["value"][0]["value"] not in NAMING if isinstance(terms, list) else "symbols" not in terms


def _with_else(rules: list[Ast]) -> Iterator[Ast]:
    for rule in rules:
        yield rule
        if "else" in rule:
            yield from _with_else([rule["else"]])


def _alias(entry: Ast) -> str:
    return str(entry.get("alias") or entry["path"]["value"][-1]["value"])


def _named(name: Ast, place: Place | None) -> Names:
    return {name["value"]: place} if name["type"] == "var" else {}
