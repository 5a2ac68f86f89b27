"""Finds a stock OPA that is new enough: the one that is named, the one in the cache, or the one on PATH."""

import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from ..errors import Fault

ANSWERS_WITHIN = 20  # seconds for `opa version`: 0.05 is usual, a cold disk under load takes longer

Version = tuple[int, int, int]


class Tool(NamedTuple):
    """A Go program we use: the version we build, the range we accept (`minimum` <= version < `below`)."""

    name: str
    pinned: Version
    minimum: Version
    below: Version
    module: str
    variable: str  # named by -X at link time, for a program that does not know its version otherwise; or empty


# 1.17 and 1.18 leaked memory; the capabilities file is written for 1.22; a 2.x may read Rego differently.
OPA = Tool("opa", (1, 22, 2), (1, 22, 0), (2, 0, 0), "github.com/open-policy-agent/opa", "")
# The rules and their configuration belong to one minor version.
REGAL = Tool(
    "regal",
    (0, 42, 0),
    (0, 42, 0),
    (0, 43, 0),
    "github.com/open-policy-agent/regal",
    "github.com/open-policy-agent/regal/pkg/version.Version",
)


class Places(NamedTuple):
    """Where to look: the file an operator named (it must be good), the cache, and PATH in `environ`."""

    named: Path | None
    cache: Path
    environ: Mapping[str, str]

    def which(self, program: str) -> Path | None:
        """Return the first `program` on PATH."""
        path = shutil.which(program, path=self.environ.get("PATH", ""))
        return Path(path) if path else None


class Found(NamedTuple):
    """A program that was run and said its version. `how` completes the sentence "it is ..."."""

    path: Path
    version: str
    how: str


def places(tool: Tool, environ: Mapping[str, str], named: Path | None = None) -> Places:
    """Read the places from the environment: PDP_OPA_BINARY (or `named`), PDP_CACHE_DIR, HOME and PATH."""
    variable = environ.get(f"PDP_{tool.name.upper()}_BINARY")
    cache = environ.get("PDP_CACHE_DIR") or Path(environ.get("HOME") or Path.home(), ".cache", "mcp-pdp")
    return Places(named or (Path(variable) if variable else None), Path(cache), environ)


def find(tool: Tool, where: Places) -> Found:
    """Return the program to run. Raises `Fault` with everything that was tried and what to do.

    A named file that is no good is an error, never a reason to look elsewhere.
    """
    if where.named:
        return checked(tool, where.named, "named by the operator")
    wrong = []
    for path, how in _candidates(tool, where):
        try:
            return checked(tool, path, how)
        except Fault as fault:
            wrong.append(str(fault))
    tried = " ".join(wrong) or f"There is none in {where.cache} or on PATH."
    raise Fault(f"No {tool.name} {dotted(tool.minimum)} or newer was found. {tried} {remedy(tool)}")


def checked(tool: Tool, path: Path, how: str) -> Found:
    """Run `path` and return it when its version is accepted. Raises `Fault` otherwise."""
    version = version_of(path)
    if not tool.minimum <= version < tool.below:
        accepted = f"at least {dotted(tool.minimum)} and below {dotted(tool.below)}"
        raise Fault(f"{path} ({how}) is {tool.name} {dotted(version)}; it must be {accepted}.")
    return Found(path.absolute(), dotted(version), how)


def version_of(path: Path) -> Version:
    """Ask a program for its version (`PROGRAM version`). Raises `Fault` when it is not a release that says so."""
    try:
        done = subprocess.run([path, "version"], capture_output=True, text=True, timeout=ANSWERS_WITHIN, check=True)
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError) as error:
        raise Fault(f"{path} cannot be used: {error}.") from None
    said = re.search(r"^Version:\s+v?(\d+)\.(\d+)\.(\d+)$", done.stdout, re.MULTILINE)
    if said is None:
        raise Fault(f"{path} cannot be used: `{path.name} version` names no release.")
    major, minor, patch = map(int, said.groups())
    return major, minor, patch


def dotted(version: Version) -> str:
    """Return `1.22.2`."""
    return ".".join(map(str, version))


def remedy(tool: Tool) -> str:
    """Say what an operator can do when there is no good program."""
    if tool is OPA:
        return (
            "Run `pdp opa install` (builds it with Go, from a checkout), `pdp opa install --download` (fetches the "
            "official release), or set PDP_OPA_BINARY to an OPA you have."
        )
    return "From a checkout, with Go on PATH, run `pdp opa install --regal`; or set PDP_REGAL_BINARY."


def _candidates(tool: Tool, where: Places) -> Iterator[tuple[Path, str]]:
    cached = where.cache.glob(f"{tool.name}-*/{tool.name}")
    pinned = f"{tool.name}-{dotted(tool.pinned)}"
    for path in sorted(cached, key=lambda path: (path.parent.name != pinned, path.parent.name)):
        yield path, "in the cache"
    if on_path := where.which(tool.name):
        yield on_path, "on PATH"
