"""Watch: a cheap fingerprint of the files that policy comes from, to see that they changed and came to rest.

It follows links, so that it sees an editor put a new file in the place of the old, and a mounted ConfigMap turn its
link to another directory. It reads no file: path, identity, size and times say enough, and a change that changes
nothing is found to be none by the digest of what it builds.
"""

import os
import stat
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TypeAlias

MAX_ENTRIES = 10_000  # a pack has a hundred; whoever names the root of a disk must not make us walk it
MAX_DEPTH = 8  # rules lie two folders deep; a link to a folder above must not lead in circles

Mark: TypeAlias = tuple[tuple[str | int, ...], ...]


def mark_of(places: Iterable[Path]) -> Mark:
    """Return what changes whenever a file below one of `places` (folders or files) does; what is hidden is passed over.

    Takes a millisecond for a pack: call it off the event loop. What cannot be read is part of it, never an error.
    """
    paths = (path for place in places for path in _paths(str(place)))
    return tuple(_entry(path) for path in islice(paths, MAX_ENTRIES))


def _paths(place: str) -> Iterator[str]:
    yield place
    for folder, folders, files in os.walk(place, followlinks=True):
        deep = folder.count(os.sep) - place.count(os.sep) >= MAX_DEPTH
        folders[:] = [] if deep else sorted(name for name in folders if not name.startswith("."))
        for name in (*folders, *sorted(files)):
            if not name.startswith("."):
                yield f"{folder}{os.sep}{name}"


def _entry(path: str) -> tuple[str | int, ...]:
    try:
        known = os.stat(path)  # noqa: PTH116  # a look is made twenty times a second: a Path for each file doubles it
    except OSError as error:
        return path, error.errno or 0
    if stat.S_ISDIR(known.st_mode):  # what is in it has entries of its own; its times tell of hidden files too
        return (path,)
    return path, known.st_dev, known.st_ino, known.st_size, known.st_mtime_ns, known.st_ctime_ns
