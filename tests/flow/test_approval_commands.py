"""`pdp approvals`, `pdp approve` and `pdp deny`: people answer at a prompt, with a token of their own."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.commands import Done, run
from tests.conftest import ROOT
from tests.console import Stage, console_running

pytestmark = [pytest.mark.promise("approvals.commands"), pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with console_running(tmp_path_factory.mktemp("commands")) as stage:
        yield stage


class Prompt:
    """A shell of one person."""

    def __init__(self, stage: Stage, folder: Path, subject: str) -> None:
        self._token = folder / f"{subject}.jwt"
        self._token.write_text(stage.token(subject))
        self._url = stage.url

    async def run(self, *arguments: str, typed: str = "", url: str = "") -> Done:
        """Run `pdp` and return what came of it."""
        environ = {**os.environ, "PDP_TOKEN_FILE": str(self._token)}
        given = [*arguments, "--url", url or self._url]
        return await asyncio.to_thread(run, *given, environ=environ, cwd=ROOT, typed=typed)


async def test_a_call_is_listed_shown_approved_after_a_look_and_runs(stage: Stage, tmp_path: Path) -> None:
    identifier = await stage.asked(arguments={"order": "o-2", "amount": 7601})
    carol = Prompt(stage, tmp_path, "u-carol")
    listed = await carol.run("approvals", "list")
    assert [line for line in listed.stdout.splitlines() if identifier in line and "payments/create_refund" in line]
    shown = await carol.run("approvals", "show", identifier)
    for said in ("argument   amount = 7601", "for        alice", "asks       gates.amount", "stage      peer: 1"):
        assert said in shown.stdout
    left = await carol.run("approve", identifier, typed="n\n")
    assert (left.returncode, "amount = 7601" in left.stdout) == (1, True)
    done = await carol.run("approve", identifier, typed="y\n")
    assert (done.returncode, f"{identifier}  approved" in done.stdout) == (0, True), done.stderr
    assert (await stage.ask(arguments={"order": "o-2", "amount": 7601}))["decision"] == "allow"


async def test_a_no_carries_what_was_said_to_the_agent_and_ends_the_watch(stage: Stage, tmp_path: Path) -> None:
    arguments = {"order": "o-2", "amount": 7602}
    identifier, carol = await stage.asked(arguments=arguments), Prompt(stage, tmp_path, "u-carol")
    watching = asyncio.create_task(carol.run("approvals", "watch", identifier))
    done = await carol.run("deny", identifier, "--feedback", "Ask for the invoice.", "--json")
    assert json.loads(done.stdout)["status"]["status"] == "denied"
    watched = await watching
    assert (watched.returncode, "denied" in watched.stdout) == (0, True)
    told = await stage.ask(arguments=arguments)
    assert (told["decision"], "Ask for the invoice." in json.dumps(told)) == ("deny", True)


async def test_nobody_approves_their_own_call_and_strangers_see_none(stage: Stage, tmp_path: Path) -> None:
    identifier = await stage.asked(arguments={"order": "o-2", "amount": 7603})
    own = await Prompt(stage, tmp_path, "u-alice").run("approve", identifier, "--yes")
    assert (own.returncode, "approvals.own_call" in own.stderr) == (1, True)
    stranger = Prompt(stage, tmp_path, "u-bob")
    assert identifier not in (await stranger.run("approvals", "list")).stdout
    shown = await stranger.run("approvals", "show", identifier)
    assert (shown.returncode, "approvals.unknown" in shown.stderr) == (1, True)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://127.0.0.1:9", "does not answer"),
        ("http://pdp.example", "could be read on the way"),
        ("the issuer", "not as a PDP does: correct --url"),
    ],
)
async def test_a_wrong_address_is_said_in_a_sentence(url: str, says: str, stage: Stage, tmp_path: Path) -> None:
    place = str(stage.settings.issuers[0].issuer) if url == "the issuer" else url
    done = await Prompt(stage, tmp_path, "u-carol").run("approvals", "list", url=place)
    assert (done.returncode, says in done.stderr, "Traceback" in done.stderr) == (1, True, False), done.stderr
