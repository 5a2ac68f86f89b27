"""The rule that the pack's README shows is a rule that works."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from pdp.policy.pack import Pack
from tests.policy.engine import running
from tests.policy.rules import write

pytestmark = pytest.mark.promise("policy.readme")


def test_the_rule_in_the_readme_loads_and_does_what_it_says(
    source: Path, build: Callable[[Path], Pack], opa: Path, tmp_path: Path
) -> None:
    (text,) = re.findall(r"```rego\n(.*?)```", (source / "README.md").read_text(), re.DOTALL)
    name = "contractors_do_not_export"
    built = build(write(tmp_path / "org", {f"guards/{name}.rego": text}))
    rule = built.rules[f"guards.{name}"]
    with running(opa, tmp_path, "--bundle", str(built.bundle)) as asked:
        assert [asked(f"guards/{name}/holds", example) for example in rule.good] == [True]
        assert [asked(f"guards/{name}/holds", example) for example in rule.bad] == [asked.UNDEFINED]


def test_every_word_the_readme_names_is_there(source: Path) -> None:
    words = re.findall(r"`(\w+)\.(\w+)`", (source / "README.md").read_text())
    named = [(file, word) for file, word in words if (source / f"lib/{file}.rego").is_file()]
    assert len(named) >= 7
    for file, word in named:
        assert re.search(rf"^{word}\(", (source / f"lib/{file}.rego").read_text(), re.MULTILINE), f"{file}.{word}"
