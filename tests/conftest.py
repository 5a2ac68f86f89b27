"""What every suite shares: where the outside data is, a fake clock, and the OPA to test with."""

import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SHARED_DATA = ROOT.parent / "shared" / "data"
START = datetime(2026, 1, 5, 10, 0, tzinfo=UTC)  # a Monday, in working hours


class FakeClock:
    """The only double of this project: a clock that moves when a test says so."""

    def __init__(self, start: datetime = START) -> None:
        self.moment = start

    def __call__(self) -> datetime:
        return self.moment

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass."""
        self.moment += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> FakeClock:
    """Return a clock that stands on a Monday morning."""
    return FakeClock()


@pytest.fixture
def socket_folder() -> Iterator[Path]:
    """Return a folder whose path is short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="s-") as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of data from outside; skips loudly where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"the data from outside is not at {SHARED_DATA}: tests on real definitions and vectors not run")
    return SHARED_DATA


@pytest.fixture(scope="session", autouse=True)
def _no_settings_from_outside() -> Iterator[None]:
    """Run the suite without the developer's PDP_* variables, except where the OPA binary is."""
    with pytest.MonkeyPatch.context() as patch:
        import os

        for name in [n for n in os.environ if n.startswith("PDP_") and n not in {"PDP_OPA_BINARY", "PDP_CACHE_DIR"}]:
            patch.delenv(name)
        yield
