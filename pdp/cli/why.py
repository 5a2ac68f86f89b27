"""`pdp why ID`: a recorded decision judged again: which rules decided, on which facts, and what would change it."""

import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import click
import msgspec

from ..audit.entry import Entry
from ..audit.read import find_entries
from ..engine.binary import OPA, find, places
from ..errors import Fault
from ..policy.archive import read_archive
from ..policy.bundle import read_bundle, read_content
from ..policy.compiler import Compiler
from ..policy.explain import explain, floor_of
from ..policy.problem import PackRefused
from ..policy.replay import judging
from ..policy.revisions import bundle_of
from ..settings import Settings, load
from .why_lines import lines


@click.command()
@click.argument("decision")
@click.option("--all", "everything", is_flag=True, help="Also what would have made it worse, and every change found.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def why(decision: str, everything: bool, as_json: bool) -> None:
    """Explain a recorded decision, DECISION (dec_...). Reads the logs in PDP_DATA_DIR.

    It is judged again by the policy of its revision, in an OPA of its own. Exit status 1 when the answer is another
    than the recorded one, or the archived policy is not what it was: the log or the archive was changed.
    """
    settings = load()
    entries = find_entries(settings.data_dir, decision)
    if not entries or entries[0].kind != "decision":
        raise Fault(f"No log under {settings.data_dir / 'log'} holds {decision}: check the id, and PDP_DATA_DIR.")
    told = _recorded(entries) | _explained(entries[0].body, settings, everything=everything)
    click.echo(json.dumps(told) if as_json else "\n".join(lines(told, everything=everything)))
    sys.exit(1 if told["changed"] else 0)


def _recorded(entries: list[Entry]) -> dict[str, Any]:
    return {
        "record": entries[0].body,
        "at": entries[0].at,
        "receipt": {"origin": entries[0].origin, "index": entries[0].index},
        "outcomes": [entry.body["outcome"] for entry in entries if entry.kind == "outcome"],
        "rules": {},
        "changed": "",
    }


def _explained(record: dict[str, Any], settings: Settings, *, everything: bool) -> dict[str, Any]:
    """Return what can be said beyond the record, and, as `rules_missing`, why the rest cannot."""
    revision = record["revisions"].get("policy")
    if revision is None:
        floors = [floor_of(reason["code"]) for reason in record["reasons"]]
        return {"floor": msgspec.to_builtins(floors[0])} if floors and floors[0] else {}
    try:
        bundle = bundle_of(settings.data_dir / "policy", revision)
    except Fault as missing:
        return {"rules_missing": str(missing)}
    try:
        content = read_content(read_archive(bundle), bundle)
    except PackRefused as changed:
        return {"changed": str(changed)}
    if content.revision != revision:
        return {"changed": f"{bundle} holds the policy {content.revision}, not {revision}: restore its bundle."}
    texts = {source.code: source.text for source in content.sources}
    try:
        opa = find(OPA, places(OPA, os.environ, settings.opa_binary)).path
    except Fault as absent:
        codes = [*(reason["code"] for reason in record["reasons"]), *record.get("permits", [])]
        return {"rules": {code: texts[code] for code in codes if code in texts}, "rules_missing": str(absent)}
    return asyncio.run(_judged(record, bundle, opa, texts, everything=everything))


async def _judged(
    record: dict[str, Any], bundle: Path, opa: Path, texts: dict[str, str], *, everything: bool
) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="pdp-") as folder:
        modules = await asyncio.to_thread(Compiler(opa).parse, texts, Path(folder))
    async with judging(read_bundle(bundle), opa) as judge:
        explained = await explain(record, judge, modules, everything=everything)
    return {
        **msgspec.to_builtins(explained),
        "rules": {rule.code: texts[rule.code] for rule in explained.deciding},
        "changed": _changed(explained.replayed.differs) if explained.replayed.tampered else "",
    }


def _changed(differs: list[str]) -> str:
    return (
        f"The policy of that revision answers otherwise on the recorded input: {', '.join(differs)}. The log or the "
        "archive was changed: run `pdp log verify`, and compare both with a copy kept elsewhere."
    )
