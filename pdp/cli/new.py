"""`pdp policy new`: a rule of your own, its test and its cases, where your rules belong."""

import json
from pathlib import Path

import click

from ..errors import Fault
from ..policy.draft import KINDS, draft, must_be_new
from ..policy.pack import default_pack_dir
from ..policy.sources import the_only_org
from ..settings import Settings, load
from .check import Shown
from .running import pack_dir


@click.command()
@click.argument("kind", type=click.Choice(tuple(KINDS)))
@click.argument("name")
@click.option("--json", "as_json", is_flag=True)
def new(kind: str, name: str, as_json: bool) -> None:
    """Write a rule of your own with its test and cases, ready to run.

    Edit what is there: it concerns only tools that carry a label of its name.
    """
    settings = load()
    org, files = _org_dir(settings), draft(kind, name)
    must_be_new(files, pack_dir(settings), org)
    for path, text in files.items():
        (org / path).parent.mkdir(parents=True, exist_ok=True)
        (org / path).write_text(text, "utf-8")
    shown = [Shown(settings).place(f"org/{path}") for path in files]
    if as_json:
        click.echo(json.dumps({"files": shown, "code": f"{KINDS[kind]}.{name}"}))
        return
    for path, what in zip(shown, ("the rule", "its test", "who calls what, and what must come of it"), strict=True):
        click.echo(f"{path}  {what}")
    click.echo("Edit them; `pdp check` says whether all is well.")


def _org_dir(settings: Settings) -> Path:
    """Return where your own rules belong. Raises `Fault` when there is no such place that an upgrade leaves alone."""
    if settings.org_dir is not None:
        return settings.org_dir
    pack = pack_dir(settings)
    inside = the_only_org(pack, None)
    if inside is None or (settings.policy_dir is None and not default_pack_dir().is_symlink()):
        raise Fault("Your own rules need a folder of yours: set PDP_ORG_DIR to it (it is made when it is not there).")
    return inside.resolve()
