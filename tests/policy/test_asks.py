"""Tables say whom a call is put to, who may vote and when it is enough; the policy must agree, on both engines."""

import json
from pathlib import Path

import pytest

from pdp.policy.asks import try_asks
from pdp.policy.cases import read_table
from pdp.policy.pack import Pack, default_pack_dir
from pdp.policy.problem import PackRefused
from pdp.policy.sources import Text
from pdp.policy.trials import cases_of
from tests.policy.command import pdp
from tests.policy.engine import Asked

pytestmark = pytest.mark.promise("approvals.rules")
FILE = "cases/approvals.yaml"
TABLE = (default_pack_dir() / FILE).read_text()


class Engine:
    """What asks a running policy, as an engine."""

    def __init__(self, asked: Asked, revision: str) -> None:
        self._asked = asked
        self.revision = revision

    async def evaluate(self, entrypoint: str, document: bytes, _deadline: float) -> bytes:
        """Return the answer as JSON."""
        return json.dumps(self._asked(entrypoint, json.loads(document))).encode()

    async def close(self) -> None:
        """There is nothing to close."""


async def wrong(table: str, asked: Asked, pack: Pack) -> list[tuple[int, str]]:
    """Return the line and text of what a table says wrongly of approvals."""
    cases = cases_of({FILE: read_table(Text(FILE, table))})
    return [(problem.line, problem.what) for problem in await try_asks(Engine(asked, pack.revision), pack, cases)]


async def test_calls_are_put_to_whom_the_table_says(asked: Asked, pack: Pack) -> None:
    assert pack.tables[FILE].cases[0].asks is not None
    assert await wrong(TABLE, asked, pack) == []


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("stages: [peer, high_risk]", "stages: [peer]", "passes the stages peer, high_risk; the table says peer."),
        ("frank: [], gone", "frank: [peer], gone", "lets frank vote in none; the table says peer."),
        ("alice: [], carol: [peer], dave", "alice: [peer], carol: [peer], dave", "lets alice vote in none"),
        ("carol: [], kim", "carol: [peer], kim", "lets carol vote in none; the table says peer."),
        ("{agree: [kim], then: open}", "{agree: [kim], then: satisfied}", "is, with the yes of kim, open"),
        (
            "{agree: [carol, sam], then: satisfied}",
            "{agree: [carol, sam], then: open}",
            "satisfied; the table says open",
        ),
        ("{refuse: [frank], then: open}", "{refuse: [frank], then: rejected}", "is, with the no of frank, open"),
        ("{then: open}", "{then: satisfied}", "is, with no votes, open; the table says satisfied."),
    ],
)
async def test_a_table_that_says_otherwise_is_named(old: str, new: str, says: str, asked: Asked, pack: Pack) -> None:
    found = await wrong(TABLE.replace(old, new), asked, pack)
    assert found
    assert all(says in what and line > 0 for line, what in found)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("agree: [frank, gone]", "agree: [nobody]", "'nobody' is defined nowhere"),
        ("expect: needs_approval", "expect: allow", "nobody is asked about a call that comes out as allow"),
        ("then: rejected", "then: perhaps", "perhaps"),
    ],
)
def test_a_table_of_voters_that_cannot_be_is_refused(old: str, new: str, says: str) -> None:
    with pytest.raises(PackRefused, match=says):
        read_table(Text(FILE, TABLE.replace(old, new)))


def test_pdp_try_tells_when_others_are_asked(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(TABLE.replace("frank: [], gone", "frank: [peer], gone"))
    done = pdp("try", "mine.yaml", cwd=tmp_path)
    assert done.returncode == 1
    assert "lets frank vote in none; the table says peer." in done.stdout
