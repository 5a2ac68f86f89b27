"""`pdp policy docs`: the policy in pages that people read."""

import json
import os
from pathlib import Path

import click

from ..engine.binary import OPA, find, places
from ..policy.handbook import material
from ..policy.pack import default_pack_dir
from ..policy.pages import write_pages
from ..settings import load


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default="policy-docs",
    show_default=True,
    help="A folder.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def docs(out: Path, as_json: bool) -> None:
    """Write a page for every rule of the pack and your org folder, an index, and the words that rules are written in.

    Pages of earlier runs whose rule is gone are removed; other files are left alone.
    """
    settings = load()
    opa = find(OPA, places(OPA, os.environ, settings.opa_binary)).path
    written = write_pages(material(opa, settings.policy_dir or default_pack_dir(), settings.org_dir), out)
    click.echo(json.dumps([str(page) for page in written]) if as_json else f"{len(written)} pages in {out}")
