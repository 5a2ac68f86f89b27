"""A secret in masked arguments, in tokens and in keys: whatever the service says or keeps, it is nowhere in it.

The whole of it is driven: decisions of every kind, errors, lists, outcomes, approvals over API and console, webhooks,
traces, metrics, and the commands that read what was recorded. Then every output and every file is searched.
"""

import base64
import json
import logging
from pathlib import Path
from typing import Any

import httpx
import pytest

from pdp.audit.office import Office
from pdp.dev.run import sample_definitions
from pdp.dev.seed import AUDIENCE, DIRECT_CLIENT
from pdp.identity.feed import read_feed
from pdp.identity.importer import import_feed
from pdp.query import ToolRef, definition_digest
from pdp.registry.labels import Review
from pdp.registry.review import approve
from tests.collector import collecting
from tests.console import Stage, console_running, sign_in
from tests.flow.test_notifications import SECRET, kept
from tests.flow.test_operator_commands import pdp as command
from tests.receiver import Receiver, receiving
from tests.service import add_pep

CANARY = "Canary-4711/jaune@example.com"
REVIEW = Review(risk_class="destructive", owner="care", argument_labels={"/customer": ["personal"]})
MADE_UP = '{"customer": ['


def spellings(secret: str) -> set[bytes]:
    """Return how a secret would stand in an output: as it is, in JSON, HTML, a URL or base64."""
    from html import escape
    from urllib.parse import quote

    whole = {secret, escape(secret), quote(secret), quote(secret, safe=""), json.dumps(secret)[1:-1]}
    return {text.encode() for text in whole} | {base64.b64encode(secret.encode()).rstrip(b"=")[:-2]}


class Heard:
    """Everything that came out, by what it came out of."""

    def __init__(self) -> None:
        self.outputs: list[tuple[str, bytes]] = []

    def note(self, what: str, response: httpx.Response) -> httpx.Response:
        """Keep an answer, its headers too."""
        head = "\n".join(f"{name}: {value}" for name, value in response.headers.items())
        self.outputs.append((what, head.encode() + response.content))
        return response

    def must_not_hold(self, secrets: dict[str, str]) -> None:
        """Search for the secrets in every spelling."""
        found = [
            f"{name} is in {what}"
            for what, content in self.outputs
            for name, secret in secrets.items()
            if any(spelt in content for spelt in spellings(secret))
        ]
        assert not found, "\n".join(found)


class Driver:
    """An adapter, a caller and an approver who keep all they hear."""

    def __init__(self, stage: Stage, http: httpx.AsyncClient, key: str, digest: str) -> None:
        self.stage, self.http, self.digest = stage, http, digest
        self.key = {"Authorization": f"Bearer {key}"}
        self.heard = Heard()
        self.tokens = {
            "alice": stage.token("u-alice", AUDIENCE, client=DIRECT_CLIENT),
            "carol": stage.token("u-carol"),
            "dora": stage.token("u-dora"),
        }

    @property
    def carol(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens['carol']}"}

    def query(self, **changes: Any) -> dict[str, Any]:
        """Return a call whose argument is the secret, which the prompt repeats."""
        tool = {"server": "payments", "name": "delete_customer", "definition_digest": self.digest}
        intent = {"prompt": f"please delete {CANARY} now", "model": "m"}
        return {
            "caller": {"access_token": self.tokens["alice"]},
            "tool": {**tool, **changes.pop("tool", {})},
            "arguments": {"customer": CANARY},
            "context": {"intent": intent, "request_id": f"for-{CANARY}"},
            **changes,
        }

    async def post(self, what: str, path: str, body: Any, **headers: str) -> httpx.Response:
        """Post as the adapter."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        given = {**self.key, "Content-Type": "application/json", **headers}
        return self.heard.note(what, await self.http.post(path, content=content, headers=given))

    async def get(self, what: str, path: str, headers: dict[str, str] | None = None) -> httpx.Response:
        """Get."""
        return self.heard.note(what, await self.http.get(path, headers=self.key if headers is None else headers))

    async def go_wrong(self) -> None:
        """Ask in every way that is refused."""
        ask = "/v1/decisions"
        await self.post("a deny", ask, self.query(tool={"name": "no_such_tool"}))
        await self.post("drift", ask, self.query(tool={"definition_digest": "sha256:" + "0" * 64}))
        await self.post("bad arguments", ask, self.query(arguments={"customer": {"of": CANARY}, CANARY: CANARY}))
        await self.post("a bad token", ask, self.query(caller={"access_token": f"{CANARY}.{CANARY}.{CANARY}"}))
        await self.post("a vouched caller", ask, self.query(caller={"asserted": {"person": "u-alice"}}))
        await self.post("broken JSON", ask, MADE_UP.encode() + json.dumps(self.query()).encode())
        await self.post("an unknown member", ask, {**self.query(), CANARY: CANARY})
        await self.post("a bad key", ask, self.query(), Authorization=f"Bearer pdp_x_{CANARY}")
        await self.post("a bad path", f"/v1/{CANARY.replace('/', '-')}", self.query())
        await self.post("a batch", f"{ask}/batch", {"decisions": [self.query(), {"caller": CANARY}]})
        body = {"caller": self.query()["caller"], "server": "payments", "tools": [{"name": "delete_customer"}]}
        await self.post("a list", "/v1/tools/visible", body)

    async def be_approved(self) -> str:
        """Ask, see it as an approver does, agree, and let it run; returns the decision."""
        asked = (await self.post("a question", "/v1/decisions", self.query())).json()
        assert asked["decision"] == "needs_approval", asked
        where = f"/v1/approvals/{asked['approval']['id']}"
        await self.get("the request", where, self.carol)
        await self.get("the request for the adapter", where)
        await self.get("all requests", "/v1/approvals", self.carol)
        await self.vote(where, "dora")
        await self.vote(where, "carol")
        allowed = (await self.post("an allow", "/v1/decisions", self.query())).json()
        assert allowed["decision"] == "allow", allowed
        outcome = {"disposition": "executed", "is_error": False, "duration_ms": 3}
        await self.post("an outcome", f"/v1/decisions/{allowed['id']}/outcome", outcome)
        again = (await self.post("a second question", "/v1/decisions", self.query())).json()
        await self.look_around(again["approval"]["id"], allowed["id"])
        return str(allowed["id"])

    async def vote(self, where: str, person: str) -> None:
        """Agree to what is shown."""
        signed_in = {"Authorization": f"Bearer {self.tokens[person]}", "Content-Type": "application/json"}
        shown = (await self.get("what is shown", where, signed_in)).json()
        body = {"vote": "approve", "presented_digest": shown["presented_digest"], "reason": "as agreed"}
        voted = await self.post("a vote", f"{where}/votes", body, **signed_in)
        assert voted.status_code == 200, voted.text

    async def look_around(self, request: str, decision: str) -> None:
        """Read what may be read: the console's pages, the record, metrics and descriptions."""
        async with httpx.AsyncClient(base_url=self.stage.url) as browser:
            self.heard.note("the first page", await sign_in(self.stage, browser))
            for path in (f"/console/approvals/{request}", "/console/past", "/console"):
                page = self.heard.note(path, await browser.get(path, follow_redirects=True))
                assert page.status_code in {200, 404}
        await self.stage.service.projected()
        found = await self.get("the record", f"/v1/decisions/{decision}")
        assert found.status_code == 200
        for path in ("/metrics", "/readyz", "/openapi.json", "/v1/policy"):
            await self.get(path, path)


def run_commands(driver: Driver, folder: Path, decision: str) -> None:
    """Run the commands that read what was recorded."""
    commands = [
        ["why", decision],
        ["log", "tail", "-n", "500", "--json"],
        ["log", "tail", "-n", "500"],
        ["log", "verify"],
        ["policy", "diff", "shipped", "configured"],
        ["keys", "list", "--json"],
        ["registry", "show", "payments/delete_customer"],
    ]
    for arguments in commands:
        done = command(folder, *arguments)
        driver.heard.outputs.append((f"pdp {' '.join(arguments[:2])}", (done.stdout + done.stderr).encode()))
        assert done.returncode == 0, done.stderr


def files_in(folder: Path, *besides: str) -> list[tuple[str, bytes]]:
    """Return every file there but those whose business the secret is."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(besides)]
    return [(str(path.relative_to(folder)), path.read_bytes()) for path in files]


async def prepared(stage: Stage) -> str:
    """Let the customer of a deletion be personal data, and two people approve it; returns the digest of the tool."""
    definition = next(one for one in await sample_definitions() if one["name"] == "delete_customer")
    digest, world = definition_digest(definition), stage.service.world
    office = Office(world.store, world.log, world.now)
    await approve(office, ToolRef("payments", "delete_customer", digest), REVIEW, "t")
    alias = {"issuer": stage.issuer.url, "subject": "u-dora"}
    feed = {"source": "more", "people": [{"id": "dora", "roles": ["approver"], "aliases": [alias]}]}
    await import_feed(office, read_feed(json.dumps({**feed, "roles": [{"id": "approver"}]}).encode()))
    await world.people.poll()
    await world.tools.poll()
    return digest


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.promise("record.nowhere")
async def test_a_secret_is_in_no_output_and_in_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.INFO, "aiosqlite")  # not ours: at `debug` it prints every parameter of every statement
    async with receiving() as receiver, collecting(monkeypatch) as collector:
        rest = told(receiver, tmp_path)
        async with console_running(tmp_path / "pdp", traces=True, **rest) as stage:
            key = await add_pep(stage.settings, stage.clock, scopes=["audit", "decide", "approvals", "policy"])
            await stage.service.peps.poll()
            async with httpx.AsyncClient(base_url=stage.url, timeout=30) as http:
                driver = Driver(stage, http, key, await prepared(stage))
                await driver.go_wrong()
                decision = await driver.be_approved()
            await receiver.until(1)
            await collector.tree(decision)
        run_commands(driver, tmp_path / "pdp" / "data", decision)
    heard, data_dir = driver.heard, tmp_path / "pdp" / "data"
    heard.outputs += [("webhooks", post.body + str(post.headers).encode()) for post in receiver.posts]
    heard.outputs += [("traces", collector.raw), ("our log", caplog.text.encode())]
    heard.outputs += files_in(data_dir, "pep.key", ".jwt")
    heard.must_not_hold({"the argument": CANARY, "the adapter's key": key, "the webhook's": SECRET, **driver.tokens})
    for name in ("mask.key", "log.key", "console.key"):
        secret = (data_dir / "keys" / name).read_bytes()
        beside = [(what, content) for what, content in heard.outputs if what != f"keys/{name}"]
        assert not [what for what, content in beside if secret in content or secret.hex().encode() in content]
    assert b"delete_customer" in collector.raw + b"".join(content for _, content in heard.outputs), (
        "or nothing was seen"
    )


def told(receiver: Receiver, folder: Path) -> dict[str, Any]:
    """Return the settings by which a receiver is told of approvals."""
    webhooks = ({"url": receiver.url, "secret_file": kept(folder / "hooks", SECRET)},)
    return {"webhooks": webhooks, "unsafe_webhook_private_addresses": True}


@pytest.mark.promise("record.nowhere")
def test_a_secret_that_is_said_is_found_in_every_spelling() -> None:
    heard = Heard()
    for spelt in spellings(CANARY):
        heard.outputs = [("an output", b'{"x": "' + spelt + b'"}')]
        with pytest.raises(AssertionError, match="the argument is in an output"):
            heard.must_not_hold({"the argument": CANARY})
