"""The policies that were in force: their bundles stay in `PDP_DATA_DIR/policy`, each named by its revision."""

import re
from pathlib import Path

from ..errors import Fault

SUFFIX = ".tar.gz"
BUNDLE = re.compile(r"[0-9a-f]{64}\.tar\.gz")  # beside them, the signed form of some stands under another name
REVISION = re.compile(r"(sha256:)?[0-9a-f]{4,64}")  # four digits of a digest and more: fewer are no name


def bundle_of(archive: Path, revision: str) -> Path:
    """Return the bundle of a revision, or of the only one that begins so. Raises `Fault`."""
    start = revision.removeprefix("sha256:")
    kept = [path for path in sorted(archive.glob(f"{start}*{SUFFIX}")) if BUNDLE.fullmatch(path.name)]
    found = kept if REVISION.fullmatch(revision) else []
    if not found:
        raise Fault(f"the policy {revision} is not in {archive}: restore its bundle.")
    if len(found) > 1:
        known = ", ".join(path.name.removesuffix(SUFFIX)[:16] for path in found)
        raise Fault(f"{revision} may be any of {known} in {archive}: name more of its digits.")
    return found[0]
