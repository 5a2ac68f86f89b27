"""The fingerprint of policy files: every way of changing them shows, and what is not policy does not."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pdp.policy.pack import default_pack_dir
from pdp.policy.watch import MAX_ENTRIES, mark_of

pytestmark = pytest.mark.promise("live.watched")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return an org folder as a mounted ConfigMap shows it: files are links into a hidden, dated folder."""
    for version in ("..v1", "..v2"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "config.yaml").write_text("a: 1")
    (tmp_path / "..data").symlink_to("..v1")
    (tmp_path / "config.yaml").symlink_to("..data/config.yaml")
    (tmp_path / "guards").mkdir()
    (tmp_path / "guards" / "mine.rego").write_text("package guards.mine")
    return tmp_path


def in_place(folder: Path) -> None:
    """Write other bytes of the same number, and set the time back."""
    file = folder / "guards" / "mine.rego"
    known = file.stat()
    file.write_text("package guards.nine")
    os.utime(file, ns=(known.st_atime_ns, known.st_mtime_ns))


def moved_there(folder: Path) -> None:
    """Write elsewhere and move, as editors do."""
    other = folder / ".mine.rego.swp"
    other.write_text("package guards.mine")
    other.replace(folder / "guards" / "mine.rego")


def other_version(folder: Path) -> None:
    """Turn the link to the other dated folder, as the kubelet does."""
    (folder / "..new").symlink_to("..v2")
    (folder / "..new").replace(folder / "..data")


def new_file(folder: Path) -> None:
    """Add a rule."""
    (folder / "guards" / "more.rego").touch()


def new_folder(folder: Path) -> None:
    """Add a folder with nothing in it."""
    (folder / "misspelt").mkdir()


def one_less(folder: Path) -> None:
    """Remove a rule."""
    (folder / "guards" / "mine.rego").unlink()


def renamed(folder: Path) -> None:
    """Rename a rule."""
    (folder / "guards" / "mine.rego").rename(folder / "guards" / "ours.rego")


@pytest.mark.parametrize("change", [in_place, moved_there, other_version, new_file, new_folder, one_less, renamed])
def test_every_way_of_changing_a_file_shows(folder: Path, change: Callable[[Path], None]) -> None:
    before = mark_of([folder])
    assert before == mark_of([folder])
    change(folder)
    assert mark_of([folder]) != before


def test_what_is_hidden_does_not_show(folder: Path) -> None:
    before = mark_of([folder])
    (folder / "guards" / ".mine.rego.swp").write_text("half a rule")
    (folder / ".git").mkdir()
    (folder / ".git" / "HEAD").touch()
    assert mark_of([folder]) == before


def test_a_folder_that_is_not_there_shows_when_it_comes(tmp_path: Path) -> None:
    place = tmp_path / "org"
    before = mark_of([place])
    place.mkdir()
    assert mark_of([place]) != before


def test_a_link_that_leads_in_circles_and_a_dead_one_end(folder: Path) -> None:
    (folder / "guards" / "again").symlink_to(folder)
    (folder / "guards" / "dead.rego").symlink_to(folder / "nowhere")
    assert len(mark_of([folder])) < 200


def test_who_names_the_root_of_a_disk_is_not_walked_to_its_end() -> None:
    assert len(mark_of([Path("/")])) <= MAX_ENTRIES


def test_the_files_of_the_default_pack_all_show() -> None:
    shown = {str(entry[0]) for entry in mark_of([default_pack_dir()])}
    pack = default_pack_dir()
    rules = {str(file) for file in pack.rglob("*.rego") if ".regal" not in file.parts}
    assert rules | {str(pack / "config.yaml"), str(pack / "capabilities.json")} <= shown
