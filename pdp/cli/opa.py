"""`pdp opa`: where the OPA is that we would run, and how to get one."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from ..engine.binary import OPA, REGAL, Found, Places, Tool, find, places
from ..engine.install import Voice
from ..engine.install import install as install_tool
from ..settings import load


@click.group()
def opa() -> None:
    """Open Policy Agent, the engine that policy runs on."""


@opa.command()
@click.option("--regal", is_flag=True, help="The linter for policies instead (developers).")
@click.option("--json", "as_json", is_flag=True)
def path(regal: bool, as_json: bool) -> None:
    """Print the path of the OPA that would be used."""
    tool = REGAL if regal else OPA
    _show(find(tool, _places(tool)), as_json)


@opa.command()
@click.option("--download", is_flag=True, help="If it cannot be built here, fetch the official release.")
@click.option("--regal", is_flag=True, help="The linter for policies instead (developers; from a checkout, with Go).")
@click.option("--json", "as_json", is_flag=True)
def install(download: bool, regal: bool, as_json: bool) -> None:
    """Put a good OPA into the cache: one that is here, else built by Go, else (--download) the official release."""
    tool = REGAL if regal else OPA
    with _voice() as voice:
        found = install_tool(tool, _places(tool), voice, allow_download=download)
    _show(found, as_json)


def _places(tool: Tool) -> Places:
    return places(tool, os.environ, load().opa_binary if tool is OPA else None)


def _show(found: Found, as_json: bool) -> None:
    record = {"path": str(found.path), "version": found.version, "how": found.how}
    click.echo(json.dumps(record) if as_json else record["path"])


@contextmanager
def _voice() -> Iterator[Voice]:
    """Speak on stderr: sentences always, a moving line only to a terminal."""
    console = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)
    columns = SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("Looking for it", total=None)
        yield Voice(
            say=console.print,
            doing=lambda what, done, total: progress.update(task, description=what, completed=done or 0, total=total),
        )
