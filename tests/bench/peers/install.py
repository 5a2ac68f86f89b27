"""Installs the peers into `build/bench/peers`, from public package registries, pinned and checked by hash."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from ..load import CHECKOUT

HERE = Path(__file__).parent
FOLDER = CHECKOUT / "build" / "bench" / "peers"
WITHIN = 600.0  # seconds for one installation
SAID = 200  # characters of what an installer said when it failed


class NotInstalled(Exception):
    """A peer that cannot be installed here, and why: it is left out and that is said."""


def cerbos() -> Path:
    """Return the program of Cerbos. Raises `NotInstalled`."""
    home = FOLDER / "npm"
    if _is_stale(home, "package-lock.json"):
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, home / name)
        _run(["npm", "ci", "--ignore-scripts", "--no-fund", "--no-audit"], home)
        _settle(home, "package-lock.json")
    found = sorted(home.glob("node_modules/@cerbos/*/cerbos-*"))
    if not found:
        raise NotInstalled("npm has no Cerbos for this kind of machine")
    return found[0]


def eunomia() -> Path:
    """Return the command of Eunomia. Raises `NotInstalled`."""
    home = FOLDER / "eunomia"
    if _is_stale(home, "requirements.txt"):
        _run([sys.executable, "-m", "venv", str(home / "venv")], home)
        pip = [str(home / "venv" / "bin" / "pip"), "install", "--quiet", "--require-hashes"]
        _run([*pip, "-r", str(HERE / "requirements.txt")], home)
        _settle(home, "requirements.txt")
    return home / "venv" / "bin" / "eunomia"


def _is_stale(home: Path, lock: str) -> bool:
    home.mkdir(parents=True, exist_ok=True)
    stamp = home / "installed"
    return not stamp.exists() or stamp.read_text() != _digest(lock)


def _settle(home: Path, lock: str) -> None:
    (home / "installed").write_text(_digest(lock))


def _digest(lock: str) -> str:
    return hashlib.sha256((HERE / lock).read_bytes()).hexdigest()


def _run(command: list[str], home: Path) -> None:
    try:
        subprocess.run(command, cwd=home, check=True, capture_output=True, text=True, timeout=WITHIN)
    except FileNotFoundError:
        raise NotInstalled(f"{command[0]} is not on this machine") from None
    except subprocess.CalledProcessError as error:
        said = " ".join((error.stderr or error.stdout).split())
        raise NotInstalled(f"{Path(command[0]).name} failed: {said[:SAID]}") from None
    except subprocess.TimeoutExpired:
        raise NotInstalled(f"{Path(command[0]).name} took longer than {WITHIN:.0f} s") from None
