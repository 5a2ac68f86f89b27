"""The bundle as a file: a tarball that is byte for byte the same for the same content, as OPA reads it.

`opa build` made the same, in a process of its own; everything it checked is checked before (types, capabilities), and
OPA itself compiles the whole bundle before it answers from it.
"""

import gzip
import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

READ_BY_US_ALONE = 0o600


def write_archive(bundle: Path, files: Mapping[str, bytes]) -> None:
    """Write `files`, by their path in the bundle, sorted and without a time."""
    with (
        bundle.open("wb") as raw,
        gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for name in sorted(files):
            member = tarfile.TarInfo(f"/{name}")
            member.size, member.mode = len(files[name]), READ_BY_US_ALONE
            tar.addfile(member, io.BytesIO(files[name]))


def read_archive(bundle: Path) -> dict[str, bytes]:
    """Return the files of a bundle by their path in it. Raises `OSError` or `tarfile.TarError` when it is none."""
    with tarfile.open(bundle) as tar:
        return {
            member.name.lstrip("/"): file.read() for member in tar.getmembers() if (file := tar.extractfile(member))
        }
