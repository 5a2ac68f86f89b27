"""`pdp policy`: check the rules and build the bundle that OPA loads."""

import asyncio
import json
import tempfile
from pathlib import Path

import click

from ..engine.local import LocalOpa
from ..errors import Fault
from ..net import JsonClient, NoReply, Reply
from ..policy.archive import read_archive, write_archive
from ..policy.bundle import read_content
from ..policy.keys import SigningKey, read_keys, read_signing_key
from ..policy.pack import Pack, build_pack, probe
from ..policy.problem import Problem
from ..policy.schema import input_schema_text
from ..policy.sign import sign, verify
from ..settings import Settings, load
from ..times import system_clock
from .check import check
from .lines import client_at, place_of, secret_in
from .new import new
from .policy_diff import diff
from .policy_docs import docs
from .running import opa_of, pack_dir

ACTIVATES_WITHIN_S = 60.0  # half a second is usual; the machine may be loaded, and another activation under way
MAX_REPLY = 1024 * 1024  # bytes; a refusal names each problem in a line
OK = 200


@click.group()
def policy() -> None:
    """The rules: what may, must, and must not happen without a human."""


for command in (new, check, diff, docs):
    policy.add_command(command)


@policy.command()
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), default="policy.tar.gz", show_default=True)
@click.option(
    "--sign",
    "key_file",
    metavar="KEY.pem",
    type=click.Path(path_type=Path),
    help="Sign it with this private key, for a PDP or an OPA that knows the public one.",
)
@click.option("--key-id", help="The name of that key where it is checked; default: KEY.")
@click.option("--json", "as_json", is_flag=True)
def build(output: Path, key_file: Path | None, key_id: str | None, as_json: bool) -> None:
    """Check the pack and your org folder, and write the bundle to serve (PDP_POLICY_BUNDLE), or for a sidecar."""
    key = read_signing_key(key_file, key_id) if key_file else None
    settings = load()
    with tempfile.TemporaryDirectory(prefix="pdp-") as folder:
        pack = _built(settings, Path(folder))
        asyncio.run(_probe(settings, pack, Path(folder)))
        output.write_bytes(_sealed(pack.bundle, key))
    record = {"revision": pack.revision, "bundle": str(output)} | ({"key_id": key.id} if key else {})
    click.echo(json.dumps(record) if as_json else "  ".join([str(output), pack.revision, *([key.id] if key else [])]))


@policy.command("verify")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True)
def verify_(bundle: Path, as_json: bool) -> None:
    """Check who signed BUNDLE (PDP_POLICY_KEYS) and that it is whole; its rules are checked where it is served."""
    keys = load().policy_keys
    if keys is None:
        raise Fault("PDP_POLICY_KEYS is not set: name the public keys that may sign a policy.")
    files = read_archive(bundle)
    signed = verify(files, bundle, read_keys(keys), system_clock())
    record = {"revision": read_content(files, bundle).revision, "key_id": signed.key_id, "issued_at": signed.issued_at}
    click.echo(json.dumps(record) if as_json else "  ".join(record.values()))


@policy.command()
@click.option("--url", help="Where the PDP is; default: PDP_PUBLIC_URL, or PDP_HOST and PDP_PORT.")
@click.option("--key-file", type=click.Path(path_type=Path, dir_okay=False, exists=True), required=True)
@click.option("--json", "as_json", is_flag=True)
def activate(url: str | None, key_file: Path, as_json: bool) -> None:
    """Let the running PDP read its policy folders again, now. The key in KEY_FILE needs the scope `policy`."""
    settings = load()
    place = place_of(settings, url)
    reply = asyncio.run(_ordered(place, client_at(settings, place, secret_in(key_file), MAX_REPLY)))
    try:
        said = json.loads(reply.body)
    except ValueError:
        raise Fault(f"{place} answered {reply.status}, and not as a PDP does: correct --url.") from None
    if reply.status != OK:
        problems = [f"\n  {Problem(**found)}" for found in said.get("problems", [])]
        raise Fault(f"{said['title']}{''.join(problems)}")
    change = {name: codes for name, codes in said["change"].items() if codes}
    lines = [said["revision"], *(f"{name:8} {', '.join(codes)}" for name, codes in change.items())]
    click.echo(json.dumps(said) if as_json else "\n".join([*lines, *([] if change else ["nothing changed"])]))


async def _ordered(place: str, client: JsonClient) -> Reply:
    try:
        return await client.post("/v1/policy/activate", b"", ACTIVATES_WITHIN_S)
    except NoReply as away:
        raise Fault(f"The PDP at {place} does not answer ({away}): is this its address?") from None
    finally:
        await client.close()


@policy.command()
def schema() -> None:
    """Print the JSON schema of the policy input.

    A pack carries it as schemas/input.json.
    """
    click.echo(input_schema_text(), nl=False)


def _sealed(bundle: Path, key: SigningKey | None) -> bytes:
    if key is None:
        return bundle.read_bytes()
    return write_archive(sign(read_archive(bundle), key, system_clock()))


def _built(settings: Settings, folder: Path) -> Pack:
    return build_pack(opa_of(settings), pack_dir(settings), settings.org_dir, folder)


async def _probe(settings: Settings, pack: Pack, folder: Path) -> None:
    engine = await LocalOpa.start(opa_of(settings), pack.bundle, pack.revision, folder / "run")
    try:
        await probe(engine, pack)
    finally:
        await engine.close()
