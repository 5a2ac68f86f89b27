"""The OPA binary as a compiler: check, parse, inspect. Nothing from the environment may add a flag.

What concerns one file by itself is remembered from one build to the next: a live policy is built again for one changed
file of fifty, under load, and a run of OPA over all of them costs four times as much as over one.
"""

import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..engine import ENTRYPOINTS
from ..errors import Fault
from .advice import Words, advise, words_of
from .archive import MODULE, read_archive
from .problem import PackRefused, Problem

WITHIN_S = 30  # for each run, 0.05 s are usual; a loaded machine takes longer
SAID = re.compile(r"(?P<file>[\w./-]+\.rego):(?P<line>\d+): (?:\w+: )?(?P<what>.+)")
BARE = {"GOGC": "off", "GOMEMLIMIT": "512MiB"}  # a run is too short to tidy up: a build takes 71 ms of CPU, not 115
PARSE = "package parse\n\nmodules[path] := rego.parse_module(path, text) if some path, text in input\n"


Annotated = dict[str, Any]  # as `opa inspect` gives it: the annotations, where they stand, and what they are about


@lru_cache(maxsize=2)
def compiler_of(opa: Path) -> "Compiler":
    """Return the compiler of this process that runs the binary `opa`, with what it remembers."""
    return Compiler(opa)


class Compiler:
    """Runs one OPA binary on the files of a build folder."""

    def __init__(self, opa: Path) -> None:
        self._opa = opa.absolute()
        self._parsed: dict[str, dict[str, Any]] = {}  # by text: of the last call, so no more than one policy
        self._annotated: dict[tuple[str, str], list[Annotated]] = {}  # by path and text, likewise

    def check(self, folder: Path, capabilities: Path, names: dict[str, str]) -> None:
        """Type-check `bundle` and `laws` below `folder` against its `schemas`.

        Raises `PackRefused`; `names` are what authors call the files of the bundle, by their path in it.
        """
        flags = ("--strict", "--format", "json", "--max-errors", "50", "--schema", "schemas")
        done = self._run(("check", *flags, "--capabilities", str(capabilities), "bundle", "laws"), folder)
        if done.returncode:
            raise PackRefused(_problems(done, names, words_of(folder / "bundle" / "lib")))

    def parse(self, texts: Mapping[str, str], folder: Path) -> dict[str, dict[str, Any]]:
        """Return OPA's parse of each text, by its name, without locations; one run for all that are new."""
        known = self._parsed
        new = {name: text for name, text in texts.items() if text not in known}
        fresh = self._parse(new, folder) if new else {}
        found = {name: fresh[name] if name in fresh else known[text] for name, text in texts.items()}
        self._parsed = {text: found[name] for name, text in texts.items()}
        return found

    def _parse(self, texts: dict[str, str], folder: Path) -> dict[str, dict[str, Any]]:
        module = folder / "parse.rego"
        module.write_text(PARSE)
        arguments = ("eval", "--format", "raw", "--data", str(module), "--stdin-input", "data.parse.modules")
        parsed = self._answer(self._run(arguments, folder, json.dumps(texts)))
        if parsed.keys() != texts.keys():
            raise Fault(f"{self._opa} parsed {len(parsed)} of {len(texts)} policy files: check that it is a stock OPA.")
        return parsed

    def locate(self, file: Path) -> dict[str, Any]:
        """Return OPA's parse of one file, with locations."""
        return self._answer(
            self._run(("parse", "--format", "json", "--json-include", "locations", file.name), file.parent)
        )

    def annotations(self, texts: Mapping[str, str], folder: Path) -> list[Annotated]:
        """Return the METADATA in each text, given by its path; those that are new are written below `folder`."""
        known = self._annotated
        new = {path: text for path, text in texts.items() if (path, text) not in known}
        fresh: dict[str, list[Annotated]] = {path: [] for path in new}
        for said in self._inspect(new, folder) if new else ():
            fresh[str(said["location"]["file"]).removeprefix("./")].append(said)
        found = {(path, text): fresh.get(path) or known.get((path, text), []) for path, text in texts.items()}
        self._annotated = found
        return [said for listed in found.values() for said in listed]

    def _inspect(self, texts: Mapping[str, str], folder: Path) -> list[Annotated]:
        for path, text in texts.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, "utf-8")
        found: list[Annotated] | None = self._answer(
            self._run(("inspect", "--annotations", "--format", "json", "."), folder)
        ).get("annotations")
        return found or []

    def compile(self, folder: Path, capabilities: Path, target: Path) -> bytes:
        """Return the rules of `folder` as a WebAssembly module that answers every entrypoint; `target` is written."""
        flags = ("--target", "wasm", "--capabilities", str(capabilities), "--output", str(target))
        asked = [f"--entrypoint={entrypoint}" for entrypoint in ENTRYPOINTS]
        done = self._run(("build", *flags, *asked, "."), folder)
        if done.returncode:
            raise Fault(f"OPA could not compile the rules to WebAssembly: {done.stderr.strip()}")
        return read_archive(target)[MODULE]

    def test(self, folder: Path, capabilities: Path, names: dict[str, str]) -> list[dict[str, Any]]:
        """Run the tests below `folder` and return what came of each. Raises `PackRefused` when they do not compile."""
        done = self._run(("test", "--format", "json", "--capabilities", str(capabilities), "."), folder)
        try:
            results: list[dict[str, Any]] = json.loads(done.stdout or "null") or []
        except ValueError:
            results = []
        if not results and done.stderr.strip():
            raise PackRefused(_said(done.stderr, names))
        return results

    def coverage(self, folder: Path, capabilities: Path) -> dict[str, Any]:
        """Return which lines the tests below `folder`, which pass, reach."""
        flags = ("--coverage", "--format", "json", "--capabilities", str(capabilities))
        return self._answer(self._run(("test", *flags, "."), folder))

    def unformatted(self, folder: Path, paths: Sequence[str]) -> list[str]:
        """Return those of `paths` (below `folder`) that `opa fmt` would write otherwise."""
        return self._run(("fmt", "--list", *paths), folder).stdout.split() if paths else []

    def _run(self, arguments: Sequence[str], folder: Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
        command = [str(self._opa), *arguments]
        try:
            return subprocess.run(
                command,
                cwd=folder,
                env=BARE,
                input=stdin,
                capture_output=True,
                text=True,
                timeout=WITHIN_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Fault(f"{self._opa} could not be run ({error}): see `pdp opa path`.") from None

    def _answer(self, done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = json.loads(done.stdout)
        except ValueError:
            raise Fault(f"{' '.join(done.args[:2])} failed: {done.stderr.strip() or done.stdout[:500]}") from None
        return answer


def _problems(done: subprocess.CompletedProcess[str], names: dict[str, str], words: Words) -> list[Problem]:
    try:
        errors = json.loads(done.stdout or done.stderr)["errors"]
    except (ValueError, KeyError, TypeError):
        return [Problem("opa check", 0, done.stderr.strip() or done.stdout.strip(), "")]
    return [_problem(error, names, words) for error in errors]


def _said(stderr: str, names: dict[str, str]) -> list[Problem]:
    """Read `1 error occurred: guards/x_test.rego:5: rego_type_error: ...`, or a list of such lines."""
    found = [
        Problem(
            names.get(said["file"], said["file"]),
            int(said["line"]),
            f"{said['what'].rstrip('.')}.",
            advise(said["what"], (), {}),
        )
        for said in SAID.finditer(stderr)
    ]
    return found or [Problem("opa test", 0, stderr.strip(), "")]


def _problem(error: dict[str, Any], names: dict[str, str], words: Words) -> Problem:
    location = error.get("location") or {}
    file = str(location.get("file", "opa check")).removeprefix("bundle/")
    known = (error.get("details") or {}).get("oneOf") or []
    instead = advise(error["message"], known, words)
    return Problem(names.get(file, file), location.get("row", 0), f"{error['message']}.", instead)
