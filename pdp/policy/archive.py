"""The archive a bundle travels in: a gzipped tar, read into memory strictly, and written the same way every time.

Two readers may see two things in one archive: a name twice, a link, bytes after the end. So nothing odd is accepted,
nothing is ever unpacked to disk, and what OPA is given is written here from what was read.
"""

import gzip
import io
import tarfile
import tempfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from ..errors import Rejected
from ..query import strict_json
from .problem import PackRefused, Problem

MODULE = "policy.wasm"  # the rules once more, compiled, where an engine asks for that; OPA's own name for it
MAX_ARCHIVE_BYTES = 8 * 1024 * 1024  # as stored: the default pack has 20 KiB
MAX_CONTENT_BYTES = 64 * 1024 * 1024  # unpacked: a small archive may unpack to any size
MAX_FILES = 5000  # a rule a file; OPA itself would need minutes to compile more
GZIP = 16 + zlib.MAX_WBITS  # reads one gzip member, and its checksum
BUILD = "Build it again with `pdp policy build`."
Read = TypeVar("Read")
PLAIN = {tarfile.REGTYPE, tarfile.AREGTYPE}


def read_archive(archive: Path) -> dict[str, bytes]:
    """Return the files of an archive by their path in it. Raises `PackRefused` for anything but plain files, once."""
    try:
        content = _unzipped(archive)
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as tar:
            files = _files(archive, tar)
            _must_end(archive, content[tar.offset :])
    except (tarfile.TarError, ValueError, OverflowError, RecursionError) as error:
        raise refused(archive, f"It is damaged ({error}).") from None
    return files


def write_archive(files: Mapping[str, bytes]) -> bytes:
    """Return the archive of `files`: the same files make the same bytes."""
    written = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=written, mode="wb", mtime=0, filename="") as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for name in sorted(files):
            member = tarfile.TarInfo(f"/{name}")  # as OPA writes it
            member.size, member.mode = len(files[name]), 0o600
            tar.addfile(member, io.BytesIO(files[name]))
    return written.getvalue()


def keep(content: bytes, place: Path) -> Path:
    """Write an archive to `place`: whoever opens it sees all of it, or what was there before."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent, prefix=".keeping-") as folder:
        written = Path(folder) / place.name
        written.write_bytes(content)
        return written.replace(place)


def read_part(body: bytes, kind: type[Read], archive: Path, name: str) -> Read:
    """Read the JSON document `name` of an archive as a `kind`, strictly. Raises `PackRefused`."""
    try:
        return msgspec.convert(strict_json(body, limit=MAX_CONTENT_BYTES), kind)
    except Rejected as rejected:
        raise refused(archive, f"{name} in it cannot be read: {rejected.title}") from None
    except msgspec.ValidationError as error:
        raise refused(archive, f"{name} in it cannot be read: {error}.") from None


def refused(archive: Path, what: str, instead: str = BUILD) -> PackRefused:
    """Return the refusal of a whole archive, for one reason."""
    return PackRefused([Problem(str(archive), 0, what, instead)])


def _unzipped(archive: Path) -> bytes:
    try:
        with archive.open("rb") as file:
            stored = file.read(MAX_ARCHIVE_BYTES + 1)
    except OSError as error:
        raise refused(archive, f"It cannot be read ({error.strerror}).", "Correct the path.") from None
    if len(stored) > MAX_ARCHIVE_BYTES:
        raise refused(archive, f"It has more than {MAX_ARCHIVE_BYTES} bytes.")
    reader = zlib.decompressobj(GZIP)
    try:
        content = reader.decompress(stored, MAX_CONTENT_BYTES + 1)
    except zlib.error as error:
        raise refused(archive, f"It is not a whole gzip file ({error}).") from None
    if len(content) > MAX_CONTENT_BYTES:
        raise refused(archive, f"It unpacks to more than {MAX_CONTENT_BYTES} bytes.")
    if not reader.eof or reader.unused_data:
        raise refused(archive, "It is not a whole gzip file, or more than one.")
    return content


def _must_end(archive: Path, rest: bytes) -> None:
    """What `tarfile` cannot read ends the archive for it, without a word; an end is two blocks of zeros and no more."""
    if len(rest) < 2 * tarfile.BLOCKSIZE or rest.strip(b"\0"):
        raise refused(archive, "It is damaged: what follows its last file is not its end.")


def _files(archive: Path, tar: tarfile.TarFile) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for member in tar:
        name = member.name.removeprefix("/")
        content = tar.extractfile(member) if member.type in PLAIN and not member.issparse() else None
        if content is None:
            raise refused(archive, f"{name} in it is not a plain file.")
        if name in files:
            raise refused(archive, f"{name} stands in it twice.")
        if len(files) == MAX_FILES:
            raise refused(archive, f"It holds more than {MAX_FILES} files.")
        files[name] = content.read()
    return files
