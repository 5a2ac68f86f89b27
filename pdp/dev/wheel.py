"""`python -m pdp.dev.wheel [FOLDER]`: compile the default pack into the package, and build the wheel around it.

So an installed wheel needs no OPA with PDP_ENGINE=wasm. All of it happens in a copy of the checkout, so that nothing an
earlier build left behind gets into a wheel, and no other build comes between. The finished wheel is opened again to see
that the rules in it and the compiled ones belong together.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from ..engine.binary import OPA, find, places
from ..errors import Fault
from ..policy.origin import Origin
from ..policy.pack import Pack, build_pack, default_pack_dir
from ..policy.ready import READY, ready_made

CHECKOUT = Path(__file__).parent.parent.parent
BUILT_FROM = ("pdp", "rego", "pyproject.toml", "README.md", "LICENSE")
LEFT_OUT = shutil.ignore_patterns("__pycache__", READY.parent.name)


def compile_default(place: Path) -> Pack:
    """Compile the default pack into the file `place`. Raises `Fault`."""
    with tempfile.TemporaryDirectory(prefix="pdp-") as folder:
        pack = build_pack(find(OPA, places(OPA, os.environ)).path, default_pack_dir(), None, Path(folder), wasm=True)
        own = [rule.file for rule in pack.rules.values() if rule.file.startswith("org/")]
        if own:
            raise Fault(f"{', '.join(own)}: rules of an organisation do not belong in a wheel for everybody.")
        place.parent.mkdir()
        shutil.copyfile(pack.bundle, place)
    return pack


def build_wheel(target: Path) -> tuple[Path, Pack]:
    """Build the wheel of this checkout into `target`; return it and the pack in it. Raises `Fault`."""
    with tempfile.TemporaryDirectory(prefix="pdp-") as folder:
        source = copied(Path(folder, "source"))
        pack = compile_default(source / READY.relative_to(CHECKOUT))
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", folder]
        if subprocess.run([*command, str(source)], check=False).returncode:
            raise Fault("pip could not build the wheel; what it said stands above.")
        (wheel,) = Path(folder).glob("*.whl")
        must_belong_together(wheel)
        target.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copy(wheel, target)), pack


def copied(source: Path) -> Path:
    """Copy what a wheel is built from into the new folder `source`, and return it."""
    source.mkdir()
    for name in BUILT_FROM:
        if (CHECKOUT / name).is_dir():
            shutil.copytree(CHECKOUT / name, source / name, symlinks=True, ignore=LEFT_OUT)
        else:
            shutil.copy(CHECKOUT / name, source)
    return source


def must_belong_together(wheel: Path) -> None:
    """Raise `Fault` unless the compiled pack in a wheel is that of the rules in it."""
    with tempfile.TemporaryDirectory(prefix="pdp-") as folder:
        with zipfile.ZipFile(wheel) as opened:
            opened.extractall(folder)
        inside = Path(folder, "pdp")
        if ready_made(Origin(policy_dir=inside / "rego"), inside / "compiled" / READY.name) is None:
            raise Fault(f"The rules in {wheel.name} are not the compiled ones: they changed meanwhile. Run this again.")


def main() -> None:
    """Compile, build, check."""
    try:
        wheel, pack = build_wheel(Path(sys.argv[1]) if sys.argv[1:] else CHECKOUT / "dist")
    except Fault as fault:
        sys.exit(f"wheel: FAILED: {fault}")
    print(f"{wheel}  with the compiled policy {pack.revision}")  # noqa: T201


if __name__ == "__main__":
    main()
