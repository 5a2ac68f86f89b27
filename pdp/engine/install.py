"""Puts a good OPA (or Regal) into the cache: a copy of one that is there, a build by Go, or the official release."""

import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from ..errors import Fault
from ..net import download, fetch_text
from .binary import OPA, Found, Places, Tool, checked, dotted, find, remedy

TOOLS = Path(__file__).resolve().parents[2] / "tools"  # in a checkout; a wheel does not carry it
RELEASES = "https://github.com/open-policy-agent/opa/releases/download"
BUILDS_WITHIN = 1800  # seconds; 70 were measured on two cores, a small machine with a slow network takes longer
CHECKSUM_FILE_LIMIT = 1024  # bytes; it holds 64 hex digits and a name
ASSETS = {  # (system, machine) -> the name of OPA's release for it; static where there is a static one
    ("linux", "x86_64"): "opa_linux_amd64_static",
    ("linux", "aarch64"): "opa_linux_arm64_static",
    ("darwin", "x86_64"): "opa_darwin_amd64",
    ("darwin", "arm64"): "opa_darwin_arm64_static",
}


class Voice(NamedTuple):
    """How to tell a person: `say` a sentence that stays, `doing` (what, bytes done, of how many) that is replaced."""

    say: Callable[[str], None]
    doing: Callable[[str, int | None, int | None], None]


def install(tool: Tool, where: Places, voice: Voice, *, allow_download: bool, releases: str = RELEASES) -> Found:
    """Make sure that the cache holds a good `tool` and return it. Raises `Fault` saying what to do.

    Taken from what is named, cached or on PATH, in this order; else built by Go from our pinned and checksummed
    modules; else, if allowed, downloaded from `releases`.
    """
    try:
        return keep(tool, find(tool, where), where.cache, voice)
    except Fault as fault:
        if where.named:
            raise
        voice.say(str(fault).removesuffix(remedy(tool)).strip())
    try:
        return build(tool, where, voice)
    except Fault as fault:
        if not (allow_download and tool is OPA):
            raise
        voice.say(str(fault))
    return fetch(where.cache, voice, releases)


def keep(tool: Tool, found: Found, cache: Path, voice: Voice) -> Found:
    """Copy a good program into the cache, so that an upgrade of the original does not change what we run."""
    if found.path.is_relative_to(cache.absolute()):
        voice.say(f"{tool.name} {found.version} is in the cache already: {found.path}")
        return found
    with _fresh(cache) as folder:
        shutil.copy(found.path, folder / tool.name)
        kept = _put(tool, folder, cache)
    voice.say(f"{tool.name} {found.version} was copied from {found.path} ({found.how}) to {kept.path}")
    return kept


def build(tool: Tool, where: Places, voice: Voice) -> Found:
    """Build the pinned version with Go from tools/<name>/go.mod, whose go.sum holds the checksum of every module."""
    source = TOOLS / tool.name
    go = where.which("go")
    if not (source / "go.sum").is_file():
        raise Fault(f"{tool.name} cannot be built: {source} is not there (this is no checkout). {remedy(tool)}")
    if go is None:
        raise Fault(f"{tool.name} cannot be built: there is no Go on PATH. {remedy(tool)}")
    voice.doing(f"Building {tool.name} {dotted(tool.pinned)} with {go}; the first time takes minutes", None, None)
    with _fresh(where.cache) as folder:
        _go_install(go, tool, source, {**where.environ, "GOBIN": str(folder), "CGO_ENABLED": "0"})
        built = _put(tool, folder, where.cache)
    voice.say(f"{tool.name} {built.version} was built with {go} from {source}/go.mod: {built.path}")
    return built


def fetch(cache: Path, voice: Voice, releases: str = RELEASES) -> Found:
    """Download OPA's official release and check it against the SHA-256 published beside it."""
    asset = ASSETS.get((sys.platform, platform.machine().lower().replace("amd64", "x86_64")))
    if asset is None:
        raise Fault(f"OPA publishes no release for {sys.platform} on {platform.machine()}. {remedy(OPA)}")
    url = f"{releases}/v{dotted(OPA.pinned)}/{asset}"
    published = fetch_text(f"{url}.sha256", CHECKSUM_FILE_LIMIT).split()
    if not published or not re.fullmatch("[0-9a-fA-F]{64}", published[0]):
        raise Fault(f"{url}.sha256 holds no SHA-256: check by hand what is published there.")
    with _fresh(cache) as folder:
        target = folder / OPA.name
        download(url, target, published[0], lambda done, total: voice.doing(f"Downloading {url}", done, total))
        fetched = _put(OPA, folder, cache)
    voice.say(
        f"opa {fetched.version} was downloaded from {url} and has the SHA-256 published beside it, {published[0]}: "
        f"{fetched.path}. That guards against damage; who could forge the release could forge its checksum."
    )
    return fetched


def _go_install(go: Path, tool: Tool, source: Path, environ: Mapping[str, str]) -> None:
    stamp = f" -X {tool.variable}={dotted(tool.pinned)}" if tool.variable else ""
    command = [str(go), "install", "-trimpath", f"-ldflags=-s -w{stamp}", "tool"]
    try:
        subprocess.run(command, cwd=source, env=environ, capture_output=True, timeout=BUILDS_WITHIN, check=True)
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip()[-1000:]
        raise Fault(f"Go could not build {tool.name}: {said}\n{remedy(tool)}") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Fault(f"Go could not build {tool.name}: {error}. {remedy(tool)}") from None


def _put(tool: Tool, folder: Path, cache: Path) -> Found:
    """Move a new program to its place in the cache, in one step, once it has been run and said its version."""
    new = folder / tool.name
    new.chmod(0o755)
    found = checked(tool, new, "new")
    target = cache.absolute() / f"{tool.name}-{found.version}" / tool.name
    target.parent.mkdir(exist_ok=True)
    new.replace(target)
    return found._replace(path=target, how="in the cache")


@contextmanager
def _fresh(cache: Path) -> Iterator[Path]:
    """Yield a folder that is on the cache's disk and gone afterwards. Raises `Fault` when the disk refuses."""
    try:
        cache.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(prefix=".new-", dir=cache) as folder:
            yield Path(folder)
    except OSError as error:
        raise Fault(f"{cache} cannot be written ({error}): set PDP_CACHE_DIR to a folder that can.") from None
