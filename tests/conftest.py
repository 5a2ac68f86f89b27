"""What every suite shares: where the outside data is, a fake clock, and the OPA to test with."""

import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from pdp.cli.memory import spare_collections
from tests.pki import authority

ROOT = Path(__file__).parent.parent
SHARED_DATA = ROOT.parent / "shared" / "data"
LONGEST = (  # in the slow suite, then in the other: by the durations of a run
    "properties/test_approvals.py",
    "flow/test_killed_service.py",
    "policy/test_diff.py",
    "flow/test_swaps.py",
    "policy/test_check.py",
    "policy/test_mutations.py",
    "policy/test_readme.py",
    "browser/test_console.py",
    "policy/test_arguments.py",
    "flow/test_serve.py",
    "flow/test_identity_commands.py",
    "properties/test_legs.py",
    "policy/test_try.py",
    "api/test_policy.py",
    "flow/test_approvals.py",
    "adapters/test_demo.py",
    "flow/test_workers.py",
)
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine pauses
settings.load_profile("suite")
START = datetime(2026, 1, 5, 10, 0, tzinfo=UTC)  # a Monday, in working hours


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the files that take longest begin first, so that at the end no worker is left alone with one."""
    places = {ROOT / "tests" / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


def pytest_collection_finish() -> None:
    """Let the collector of cycles pass over the code of the suite: it took a fifth of the time of all tests."""
    spare_collections()


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


@pytest.fixture(scope="session", autouse=True)
def _trust_in_nobody_outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Trust one authority that signs nothing: to read those of the system takes every HTTP client 45 ms of CPU."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(authority(tmp_path_factory.mktemp("nobody")).ca))
        yield
