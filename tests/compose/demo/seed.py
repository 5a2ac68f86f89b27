"""Bring the sample people and tools into the PDP, and make the demo server's key: what an operator would type.

May run again: the same import changes nothing, and a key that is there stays.
"""

import os
import subprocess
import sys
from pathlib import Path

from pdp.dev.seed import REVIEW, SERVER, people_of

PEOPLE = Path("/tmp/people.yaml")  # noqa: S108  # in memory, in this container alone
KEY = Path("/run/pdp/key/pep.key")


def pdp(*words: str) -> None:
    """Run a command of `pdp` and show what it says."""
    print("$ pdp", *words, flush=True)
    subprocess.run(["pdp", *words], check=True)


def main() -> None:
    """Type the three commands."""
    PEOPLE.write_text(people_of(os.environ["DEMO_ISSUER"]))
    pdp("identity", "import", str(PEOPLE))
    listing = [sys.executable, "-m", "pdp.dev.server", "--list"]
    pdp("registry", "import", "--server", SERVER, "--review", str(REVIEW), "--approve", "--stdio", "--", *listing)
    if not KEY.exists():
        pdp("keys", "create", "--server", SERVER, "--note", "demo server", "--out", str(KEY))


if __name__ == "__main__":
    main()
