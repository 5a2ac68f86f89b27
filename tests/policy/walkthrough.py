"""Reads a page that shows files and commands, and does what it shows: writes the files, runs the commands, compares.

A file is a line that is nothing but its name in backticks, and the fenced block after it. A `console` block holds
commands after `$ `, each followed by what it prints; `...` in a line stands for anything, a line of it for any lines.
What stands under one heading is done in one empty folder, by one shell.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

BLOCK = re.compile(r"(?:^(?P<named>`[^`\n]+`)\n\n)?^```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"`([\w./-]+)`")
END = "--- end of the command, status "


class File(NamedTuple):
    """A file that a page shows."""

    path: str
    text: str


class Command(NamedTuple):
    """A command of a page, and the lines it prints there."""

    line: str
    shown: list[str]


class Section(NamedTuple):
    """What stands under one heading of a page."""

    heading: str
    steps: list[File | Command]


def sections(page: str) -> list[Section]:
    """Return the sections of a page that show something to do."""
    parts = re.split(r"^(#{2,3} .+)$", page, flags=re.MULTILINE)[1:]
    found = [Section(head.lstrip("# "), [*_steps(body)]) for head, body in zip(parts[::2], parts[1::2], strict=True)]
    return [section for section in found if section.steps]


def _steps(body: str) -> Iterator[File | Command]:
    for match in re.finditer(
        r"(?:^(?P<named>`[^`\n]+`)\n\n)?^```(?P<kind>\w+)\n(?P<text>.*?)^```$", body, re.MULTILINE | re.DOTALL
    ):
        if match["kind"] == "console":
            yield from _commands(match["text"])
        elif match["named"]:
            name = NAMED.fullmatch(match["named"])
            assert name, f"no file name: {match['named']}"
            yield File(name[1], match["text"])


def _commands(text: str) -> Iterator[Command]:
    for block in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        line, *shown = block.rstrip("\n").split("\n")
        yield Command(line, shown)


def walk(section: Section, folder: Path, **environment: str) -> Iterator[tuple[Command, list[str]]]:
    """Do a section in `folder`; yields each command with the lines that it really printed."""
    shell = _shell(folder, environment)
    try:
        for step in section.steps:
            if isinstance(step, File):
                path = folder / step.path
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(step.text)
            else:
                yield step, _printed(shell, step.line)
    finally:
        shell.communicate("exit\n", timeout=60)


def alike(shown: list[str], printed: list[str]) -> bool:
    """Say whether a page shows what was printed."""
    lines = [r"(?:.*\n)*?" if line == "..." else _line(line) + "\n" for line in shown]
    return re.fullmatch("".join(lines), "".join(f"{line}\n" for line in printed)) is not None


def _line(shown: str) -> str:
    return ".*".join(re.escape(part) for part in shown.split("..."))


def _shell(folder: Path, environment: dict[str, str]) -> "subprocess.Popen[str]":
    here = {name: value for name, value in os.environ.items() if not name.startswith("PDP_ORG")}
    here["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{here['PATH']}"
    return subprocess.Popen(
        ["bash", "--noprofile", "--norc"],
        cwd=folder,
        env=here | environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _printed(shell: "subprocess.Popen[str]", line: str) -> list[str]:
    assert shell.stdin
    assert shell.stdout
    shell.stdin.write(f"{line} < /dev/null\necho '{END}'$?\n")
    shell.stdin.flush()
    lines: list[str] = []
    for printed in shell.stdout:
        if printed.startswith(END):
            return lines
        lines.append(printed.rstrip())
    raise AssertionError(f"the shell ended after {line}: {lines}")
