"""`python -m pdp.dev.wheel [FOLDER]`: compile the default pack into the package, and build the wheel around it.

So an installed wheel needs no OPA with PDP_ENGINE=wasm. What was compiled is not kept in the repository: a build makes
it from the rules that are there, and the finished wheel is opened again to see that both belong together.
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


def compile_default() -> Pack:
    """Compile the default pack into the package. Raises `Fault`."""
    with tempfile.TemporaryDirectory(prefix="pdp-") as folder:
        pack = build_pack(find(OPA, places(OPA, os.environ)).path, default_pack_dir(), None, Path(folder), wasm=True)
        own = [rule.file for rule in pack.rules.values() if rule.file.startswith("org/")]
        if own:
            raise Fault(f"{', '.join(own)}: rules of an organisation do not belong in a wheel for everybody.")
        READY.parent.mkdir(exist_ok=True)
        shutil.copyfile(pack.bundle, READY)
    return pack


def build_wheel(target: Path) -> Path:
    """Build the wheel of this checkout into `target` and return it. Raises `Fault` when pip fails."""
    with tempfile.TemporaryDirectory(prefix="pdp-") as folder:
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", folder]
        if subprocess.run([*command, str(CHECKOUT)], check=False).returncode:
            raise Fault("pip could not build the wheel; what it said stands above.")
        (wheel,) = Path(folder).glob("*.whl")
        must_belong_together(wheel)
        target.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copy(wheel, target))


def must_belong_together(wheel: Path) -> None:
    """Raise `Fault` unless the compiled pack in a wheel is that of the rules in it."""
    with tempfile.TemporaryDirectory(prefix="pdp-") as folder:
        with zipfile.ZipFile(wheel) as opened:
            opened.extractall(folder)
        inside = Path(folder, "pdp")
        if ready_made(Origin(policy_dir=inside / "rego"), inside / "compiled" / READY.name) is None:
            raise Fault(f"The rules in {wheel.name} are not the compiled ones: remove build/ and run this again.")


def main() -> None:
    """Compile, build, check."""
    try:
        pack = compile_default()
        wheel = build_wheel(Path(sys.argv[1]) if sys.argv[1:] else CHECKOUT / "dist")
    except Fault as fault:
        sys.exit(f"wheel: FAILED: {fault}")
    print(f"{wheel}  with the compiled policy {pack.revision}")  # noqa: T201


if __name__ == "__main__":
    main()
