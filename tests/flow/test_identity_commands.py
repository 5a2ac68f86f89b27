"""`pdp identity`, run as an operator runs it: a process, a file, a database, an exit status."""

import json
import os
from pathlib import Path

import pytest

from tests.commands import Done, run

pytestmark = pytest.mark.promise("identity.commands")
FEED = """
source: corp-directory
people: [{id: alice, display: Alice, groups: [support]}, {id: bob}]
agents: [{id: bot, owners: [alice], max_impact: write, ceiling: ["payments/*"]}]
groups: [{id: support, roles: [{id: refunder, expires_at: 2020-01-01T00:00:00Z}]}]
roles:
  - id: refunder
    entitlements: [{permission: call, tool: payments/*, constraints: [{pointer: /amount, op: le, value: 5}]}]
delegations: [{person: alice, agent: bot, scope: ["payments/*"], max_impact: read, expires_at: 2099-01-01T00:00:00Z}]
"""


def pdp(folder: Path, *arguments: str) -> Done:
    """Run `pdp identity` on a database in `folder`."""
    environ = {**os.environ, "PDP_DATABASE_URL": f"sqlite+aiosqlite:///{folder / 'pdp.db'}"}
    return run("identity", *arguments, environ=environ, cwd=folder)


def feed(folder: Path, text: str = FEED) -> str:
    path = folder / "people.yaml"
    path.write_text(text)
    return str(path)


def test_an_import_prints_every_row_it_changes_and_the_second_prints_none(tmp_path: Path) -> None:
    first = pdp(tmp_path, "import", feed(tmp_path))
    assert first.returncode == 0, first.stderr
    lines = first.stdout.splitlines()
    assert "+ principals alice" in lines
    assert "+ memberships principal alice support" in lines
    assert lines[-1] == "Rows changed: 10."
    assert pdp(tmp_path, "import", feed(tmp_path)).stdout == "Nothing to change.\n"
    changed = pdp(tmp_path, "import", feed(tmp_path, FEED.replace("{id: bob}", "{id: bob, status: disabled}")))
    assert changed.stdout.splitlines()[0] == "~ principals bob: status: active -> disabled"
    as_json = pdp(tmp_path, "import", feed(tmp_path), "--json")
    assert [(row["action"], row["key"]) for row in json.loads(as_json.stdout)] == [("changed", "bob")]


def test_show_explains_every_right_and_its_way(tmp_path: Path) -> None:
    pdp(tmp_path, "import", feed(tmp_path))
    shown = pdp(tmp_path, "show", "alice")
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.splitlines() == [
        "person alice (Alice), active",
        "  group  support",
        "  role   refunder, by group:support, expired 2020-01-01T00:00:00Z",
        "  may call payments/*, /amount le 5, by role:refunder by group:support, expired 2020-01-01T00:00:00Z",
        "  delegates payments/* (at most read) to bot, until 2099-01-01T00:00:00Z",
    ]
    data = json.loads(pdp(tmp_path, "show", "alice", "--json").stdout)
    assert data["rights"][0]["way"] == ["role:refunder", "group:support"]
    assert data["rights"][0]["expired"] is True
    agent = pdp(tmp_path, "show", "bot").stdout.splitlines()
    assert agent == ["agent bot (no name), active", "  owned by alice; at most write", "  ceiling  payments/*"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("source: s\npeople: [{id: a, grops: [x]}]", "unknown field `grops` - at `$.people[0]`"),
        ("source: s\npeople: [{id: a, groups: [x]}]", "groups that nobody has registered: x"),
        ("source: [", "not YAML"),
    ],
)
def test_a_feed_that_is_wrong_ends_with_a_sentence_and_a_status(text: str, says: str, tmp_path: Path) -> None:
    done = pdp(tmp_path, "import", feed(tmp_path, text))
    assert done.returncode == 1
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_someone_nobody_knows_ends_with_a_sentence_and_a_status(tmp_path: Path) -> None:
    done = pdp(tmp_path, "show", "nobody")
    assert done.returncode == 1
    assert "Nobody is registered as nobody" in done.stderr


def test_a_dry_run_prints_the_difference_and_changes_nothing(tmp_path: Path) -> None:
    dry = pdp(tmp_path, "import", feed(tmp_path), "--dry-run")
    assert dry.stdout.splitlines()[-1] == "Rows that would change: 10."
    assert pdp(tmp_path, "show", "alice").returncode == 1


def test_pruning_is_for_the_feeds_own_source_only(tmp_path: Path) -> None:
    pdp(tmp_path, "import", feed(tmp_path))
    less = feed(tmp_path, "source: corp-directory\npeople: [{id: bob}]")
    wrong = pdp(tmp_path, "import", less, "--prune", "hr")
    assert (wrong.returncode, "it cannot prune hr" in wrong.stderr) == (1, True)
    assert "- principals alice" in pdp(tmp_path, "import", less, "--prune", "corp-directory").stdout.splitlines()
    assert pdp(tmp_path, "show", "alice").returncode == 1


@pytest.mark.promise("store.kills")
def test_who_is_revoked_is_shown_as_revoked_until_reinstated(tmp_path: Path) -> None:
    pdp(tmp_path, "import", feed(tmp_path))
    done = pdp(tmp_path, "revoke", "agent", "bot", "--everything", "--reason", "prompt injection")
    assert done.returncode == 0, done.stderr
    assert [line.split()[:2] for line in done.stdout.splitlines()] == [["revoked", "agent"], ["revoked", "delegation"]]
    assert pdp(tmp_path, "revoke", "agent", "bot", "--reason", "again").stdout == "Nothing to change.\n"
    pdp(tmp_path, "import", feed(tmp_path))
    assert pdp(tmp_path, "show", "bot").stdout.splitlines()[0] == "agent bot (no name), revoked"
    assert pdp(tmp_path, "show", "alice").stdout.splitlines()[-1].endswith(", revoked")
    back = pdp(tmp_path, "reinstate", "agent", "bot", "--reason", "fixed", "--json")
    assert json.loads(back.stdout) == {"reinstated": [{"kind": "agent", "id": "bot", "issuer": ""}]}
    assert pdp(tmp_path, "show", "bot").stdout.splitlines()[0] == "agent bot (no name), active"


@pytest.mark.promise("store.kills")
@pytest.mark.parametrize("words", [("person", "nobody"), ("client", "c-1"), ("person", "alice", "--issuer", "i")])
def test_a_revocation_that_would_stop_nobody_ends_with_a_sentence_and_a_status(
    words: tuple[str, ...], tmp_path: Path
) -> None:
    pdp(tmp_path, "import", feed(tmp_path))
    done = pdp(tmp_path, "revoke", *words, "--reason", "test")
    assert (done.returncode, done.stdout, "Traceback" in done.stderr) == (1, "", False)


def test_show_says_to_whom_an_agent_may_hand_on(tmp_path: Path) -> None:
    common = {"owners": [], "max_impact": "read", "ceiling": ["payments/*"]}
    bot = {"id": "bot", "subagents": [{"agent": "helper", "scope": ["payments/get_*"]}], **common}
    people = {"source": "test", "agents": [bot, {"id": "helper", **common}]}
    done = pdp(tmp_path, "import", feed(tmp_path, json.dumps(people)))
    assert done.returncode == 0, done.stderr
    assert "hands on payments/get_* to helper" in pdp(tmp_path, "show", "bot").stdout
    assert json.loads(pdp(tmp_path, "show", "bot", "--json").stdout)["subagents"][0]["child"] == "helper"
