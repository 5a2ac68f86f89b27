"""Real disks that go wrong: a full one, one that hangs, one that takes what is written and fails to keep it.

Each is mounted for a test. Where we may not mount, the test is skipped and says what was not tried.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

SPARE_BYTES = 24 * 1024 * 1024  # what the failing disk may hold in all
PATIENCE_S = 30


def try_or_skip(otherwise: str, program: str, *arguments: str) -> None:
    """Run a program that needs rights not everyone has."""
    if shutil.which(program) is None:
        pytest.skip(f"{otherwise}: there is no {program} here")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"{otherwise}: {program} says {done.stderr.strip()}")


def unmount(*places: Path) -> None:
    """Let go of mounted disks, whatever still uses them."""
    for place in places:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Yield a real file system of 64 KiB; skips loudly where we may not mount one."""
    place = tmp_path / "small"
    place.mkdir()
    try_or_skip("no full disk was tried", "mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place))
    yield place
    unmount(place)


@pytest.fixture
def freezing_disk(tmp_path: Path) -> Iterator[Path]:
    """Yield a real file system that can be frozen, so that writes hang; skips loudly where we may not mount one."""
    image, place = tmp_path / "image", tmp_path / "disk"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(16 * 1024 * 1024)
    try_or_skip("no hanging disk was tried", "mkfs.ext4", "-q", str(image))
    try_or_skip("no hanging disk was tried", "mount", "-o", "loop", str(image), str(place))
    watchdog = subprocess.Popen(["sh", "-c", f"sleep {PATIENCE_S}; fsfreeze -u {place}"], start_new_session=True)
    yield place
    subprocess.run(["fsfreeze", "-u", str(place)], capture_output=True, check=False)
    os.killpg(watchdog.pid, signal.SIGKILL)
    watchdog.wait()
    unmount(place)


@dataclass(frozen=True)
class FailingDisk:
    """A file system at `place` whose disk can be made to fail: writes are taken, and `fdatasync` then says ENOSPC.

    Its disk is a sparse file that lies on another, small one (`under`). When that is full, nothing more is kept.
    """

    place: Path
    under: Path

    def fail(self) -> None:
        """Keep nothing more."""
        ballast = os.open(self.under / "ballast", os.O_CREAT | os.O_WRONLY)
        try:
            while os.write(ballast, b"x" * 4096):
                pass
        except OSError:  # full
            pass
        finally:
            os.close(ballast)

    def heal(self) -> None:
        """Keep what is written again."""
        (self.under / "ballast").unlink(missing_ok=True)


@pytest.fixture
def failing_disk(tmp_path: Path) -> Iterator[FailingDisk]:
    """Yield a disk that can fail; skips loudly where we may not mount one."""
    under, place, otherwise = tmp_path / "under", tmp_path / "disk", "no failing fsync was tried"
    under.mkdir()
    place.mkdir()
    try_or_skip(otherwise, "mount", "-t", "tmpfs", "-o", f"size={SPARE_BYTES}", "tmpfs", str(under))
    try:
        image = under / "image"
        with image.open("wb") as file:
            file.truncate(2 * SPARE_BYTES)
        # without a journal: one that cannot be written makes the whole file system read-only for good
        try_or_skip(otherwise, "mkfs.ext4", "-q", "-O", "^has_journal", "-E", "nodiscard", str(image))
        try_or_skip(otherwise, "mount", "-o", "loop,errors=continue", str(image), str(place))
        disk = FailingDisk(place, under)
        yield disk
        disk.heal()
        unmount(place)
    finally:
        unmount(under)
