"""The words of `lib/`: each says what it is, in METADATA, and every word that a refusal recommends is there."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pdp.policy.form import INSTEAD

pytestmark = pytest.mark.promise("policy.words")
HEAD = re.compile(r"^([a-z]\w*)(?:\(| :=)", re.MULTILINE)


@pytest.fixture(scope="module")
def said(opa: Path, source: Path) -> dict[tuple[str, ...], dict[str, Any]]:
    """Return what METADATA says about each package and each rule of lib, by its path."""
    done = subprocess.run([opa, "inspect", "-a", "-f", "json", "lib"], cwd=source, capture_output=True, check=True)
    return {
        tuple(part["value"] for part in entry["path"][1:]): entry["annotations"]
        for entry in json.loads(done.stdout)["annotations"]
    }


def words(source: Path) -> set[tuple[str, ...]]:
    """Return the path of every word and value that a file of lib defines."""
    files = [file for file in (source / "lib").glob("*.rego") if not file.name.endswith("_test.rego")]
    return {("lib", file.stem, name) for file in files for name in HEAD.findall(file.read_text())}


def test_every_word_says_what_it_is(source: Path, said: dict[tuple[str, ...], dict[str, Any]]) -> None:
    found = words(source)
    assert len(found) > 40
    for path in sorted(found | {word[:2] for word in found}):
        assert said.get(path, {}).get("title"), f"{'.'.join(path)} has no title"
        assert said[path].get("description"), f"{'.'.join(path)} has no description"


def test_every_word_that_is_recommended_instead_is_there(source: Path) -> None:
    named = {tuple(name) for text in INSTEAD.values() for name in re.findall(r"\b([a-z]+)\.([a-z_]+)", text)}
    assert len(named) >= 7
    assert {("lib", *name) for name in named} <= words(source)
