"""`pdp policy`: write rules, check them, and build the bundle that OPA loads."""

import json
import shutil
import tempfile
from pathlib import Path

import click

from ..policy.draft import KINDS, draft, must_be_new
from ..policy.pack import Pack, build_pack
from ..policy.schema import input_schema_text
from ..settings import Settings, load
from .check import Shown, check, org_dir
from .running import opa_of, pack_dir


@click.group()
def policy() -> None:
    """The rules: what may, must, and must not happen without a human."""


policy.add_command(check)


@policy.command()
@click.argument("kind", type=click.Choice(tuple(KINDS)))
@click.argument("name")
@click.option("--json", "as_json", is_flag=True)
def new(kind: str, name: str, as_json: bool) -> None:
    """Write a rule of your own, its test and a table of cases, ready to run, for you to edit."""
    settings = load()
    org, files = org_dir(settings), draft(kind, name)
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


@policy.command()
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), default="policy.tar.gz", show_default=True)
@click.option("--json", "as_json", is_flag=True)
def build(output: Path, as_json: bool) -> None:
    """Check the pack and your org folder, and write the bundle for an OPA that runs beside the PDP."""
    with tempfile.TemporaryDirectory(prefix="pdp-") as folder:
        pack = _built(load(), Path(folder))
        shutil.copyfile(pack.bundle, output)
    record = {"revision": pack.revision, "bundle": str(output)}
    click.echo(json.dumps(record) if as_json else f"{output}  {pack.revision}")


@policy.command()
def schema() -> None:
    """Print the JSON schema of the policy input, which a pack carries as schemas/input.json."""
    click.echo(input_schema_text(), nl=False)


def _built(settings: Settings, folder: Path) -> Pack:
    return build_pack(opa_of(settings), pack_dir(settings), settings.org_dir, folder)
