"""Writes rules for tests: an org folder with one rule in it, complete but for what the test is about."""

from pathlib import Path

WORDS = """# METADATA
# title: A rule of a test
# description: It says no unless the test says yes.
# custom:
#   remedy: Ask the test.
#   owner: tests
#   severity: low
#   stage: {stage}
#   good: {{tool: {{name: x}}}}
#   bad: {{tool: {{name: y}}}}
"""

PROBED = {  # a rule of a running service must let its own probe through
    "guards": 'holds if input.tool.server == "pdp.probe"',
    "gates": 'open if input.tool.server == "pdp.probe"',
}


def rule(folder: str, name: str, body: str, stage: str = "call") -> str:
    """Return the text of a rule file: all its words, its package, and `body` below it."""
    return f"{WORDS.format(stage=stage)}package {folder}.{name}\n\n{body}\n"


def org(root: Path, folder: str, body: str, name: str = "mine", stage: str = "call") -> Path:
    """Return an org folder with the rule `folder.name` in it."""
    return write(root / "org", {f"{folder}/{name}.rego": rule(folder, name, body, stage)})


def write(root: Path, files: dict[str, str]) -> Path:
    """Write files below `root` and return it."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root
