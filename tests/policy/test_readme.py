"""The guide and the recipes of the policy README, done as they are written, each from an empty org folder."""

import re
from pathlib import Path

import pytest

from pdp.policy.pack import default_pack_dir
from tests.policy.walkthrough import Command, File, Section, alike, sections, walk
from tests.sparing import sparing

pytestmark = pytest.mark.promise("policy.readme")
PAGE = (default_pack_dir() / "README.md").read_text()
SECTIONS = sections(PAGE)
GUIDE = SECTIONS[0]
RECIPES = [section for section in SECTIONS if "pdp check" in str(section.steps)][2:]


@pytest.mark.timeout(300)  # 2 s a command are usual; a loaded machine takes many times as long
@pytest.mark.parametrize(
    "section", sparing(SECTIONS, lambda section: section in RECIPES), ids=lambda section: section.heading
)
def test_the_section_does_what_it_shows(section: Section, tmp_path: Path) -> None:
    given = {} if section is GUIDE else {"PDP_ORG_DIR": str(tmp_path / "org")}
    (tmp_path / "org").mkdir()
    for command, printed in walk(section, tmp_path, **given):
        said = [line for line in printed if not line.startswith("NOT LINTED")]
        assert alike(command.shown, said), "\n".join([f"$ {command.line}", *said])


@pytest.mark.parametrize("section", RECIPES, ids=lambda section: section.heading)
def test_a_recipe_is_complete(section: Section) -> None:
    files = {step.path for step in section.steps if isinstance(step, File)}
    rules = {name for name in files if name.endswith(".rego") and not name.endswith("_test.rego")}
    assert rules or "org/config.yaml" in files
    assert {name.replace(".rego", "_test.rego") for name in rules} <= files
    assert any(name.startswith("org/cases/") for name in files)
    commands = [step.line for step in section.steps if isinstance(step, Command)]
    assert "pdp check" in commands


def test_the_recipes_that_engineers_ask_for_first_are_there() -> None:
    headings = " ".join(section.heading.lower() for section in RECIPES)
    for wish in ("role", "working hours", "approval above an amount", "contractor", "agents out of a folder", "host"):
        assert wish in headings, wish


def test_every_word_the_readme_names_is_there(source: Path) -> None:
    words = re.findall(r"`(\w+)\.(\w+)`", PAGE)
    named = [(file, word) for file, word in words if (source / f"lib/{file}.rego").is_file()]
    assert len(named) >= 7
    for file, word in named:
        assert re.search(rf"^{word}\(", (source / f"lib/{file}.rego").read_text(), re.MULTILINE), f"{file}.{word}"


def test_every_command_the_readme_names_is_there() -> None:
    from pdp.cli import COMMANDS

    assert {word for word in re.findall(r"[`$ ]pdp (\w+)", PAGE) if word.islower()} <= set(COMMANDS)


@pytest.mark.parametrize(
    ("shown", "printed"),
    [(["a"], ["b"]), (["a"], []), ([], ["a"]), (["a ..."], ["b a"]), (["...", "b"], ["a"]), (["a.c"], ["abc"])],
)
def test_what_is_not_as_shown_is_seen(shown: list[str], printed: list[str]) -> None:
    assert not alike(shown, printed)


@pytest.mark.parametrize(
    ("shown", "printed"), [(["a ... c"], ["a b c"]), (["..."], ["a", "b"]), (["a", "...", "c"], ["a", "c"])]
)
def test_what_is_left_out_may_be_anything(shown: list[str], printed: list[str]) -> None:
    assert alike(shown, printed)
