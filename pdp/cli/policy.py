"""`pdp policy`: check the rules and build the bundle that OPA loads."""

import asyncio
import json
import os
import shutil
import tempfile
from pathlib import Path

import click

from ..engine.binary import OPA, find, places
from ..engine.local import LocalOpa
from ..errors import Fault
from ..net import JsonClient, Reply
from ..policy.pack import Pack, build_pack, default_pack_dir, probe
from ..policy.problem import Problem
from ..policy.schema import input_schema_text
from ..settings import Settings, load

ACTIVATES_WITHIN_S = 60.0  # half a second is usual; the machine may be loaded, and another activation under way
MAX_REPLY = 1024 * 1024  # bytes; a refusal names each problem in a line
OK = 200


@click.group()
def policy() -> None:
    """The rules: what may, must, and must not happen without a human."""


@policy.command()
@click.option("--json", "as_json", is_flag=True)
def check(as_json: bool) -> None:
    """Check the pack and your org folder, and probe them in a running OPA. Changes nothing."""
    settings = load()
    with tempfile.TemporaryDirectory(prefix="pdp-") as folder:
        pack = _built(settings, Path(folder))
        asyncio.run(_probe(settings, pack, Path(folder)))
    record = {"revision": pack.revision, "rules": sorted(pack.rules)}
    said = f"{len(pack.rules)} rules, checked and probed: {pack.revision}"
    click.echo(json.dumps(record) if as_json else said)


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
@click.option("--url", help="Where the PDP is; default: PDP_HOST and PDP_PORT.")
@click.option("--key-file", type=click.Path(path_type=Path, dir_okay=False, exists=True), required=True)
@click.option("--json", "as_json", is_flag=True)
def activate(url: str | None, key_file: Path, as_json: bool) -> None:
    """Let the running PDP read its policy folders again, now. The key in KEY_FILE needs the scope `policy`."""
    settings = load()
    reply = asyncio.run(_ordered(url or f"http://{settings.host}:{settings.port}", key_file.read_text("utf-8").strip()))
    said = json.loads(reply.body)
    if reply.status != OK:
        problems = [f"\n  {Problem(**found)}" for found in said.get("problems", [])]
        raise Fault(f"{said['title']}{''.join(problems)}")
    change = {name: codes for name, codes in said["change"].items() if codes}
    lines = [said["revision"], *(f"{name:8} {', '.join(codes)}" for name, codes in change.items())]
    click.echo(json.dumps(said) if as_json else "\n".join([*lines, *([] if change else ["nothing changed"])]))


async def _ordered(url: str, key: str) -> Reply:
    client = JsonClient(url, {"Authorization": f"Bearer {key}"}, MAX_REPLY)
    try:
        return await client.post("/v1/policy/activate", b"", ACTIVATES_WITHIN_S)
    finally:
        await client.close()


@policy.command()
def schema() -> None:
    """Print the JSON schema of the policy input, which a pack carries as schemas/input.json."""
    click.echo(input_schema_text(), nl=False)


def _built(settings: Settings, folder: Path) -> Pack:
    return build_pack(_opa(settings), settings.policy_dir or default_pack_dir(), settings.org_dir, folder)


async def _probe(settings: Settings, pack: Pack, folder: Path) -> None:
    engine = await LocalOpa.start(_opa(settings), pack.bundle, pack.revision, folder / "run")
    try:
        await probe(engine, pack)
    finally:
        await engine.close()


def _opa(settings: Settings) -> Path:
    return find(OPA, places(OPA, os.environ, settings.opa_binary)).path
