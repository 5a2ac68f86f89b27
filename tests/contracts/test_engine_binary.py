"""Finding and installing OPA: what is named must be good, what is old is not used, what is fetched is checked."""

import hashlib
import os
import shutil
from pathlib import Path

import pytest

from pdp.engine.binary import OPA, REGAL, Places, Tool, dotted, find, places, version_of
from pdp.engine.install import ASSETS, TOOLS, Voice, install
from pdp.errors import Fault
from tests.commands import Done, run
from tests.conftest import ROOT

from .website import Website

pytestmark = pytest.mark.promise("opa.found")
PINNED = dotted(OPA.pinned)


class Heard:
    """A `Voice` that remembers what was said."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.progress: list[tuple[int | None, int | None]] = []
        self.voice = Voice(self.said.append, lambda _, done, total: self.progress.append((done, total)))

    def __str__(self) -> str:
        return " ".join(self.said)


def program(folder: Path, version: str, name: str = "opa") -> Path:
    """Make a program that claims a version, in the words of OPA."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\necho 'Version: {version}'\necho 'Go Version: go1.26.8'\n")
    path.chmod(0o755)
    return path


def somewhere(tmp_path: Path, *, named: Path | None = None, path: Path | None = None) -> Places:
    """Return places that hold nothing but what is given."""
    return Places(named, tmp_path / "cache", {"PATH": str(path) if path else ""})


@pytest.mark.parametrize("tool", [OPA, REGAL])
def test_the_version_we_name_is_the_version_that_is_built(tool: Tool) -> None:
    required = (TOOLS / tool.name / "go.mod").read_text()
    assert f"\t{tool.module} v{dotted(tool.pinned)} " in required
    sums = (TOOLS / tool.name / "go.sum").read_text()
    assert f"{tool.module} v{dotted(tool.pinned)} h1:" in sums


def test_the_opa_of_these_tests_says_its_version(opa_binary: Path) -> None:
    assert OPA.minimum <= version_of(opa_binary) < OPA.below


def test_a_named_opa_is_used_before_any_other(tmp_path: Path) -> None:
    named = program(tmp_path / "named", "1.23.4")
    program(tmp_path / "cache" / "opa-1.22.2", "1.22.2")
    found = find(OPA, somewhere(tmp_path, named=named, path=program(tmp_path / "path", "1.22.9").parent))
    assert (found.path, found.version) == (named, "1.23.4")


@pytest.mark.parametrize(
    ("version", "complaint"),
    [
        ("1.21.9", "at least 1.22.0"),
        ("0.70.0", "at least 1.22.0"),
        ("2.0.0", "below 2.0.0"),
        ("1.23.0-dev", "names no release"),
        ("unknown", "names no release"),
        ("", "names no release"),
    ],
)
def test_a_named_opa_that_is_no_good_is_an_error_and_never_passed_over(
    tmp_path: Path, version: str, complaint: str
) -> None:
    program(tmp_path / "cache" / "opa-1.22.2", "1.22.2")
    good = program(tmp_path / "path", "1.22.2").parent
    named = program(tmp_path / "named", version)
    where = somewhere(tmp_path, named=named, path=good)
    with pytest.raises(Fault, match=complaint):
        find(OPA, where)
    with pytest.raises(Fault, match=complaint):
        install(OPA, where, Heard().voice, allow_download=False)


def test_a_named_file_that_is_no_program_is_an_error(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("not a program")
    for named in (plain, tmp_path / "nothing", tmp_path):
        with pytest.raises(Fault, match="cannot be used"):
            find(OPA, somewhere(tmp_path, named=named))


def test_the_pinned_one_in_the_cache_is_used_before_one_on_path(tmp_path: Path) -> None:
    program(tmp_path / "cache" / "opa-1.22.0", "1.22.0")
    pinned = program(tmp_path / "cache" / f"opa-{PINNED}", PINNED)
    found = find(OPA, somewhere(tmp_path, path=program(tmp_path / "path", "1.30.0").parent))
    assert found.path == pinned


def test_one_on_path_is_used_when_it_is_new_enough(tmp_path: Path) -> None:
    on_path = program(tmp_path / "path", "1.30.0")
    assert find(OPA, somewhere(tmp_path, path=on_path.parent)).path == on_path


def test_without_a_good_one_everything_tried_and_every_way_out_is_named(tmp_path: Path) -> None:
    program(tmp_path / "cache" / "opa-1.22.2", "broken")
    old = program(tmp_path / "path", "1.18.0")
    with pytest.raises(Fault) as caught:
        find(OPA, somewhere(tmp_path, path=old.parent))
    for words in ("opa-1.22.2", str(old), "1.18.0", "pdp opa install", "--download", "PDP_OPA_BINARY"):
        assert words in str(caught.value)


def test_the_places_come_from_the_environment_unless_settings_name_a_file(tmp_path: Path) -> None:
    environ = {"HOME": "/home/ann", "PATH": "/bin", "PDP_OPA_BINARY": "/opt/opa", "PDP_REGAL_BINARY": "/opt/regal"}
    assert places(OPA, environ).named == Path("/opt/opa")
    assert places(REGAL, environ).named == Path("/opt/regal")
    assert places(OPA, environ, tmp_path).named == tmp_path
    assert places(OPA, environ).cache == Path("/home/ann/.cache/mcp-pdp")
    assert places(OPA, environ | {"PDP_CACHE_DIR": "/var/cache/pdp"}).cache == Path("/var/cache/pdp")


@pytest.mark.promise("opa.installed")
@pytest.mark.parametrize("named", [True, False])
def test_installing_copies_a_good_one_into_the_cache(tmp_path: Path, named: bool) -> None:
    original = program(tmp_path / "original", "1.23.0")
    where = somewhere(tmp_path, named=original) if named else somewhere(tmp_path, path=original.parent)
    heard = Heard()
    found = install(OPA, where, heard.voice, allow_download=False)
    assert found.path == tmp_path / "cache" / "opa-1.23.0" / "opa"
    assert "copied" in str(heard)
    assert str(original) in str(heard)
    shutil.rmtree(original.parent)
    assert find(OPA, somewhere(tmp_path)).path == found.path


@pytest.mark.promise("opa.installed")
def test_installing_twice_does_nothing_the_second_time(tmp_path: Path) -> None:
    cached = program(tmp_path / "cache" / f"opa-{PINNED}", PINNED)
    before = cached.stat()
    heard = Heard()
    assert install(OPA, somewhere(tmp_path), heard.voice, allow_download=False).path == cached
    assert "already" in str(heard)
    assert cached.stat() == before


@pytest.mark.promise("opa.installed")
def test_without_go_and_without_leave_to_download_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(Fault, match=r"no Go on PATH.*--download.*PDP_OPA_BINARY"):
        install(OPA, somewhere(tmp_path), Heard().voice, allow_download=False)


@pytest.mark.promise("opa.installed")
def test_regal_is_never_downloaded(tmp_path: Path) -> None:
    with pytest.raises(Fault, match=r"regal cannot be built.*no Go on PATH"):
        install(REGAL, somewhere(tmp_path), Heard().voice, allow_download=True)


@pytest.mark.promise("opa.installed")
def test_a_build_that_fails_says_why_and_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "path"
    folder.mkdir()
    (folder / "go").write_text("#!/bin/sh\necho 'go: no room on device' >&2\nexit 1\n")
    (folder / "go").chmod(0o755)
    with pytest.raises(Fault, match=r"no room on device"):
        install(OPA, somewhere(tmp_path, path=folder), Heard().voice, allow_download=False)
    assert not list((tmp_path / "cache").iterdir())


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.promise("opa.installed")
@pytest.mark.parametrize("tool", [OPA, REGAL])
def test_go_builds_the_pinned_version_from_our_checksums(tool: Tool, tmp_path: Path) -> None:
    go = shutil.which("go")
    if go is None:
        pytest.skip("there is no Go on PATH: that OPA and Regal can be built from tools/ was not tested")
    where = Places(None, tmp_path / "cache", {**os.environ, "PATH": str(Path(go).parent)})
    heard = Heard()
    found = install(tool, where, heard.voice, allow_download=False)
    assert found.version == dotted(tool.pinned)
    assert "was built" in str(heard)
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [f"{tool.name}-{dotted(tool.pinned)}"]


@pytest.fixture
def release(website: Website, opa_binary: Path) -> Website:
    """Publish the real OPA of these tests as a release, with its checksum file, for every platform."""
    body = opa_binary.read_bytes()
    digest = hashlib.sha256(body).hexdigest()
    for asset in ASSETS.values():
        website.pages[f"/v{PINNED}/{asset}"] = body
        website.pages[f"/v{PINNED}/{asset}.sha256"] = f"{digest}  {asset}\n".encode()
    return website


@pytest.mark.promise("opa.installed")
def test_a_download_is_checked_and_installed(release: Website, tmp_path: Path, opa_binary: Path) -> None:
    heard = Heard()
    found = install(OPA, somewhere(tmp_path), heard.voice, allow_download=True, releases=release.url)
    assert found.path.read_bytes() == opa_binary.read_bytes()
    assert hashlib.sha256(found.path.read_bytes()).hexdigest() in str(heard)
    assert heard.progress[-1] == (found.path.stat().st_size, found.path.stat().st_size)
    assert find(OPA, somewhere(tmp_path)).path == found.path


@pytest.mark.promise("opa.installed")
@pytest.mark.parametrize("checksum", [b"0" * 64 + b"  opa\n", b"", b"not a checksum", None])
def test_a_download_whose_checksum_is_wrong_or_missing_is_not_installed(
    release: Website, tmp_path: Path, checksum: bytes | None
) -> None:
    for name in [page for page in release.pages if page.endswith(".sha256")]:
        if checksum is None:
            del release.pages[name]
        else:
            release.pages[name] = checksum
    with pytest.raises(Fault, match=r"SHA-256|404"):
        install(OPA, somewhere(tmp_path), Heard().voice, allow_download=True, releases=release.url)
    assert not list((tmp_path / "cache").glob("*")), "nothing may be left of it"


@pytest.mark.promise("opa.installed")
def test_a_download_that_is_another_program_is_not_installed(release: Website, tmp_path: Path) -> None:
    other = b"#!/bin/sh\necho 'Version: 1.18.0'\n"
    for name in list(release.pages):
        digest = hashlib.sha256(other).hexdigest().encode()
        release.pages[name] = digest if name.endswith(".sha256") else other
    with pytest.raises(Fault, match=r"1\.18\.0"):
        install(OPA, somewhere(tmp_path), Heard().voice, allow_download=True, releases=release.url)
    assert not list((tmp_path / "cache").glob("*"))


def pdp(*arguments: str, **environ: str) -> Done:
    """Run `pdp` with nothing of our environment but what is given."""
    return run(*arguments, environ=environ, cwd=ROOT)


@pytest.mark.promise("opa.installed")
def test_the_command_line_installs_and_prints_the_path(tmp_path: Path, opa_binary: Path) -> None:
    cache = str(tmp_path / "cache")
    done = pdp("opa", "install", PDP_CACHE_DIR=cache, PDP_OPA_BINARY=str(opa_binary))
    assert done.returncode == 0
    assert "copied" in done.stderr
    shown = pdp("opa", "path", PDP_CACHE_DIR=cache, PATH="")
    assert shown.returncode == 0
    assert shown.stdout == done.stdout
    assert version_of(Path(shown.stdout.strip())) == version_of(opa_binary)


def test_the_command_line_fails_with_what_to_do_and_no_stack(tmp_path: Path) -> None:
    done = pdp("opa", "path", PDP_CACHE_DIR=str(tmp_path), PATH="")
    assert done.returncode == 1
    assert "pdp opa install" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
