"""`pdp why ID`: what was decided, on which facts, by which rules in which words, at which revisions."""

import json
import tarfile
from pathlib import Path
from typing import Any

import click

from ..audit.entry import Entry
from ..audit.read import find_entries
from ..errors import Fault
from ..settings import load

FACTS = ("caller", "tool", "arguments", "facts", "context")
FOLDERS = ("permits.", "guards.", "gates.", "duties.")


@click.command()
@click.argument("decision")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def why(decision: str, as_json: bool) -> None:
    """Explain a recorded decision, DECISION (dec_...). Reads the logs in PDP_DATA_DIR."""
    data_dir = load().data_dir
    entries = find_entries(data_dir, decision)
    if not entries or entries[0].kind != "decision":
        raise Fault(f"No log under {data_dir / 'log'} holds {decision}: check the id, and PDP_DATA_DIR.")
    told = explain(entries, data_dir)
    click.echo(json.dumps(told) if as_json else "\n".join(lines(told)))


def explain(entries: list[Entry], data_dir: Path) -> dict[str, Any]:
    """Return what `pdp why` shows: the record, the text of every rule that spoke, and the outcome."""
    record = entries[0].body
    revision = record["revisions"].get("policy")
    spoke = [*(reason["code"] for reason in record["reasons"]), *record.get("permits", [])]
    codes = [code for code in spoke if code.startswith(FOLDERS) and code != "permits.none"]
    rules, missing = rule_texts(data_dir / "policy", revision, codes) if revision else ({}, "")
    return {
        "record": record,
        "at": entries[0].at,
        "receipt": {"origin": entries[0].origin, "index": entries[0].index},
        "rules": rules,
        **({"rules_missing": missing} if missing else {}),
        "outcomes": [entry.body["outcome"] for entry in entries if entry.kind == "outcome"],
    }


def rule_texts(archive: Path, revision: str, codes: list[str]) -> tuple[dict[str, str], str]:
    """Return the source of rules as they stood at a policy revision, and a sentence when it cannot be had."""
    bundle = archive / f"{revision.removeprefix('sha256:')}.tar.gz"
    try:
        with tarfile.open(bundle) as tar:
            files = {member.name.lstrip("/"): tar.extractfile(member) for member in tar.getmembers()}
            wanted = {code: files.get(code.replace(".", "/") + ".rego") for code in codes}
            return {code: file.read().decode() for code, file in wanted.items() if file}, ""
    except (OSError, tarfile.TarError):
        return {}, f"the policy {revision} is not in {archive}: restore its bundle to see the rules"


def lines(told: dict[str, Any]) -> list[str]:
    """Return the explanation as text for a person."""
    record = told["record"]
    tool = record["tool"]
    shown = [
        f"{record['id']}  {record['decision'].upper()}  {_safe(tool['server'])}/{_safe(tool['name'])}  {told['at']}",
        f"recorded   {told['receipt']['origin']} #{told['receipt']['index']}, asked by {record['pep']}",
        *(f"revision   {name} {value}" for name, value in record["revisions"].items()),
    ]
    for reason in record["reasons"]:
        shown += [f"because    {reason['code']}: {reason['title']}", f"           {reason['remedy']}"]
    shown += [f"permitted  {code}" for code in record.get("permits", [])]
    shown += [f"note       {_safe(record['note'])}"] if record.get("note") else []
    shown += _risk(record["risk"]) if "risk" in record else []
    facts = record["input"]
    shown += [f"{name:10} {json.dumps(facts[name])}" for name in FACTS if name in facts]
    shown += [f"masked     {_safe(pointer)}" for pointer in record.get("masked", [])]
    shown += [f"outcome    {json.dumps(outcome)}" for outcome in told["outcomes"]]
    shown += [f"rules      {told['rules_missing']}"] if "rules_missing" in told else []
    for code, text in told["rules"].items():
        shown += ["", f"--- {code} as it stood at that revision", text.rstrip()]
    return shown


def _risk(risk: dict[str, Any]) -> list[str]:
    """Return the score, what it is made of, and what was not known."""
    unknown = [name for name, known in risk["coverage"].items() if not known]
    evidence = [
        f"           {item['points']:6.2f}  {_safe(item['code'])} since {item['since']}, says {_safe(item['source'])}"
        for item in risk["evidence"]
    ]
    head = f"risk       {risk['score']:6.2f}  {risk['level']}"
    return [head, *evidence, *([f"           not known: {', '.join(unknown)}"] if unknown else [])]


def _safe(text: str) -> str:
    """Return what a caller may have chosen in a form that moves no cursor and hides no character."""
    return json.dumps(text)[1:-1]
