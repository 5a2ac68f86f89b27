"""The console without a browser: who gets in, what a form must carry, and what no page ever does."""

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import msgspec
import pytest
import pytest_asyncio
from sqlalchemy import update
from starlette.requests import Request
from starlette.responses import Response

from pdp.console.cookies import Cookie, Session, SignIn
from pdp.console.events import MAX_STREAMS
from pdp.dev.browse import hidden_field
from pdp.dev.issuer import DevIssuer
from pdp.dev.seed import AUDIENCE
from pdp.query import ToolRef
from pdp.registry.review import quarantine
from pdp.store.sql import transaction
from pdp.store.tables import approval_requests
from tests.console import REFUND, Stage, console_running, sign_in

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]
HOSTILE = '<script src="//evil.example/x.js"></script><img src=x onerror=alert(1)> \u202eevil\u200b p\u0430ypal'
FORM = "application/x-www-form-urlencoded"
FORMS = ("votes", "cancel", "revoke")
NOBODY: dict[str, Any] = {"roles": ["nobody"], "groups": [], "rights": [], "relations": []}
PAGES = ("/console", "/console/history", "/console/approvals/{}", "/console/login", "/console/nowhere")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with console_running(tmp_path_factory.mktemp("console")) as stage:
        yield stage


@pytest_asyncio.fixture(loop_scope="module")
async def own(tmp_path: Path) -> AsyncIterator[Stage]:
    """Return a stage whose clock a test may move."""
    async with console_running(tmp_path) as stage:
        yield stage


@asynccontextmanager
async def visit(stage: Stage, subject: str | None = "u-carol") -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client with cookies of its own; signed in, unless nobody is named."""
    async with httpx.AsyncClient(base_url=stage.url, timeout=20) as client:
        if subject:
            assert (await sign_in(stage, client, subject)).status_code == 200
        yield client


async def form_of(client: httpx.AsyncClient, identifier: str) -> dict[str, str]:
    page = (await client.get(f"/console/approvals/{identifier}")).text
    return {name: hidden_field(page, name) for name in ("form_secret", "presented_digest")}


async def send(
    stage: Stage, client: httpx.AsyncClient, identifier: str, headers: Any = None, **fields: str
) -> httpx.Response:
    """Send the form of a request as the browser does, with fields and headers changed as given."""
    given = {**await form_of(client, identifier), "vote": "approve", "reason": "", **fields}
    own_headers = {"Origin": stage.url, "Sec-Fetch-Site": "same-origin"} if headers is None else headers
    return await client.post(f"/console/approvals/{identifier}/votes", data=given, headers=own_headers)


async def state(stage: Stage, identifier: str) -> tuple[str, int]:
    """Return the state of a request and the number of votes on it."""
    found = await stage.service.voting.found(identifier)
    return found.request["state"], len(found.votes)


def sealed(stage: Stage, token: str, cookie: str = "pdp-console") -> dict[str, str]:
    """Return the cookie of a session with any token, sealed with the service's own key."""
    key = (stage.settings.data_dir / "keys" / "console.key").read_bytes()
    response = Response()
    Cookie(cookie, Session, 3600, key, secure=False).give(response, Session(token, "form secret"), stage.clock)
    name, _, value = response.headers["set-cookie"].partition(";")[0].partition("=")
    return {name: value}


@pytest.mark.promise("console.answers")
async def test_a_person_signs_in_sees_the_call_and_approves_it_and_it_runs_once(stage: Stage) -> None:
    answer = await stage.ask()
    identifier = answer["approval"]["id"]
    assert answer["approval"]["url"] == f"{stage.url}/console/approvals/{identifier}"
    async with visit(stage) as client:
        assert f"/console/approvals/{identifier}" in (await client.get("/console")).text
        page = (await client.get(f"/console/approvals/{identifier}")).text
        for said in ("create_refund", "7500", "Alice Ames (alice)", "gates.amount", "session.strength_unknown", "peer"):
            assert said in page
        done = await send(stage, client, identifier)
        assert (done.status_code, done.headers["location"]) == (303, f"/console/approvals/{identifier}")
        assert "You approved this" in (await client.get(done.headers["location"])).text
        assert (await stage.ask())["decision"] == "allow"
        assert "The call ran." in (await client.get(done.headers["location"])).text
        assert identifier in (await client.get("/console/history")).text
    assert (await stage.ask())["decision"] == "needs_approval"


@pytest.mark.promise("console.answers")
async def test_a_no_tells_the_agent_what_was_said(stage: Stage) -> None:
    call = {**REFUND, "amount": 7501}
    identifier = await stage.asked(arguments=call)
    async with visit(stage) as client:
        await send(stage, client, identifier, vote="deny", reason="Ask for the <invoice> first.")
        page = (await client.get(f"/console/approvals/{identifier}")).text
    assert "Ask for the &lt;invoice&gt; first." in page
    told = await stage.ask(arguments=call)
    assert (told["decision"], told["reasons"][0]["remedy"]) == ("deny", "They say: Ask for the <invoice> first.")


@pytest.mark.promise("console.answers")
async def test_the_page_shows_what_differs_from_the_last_approved_call(own: Stage) -> None:
    await own.vote(await own.asked(arguments={"order": "o-1", "amount": 6200}))
    identifier = await own.asked(arguments={"order": "o-1", "amount": 9000})
    async with visit(own) as client:
        page = (await client.get(f"/console/approvals/{identifier}")).text
    rows = {row.partition('scope="row">')[2].partition("<")[0].strip(): row for row in page.split("<tr class=")[1:]}
    assert rows["order"].startswith('"same"')
    assert rows["amount"].startswith('"changed"')
    assert "was <del>6200</del>" in rows["amount"]


@pytest.mark.promise("console.answers")
async def test_the_page_shows_what_was_refused_before_to_those_who_may_see_it(own: Stage) -> None:
    call = {**REFUND, "amount": 9100}
    approved = await own.asked(arguments={**REFUND, "amount": 9101})
    await own.vote(approved)
    first = await own.asked(arguments=call)
    await own.vote(first, vote="deny", reason="Not without <b>an invoice</b>\u202e.")
    deleting = await own.asked("delete_customer", {"customer": "c-9"})
    await own.vote(deleting, vote="deny", reason="Another tool.")
    await own.later(3600)
    again, other = await own.asked(arguments=call), await own.asked(arguments={**REFUND, "amount": 9102})
    async with visit(own) as client, visit(own, "u-alice") as alice:
        pages = [(await one.get(f"/console/approvals/{again}")).text for one in (client, alice)]
        another = (await client.get(f"/console/approvals/{other}")).text
        earlier = (await client.get(f"/console/approvals/{first}")).text
    for page in pages:
        part = page.partition('aria-label="Refused before"')[2].partition("</section>")[0]
        assert part.count("<li>") == 1
        assert f"/console/approvals/{first}" in part
        assert "this very call" in part
        assert "Not without &lt;b&gt;an invoice&lt;/b&gt;&lt;U+202E&gt;." in part
    assert "Not without" in another
    assert "this very call" not in another
    assert "Refused before" not in earlier  # it was the first


@pytest.mark.promise("console.answers")
async def test_what_others_were_asked_and_refused_is_not_shown_to_who_may_not_see_it(own: Stage) -> None:
    first = await own.asked(arguments={**REFUND, "amount": 9200})
    await own.vote(first, vote="deny", reason="Between us.")
    await own.later(3600)
    again = await own.asked(arguments={**REFUND, "amount": 9201})
    async with visit(own) as carol, visit(own, "u-alice") as alice:
        assert "Between us." in (await carol.get(f"/console/approvals/{again}")).text
        plan = (await own.service.voting.found(first)).request["plan"]
        others = {**plan, "stages": [{**stage, **NOBODY} for stage in plan["stages"]]}
        async with transaction(own.service.world.store) as connection:
            this = approval_requests.c.id == first
            await connection.execute(update(approval_requests).where(this).values(plan=others))
        assert "Between us." not in (await carol.get(f"/console/approvals/{again}")).text
        assert "Between us." in (await alice.get(f"/console/approvals/{again}")).text  # it was her call


@pytest.mark.promise("console.answers")
async def test_a_reason_that_is_wanted_is_asked_for_and_what_was_typed_is_kept(stage: Stage) -> None:
    identifier = await stage.asked("delete_customer", {"customer": "c-2"})
    async with visit(stage) as client:
        refused = await send(stage, client, identifier, reason="  ")
        assert (refused.status_code, await state(stage, identifier)) == (400, ("open", 0))
        assert "wants a reason" in refused.text
        long = await send(stage, client, identifier, reason="because " * 100)
        assert (long.status_code, await state(stage, identifier)) == (400, ("open", 0))
        assert "because because" in long.text
        await send(stage, client, identifier, reason="It is a duplicate.")
        page = (await client.get(f"/console/approvals/{identifier}")).text
    assert await state(stage, identifier) == ("open", 1)
    assert "It still waits for others." in page
    assert "1 more wanted" in page


@pytest.mark.promise("console.answers")
async def test_an_answer_to_what_was_decided_meanwhile_says_so(stage: Stage) -> None:
    identifier = await stage.asked(arguments={**REFUND, "amount": 7502})
    async with visit(stage) as client:
        form = await form_of(client, identifier)
        stale = await send(stage, client, identifier, presented_digest="sha256:another")
        assert (stale.status_code, "not what you were shown" in stale.text) == (409, True)
        await stage.service.voting.carried_out(_cancelled(stage, identifier), identifier)
        path, headers = f"/console/approvals/{identifier}/votes", {"Origin": stage.url}
        late = await client.post(path, data={**form, "vote": "approve"}, headers=headers)
    assert late.status_code == 409
    assert "Your answer was not counted." in late.text
    assert '<form class="answer' not in late.text


@pytest.mark.promise("console.answers")
async def test_what_ran_out_cannot_be_answered_any_more(own: Stage) -> None:
    identifier = await own.asked()
    async with visit(own) as client:
        form = await form_of(client, identifier)
        await own.later(901)
        page = (await client.get(f"/console/approvals/{identifier}")).text
        assert "Nobody decided in time" in page
        assert 'form class="answer' not in page
        path, headers = f"/console/approvals/{identifier}/votes", {"Origin": own.url}
        late = await client.post(path, data={**form, "vote": "approve"}, headers=headers)
        assert late.status_code == 409
        assert identifier not in (await client.get("/console")).text
    assert await state(own, identifier) == ("expired", 0)


@pytest.mark.promise("console.answers")
async def test_the_page_says_when_the_tool_is_not_what_it_was_when_it_asked(own: Stage) -> None:
    identifier = await own.asked()
    async with visit(own) as client:
        assert "definition approved" in (await client.get(f"/console/approvals/{identifier}")).text
        tool = ToolRef(server="payments", name="create_refund")
        await quarantine(own.service.voting.office, tool, "it behaved strangely", "owner")
        await own.later(1)
        page = (await client.get(f"/console/approvals/{identifier}")).text
        refused = await own.vote(identifier)
        after = (await client.get(f"/console/approvals/{identifier}")).text
    assert "The tool is quarantined" in page
    assert "definition approved" not in page
    assert (refused.status_code, refused.json()["code"]) == (409, "approvals.superseded")
    assert await state(own, identifier) == ("superseded", 0)
    assert 'form class="answer' not in after


@pytest.mark.promise("console.own_call")
async def test_nobody_is_offered_to_approve_their_own_call_and_trying_fails(stage: Stage) -> None:
    identifier = await stage.asked(arguments={**REFUND, "amount": 7503})
    path, headers = f"/console/approvals/{identifier}", {"Origin": stage.url}
    async with visit(stage, "u-alice") as client, visit(stage, "u-bob") as stranger, visit(stage) as carol:
        digest = (await form_of(carol, identifier))["presented_digest"]
        for one, status, why in ((client, 403, "by or for themselves"), (stranger, 404, "There is no such request")):
            page = (await one.get(path)).text
            assert 'form class="answer' not in page
            assert why in page
            inbox = (await one.get("/console")).text
            assert identifier not in inbox
            form = {"form_secret": hidden_field(inbox, "form_secret"), "presented_digest": digest, "vote": "approve"}
            refused = await one.post(f"{path}/votes", data=form, headers=headers)
            assert (refused.status_code, why in refused.text) == (status, True)
    assert await state(stage, identifier) == ("open", 0)


@pytest.mark.promise("console.forms")
@pytest.mark.parametrize(
    ("fields", "headers", "status"),
    [
        ({"form_secret": ""}, None, 403),
        ({"form_secret": "of another session"}, None, 403),
        ({}, {}, 403),
        ({}, {"Origin": "null"}, 403),
        ({}, {"Origin": "https://evil.example"}, 403),
        ({}, {"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"}, 403),
        ({}, {"Sec-Fetch-Site": "cross-site"}, 403),
        ({}, {"Sec-Fetch-Site": "same-site"}, 403),
        ({}, {"Sec-Fetch-Site": "none"}, 403),
        ({"vote": "maybe"}, None, 400),
        ({"reason": "x" * 20_000}, None, 413),
    ],
)
async def test_a_form_that_did_not_come_from_a_page_of_the_session_counts_for_nothing(
    fields: dict[str, str], headers: Any, status: int, stage: Stage
) -> None:
    identifier = await stage.asked(arguments={**REFUND, "amount": 7504})
    async with visit(stage) as client:
        refused = await send(stage, client, identifier, headers, **fields)
        assert refused.status_code == status
        assert await state(stage, identifier) == ("open", 0)
        kept = await client.get("/console")
        assert kept.status_code == 200


@pytest.mark.promise("console.forms")
async def test_the_secret_of_one_session_is_worth_nothing_in_another(stage: Stage) -> None:
    identifier = await stage.asked(arguments={**REFUND, "amount": 7505})
    async with visit(stage) as one, visit(stage) as other:
        stolen = (await form_of(one, identifier))["form_secret"]
        assert (await send(stage, other, identifier, form_secret=stolen)).status_code == 403
    assert await state(stage, identifier) == ("open", 0)


@pytest.mark.promise("console.forms")
@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("application/json", b"{}", 415),
        ("text/plain", b"vote=approve", 415),
        (FORM, b"vote=approve&vote=deny", 400),
        (FORM, b"vote=%ff", 400),
        (FORM, b"vote", 400),
        (FORM, b"&".join(b"a%d=1" % n for n in range(40)), 400),
    ],
)
async def test_a_form_that_is_not_one_is_refused(kind: str, body: bytes, status: int, stage: Stage) -> None:
    identifier = await stage.asked(arguments={**REFUND, "amount": 7506})
    headers = {"Origin": stage.url, "Content-Type": kind}
    async with visit(stage) as client:
        refused = await client.post(f"/console/approvals/{identifier}/votes", content=body, headers=headers)
    assert refused.status_code == status
    assert await state(stage, identifier) == ("open", 0)


async def take_back(stage: Stage, client: httpx.AsyncClient, step: str, identifier: str, **more: str) -> httpx.Response:
    """Send the form that takes a request back, with the session's own secret unless told otherwise."""
    secret = hidden_field((await client.get("/console")).text, "form_secret")
    given = {"form_secret": secret, "reason": "a <slip>", **more}
    return await client.post(f"/console/approvals/{identifier}/{step}", data=given, headers={"Origin": stage.url})


@pytest.mark.promise("console.withdraws")
async def test_whom_a_call_is_made_for_withdraws_the_question_and_nobody_else_does(stage: Stage) -> None:
    identifier = await stage.asked(arguments={**REFUND, "amount": 7520})
    path = f"/console/approvals/{identifier}"
    async with visit(stage, "u-alice") as alice, visit(stage) as carol, visit(stage, "u-bob") as stranger:
        assert f'action="{path}/cancel"' in (await alice.get(path)).text
        assert f'action="{path}/cancel"' not in (await carol.get(path)).text
        assert (await take_back(stage, carol, "cancel", identifier)).status_code == 403
        assert (await take_back(stage, stranger, "cancel", identifier)).status_code == 404
        assert (await take_back(stage, alice, "cancel", identifier, form_secret="of another")).status_code == 403
        assert (await take_back(stage, alice, "cancel", identifier, reason="x" * 501)).status_code == 400
        assert (await take_back(stage, alice, "revoke", identifier)).status_code == 409
        assert await state(stage, identifier) == ("open", 0)
        assert (await take_back(stage, alice, "cancel", identifier)).status_code == 303
        assert await state(stage, identifier) == ("cancelled", 0)
        page = (await alice.get(path)).text
        assert "Nothing is asked any more." in page
        assert f'action="{path}/' not in page
        assert (await take_back(stage, alice, "cancel", identifier)).status_code == 409


@pytest.mark.promise("console.withdraws")
@pytest.mark.parametrize(("who", "amount"), [("u-carol", 7521), ("u-alice", 7522)])
async def test_an_approval_is_taken_back_before_it_is_used_and_the_call_asks_again(
    who: str, amount: int, stage: Stage
) -> None:
    call = {**REFUND, "amount": amount}
    identifier = await stage.asked(arguments=call)
    await stage.vote(identifier)
    path = f"/console/approvals/{identifier}"
    async with visit(stage, who) as client, visit(stage, "u-bob") as stranger:
        assert (await take_back(stage, stranger, "revoke", identifier)).status_code == 404
        assert f'action="{path}/revoke"' in (await client.get(path)).text
        assert (await take_back(stage, client, "revoke", identifier)).status_code == 303
        assert "It was taken back." in (await client.get(path)).text
        assert (await take_back(stage, client, "revoke", identifier)).status_code == 409
    assert (await stage.ask(arguments=call))["decision"] == "needs_approval"


@pytest.mark.promise("console.withdraws")
async def test_what_was_used_is_not_offered_to_be_taken_back(stage: Stage) -> None:
    call = {**REFUND, "amount": 7523}
    identifier = await stage.asked(arguments=call)
    await stage.vote(identifier)
    assert (await stage.ask(arguments=call))["decision"] == "allow"
    async with visit(stage) as client:
        assert "/revoke" not in (await client.get(f"/console/approvals/{identifier}")).text
        assert (await take_back(stage, client, "revoke", identifier)).status_code == 409


@pytest.mark.promise("console.forms")
async def test_looking_changes_nothing(stage: Stage) -> None:
    identifier = await stage.asked(arguments={**REFUND, "amount": 7507})
    async with visit(stage) as client:
        form = await form_of(client, identifier)
        written = stage.service.world.log.committed
        for path in PAGES:
            await client.get(path.format(identifier))
        for path in (*(f"/console/approvals/{identifier}/{form}" for form in FORMS), "/console/logout"):
            tried = await client.get(path, params={**form, "vote": "approve"})
            assert tried.status_code == 405
        assert (await client.get("/console")).status_code == 200
    assert await state(stage, identifier) == ("open", 0)
    assert stage.service.world.log.committed == written


@pytest.mark.promise("console.headers")
async def test_every_answer_forbids_scripts_frames_and_caches(stage: Stage) -> None:
    identifier = await stage.asked(arguments={**REFUND, "amount": 7508})
    async with visit(stage) as client, visit(stage, None) as nobody:
        answers = [await client.get(path.format(identifier)) for path in PAGES]
        answers += [await nobody.get(path.format(identifier)) for path in PAGES]
        answers += [await client.get("/console/login/start"), await client.get("/console/login/done")]
        answers += [await client.post("/console/logout"), await client.get(f"/console/approvals/{identifier}/votes")]
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["cache-control"] == "no-store", answer.url
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert "x-request-id" in answer.headers
        assert "<script>" not in answer.text
        assert " style=" not in answer.text


@pytest.mark.promise("console.headers")
async def test_the_files_of_a_page_are_kept_by_their_content(stage: Stage) -> None:
    async with visit(stage, None) as client:
        page = (await client.get("/console/login")).text
        style = page.partition('rel="stylesheet" href="')[2].partition('"')[0]
        found = await client.get(style)
        assert (found.status_code, "immutable" in found.headers["cache-control"]) == (200, True)
        for path in (
            style.replace("console.css", "base.html"),
            "/console/static/0/console.css",
            "/console/static/../x",
        ):
            assert (await client.get(path)).status_code == 404


@pytest.mark.promise("console.plain")
async def test_text_from_a_call_is_text_and_what_hides_in_it_is_shown(stage: Stage) -> None:
    identifier = await stage.asked(
        arguments={"order": HOSTILE, "amount": 7509}, intent={"prompt": f"{HOSTILE}\n<b>bold</b>"}, note=HOSTILE
    )
    async with visit(stage) as client:
        page = (await client.get(f"/console/approvals/{identifier}")).text
    assert '<script src="//evil' not in page
    assert "<img" not in page
    assert "<b>" not in page
    assert "&lt;script src=" in page
    assert "&lt;U+202E&gt;evil&lt;U+200B&gt;" in page
    assert not {"\u202e", "\u200b"} & set(page)
    assert "<code>p\u0430ypal</code> is <code>p&lt;U+0430&gt;ypal</code>" in page
    assert "Not verified." in page


@pytest.mark.promise("console.session")
@pytest.mark.parametrize("path", ["/console", "/console/history", "/console/approvals/apr_1", "/console/events"])
async def test_nobody_sees_a_page_without_signing_in(path: str, stage: Stage) -> None:
    async with visit(stage, None) as client:
        refused = await client.get(path)
    where = urlsplit(refused.headers["location"])
    to = parse_qs(where.query)["to"][0]
    assert (refused.status_code, where.netloc, where.path) == (303, "", "/console/login")
    assert to == (path if path != "/console/events" else "/console")


@pytest.mark.promise("console.session")
@pytest.mark.parametrize("value", [b"\xe9\xe9", b"%", b"x" * 5000, b""])
async def test_a_cookie_that_is_nothing_of_ours_leads_to_the_sign_in(value: bytes, stage: Stage) -> None:
    async with visit(stage, None) as client:
        answer = await client.get("/console", headers=[(b"cookie", b"pdp-console=" + value)])
    assert answer.status_code == 303


@pytest.mark.promise("console.session")
async def test_a_session_that_was_touched_is_none(stage: Stage) -> None:
    async with visit(stage) as client:
        [(name, value)] = client.cookies.items()
        middle = len(value) // 2
        spoiled = value[:middle] + ("A" if value[middle] != "A" else "B") + value[middle + 1 :]
        other = next(iter(sealed(stage, stage.token(), cookie="pdp-sign-in").values()))
    for changed in (spoiled, value[:-4], "", "x" * 5000, other):
        async with httpx.AsyncClient(base_url=stage.url, cookies={name: changed}) as client:
            assert (await client.get("/console")).status_code == 303
    async with httpx.AsyncClient(base_url=stage.url, cookies=sealed(stage, stage.token())) as client:
        assert (await client.get("/console")).status_code == 200  # so the refusals above are of what they say


@pytest.mark.promise("console.session")
async def test_a_session_holds_only_as_long_as_its_token_is_good_for_the_desk(stage: Stage) -> None:
    tokens = {
        "another audience": (stage.token(audience=AUDIENCE), 303),
        "an agent in between": (stage.token("u-alice", client="client-helpdesk", actor="client-helpdesk"), 403),
        "an agent by itself": (stage.token("client-nightly", client="client-nightly"), 403),
        "nobody known": (stage.token("u-nobody"), 303),
        "not a token": ("x.y.z", 303),
        "of another issuer": (stage.token(extra={"iss": "https://evil.example"}), 303),
    }
    for why, (token, status) in tokens.items():
        async with httpx.AsyncClient(base_url=stage.url, cookies=sealed(stage, token)) as client:
            refused = await client.get("/console")
        assert refused.status_code == status, why
        assert "Waiting for an answer" not in refused.text, why


@pytest.mark.promise("console.session")
async def test_a_session_ends_with_its_token_and_at_the_latest_after_twelve_hours(own: Stage) -> None:
    async with visit(own) as client:
        await own.later(8 * 3600 - 60)
        assert (await client.get("/console")).status_code == 200
        await own.later(120)
        assert (await client.get("/console")).status_code == 303
        assert not client.cookies


@pytest.mark.promise("console.session")
async def test_signing_out_ends_the_session_of_this_browser(stage: Stage) -> None:
    async with visit(stage) as client:
        secret = hidden_field((await client.get("/console")).text, "form_secret")
        refused = await client.post("/console/logout", data={"form_secret": "x"}, headers={"Origin": stage.url})
        assert refused.status_code == 403
        done = await client.post("/console/logout", data={"form_secret": secret}, headers={"Origin": stage.url})
        assert (done.status_code, done.headers["location"]) == (303, "/console/login")
        assert (await client.get("/console")).status_code == 303


@pytest.mark.promise("console.sign_in")
@pytest.mark.parametrize(
    "to",
    [
        "https://evil.example/console",
        "//evil.example",
        "/\\evil.example",
        "/console/../../evil",
        "/console/approvals/apr_1\r\nSet-Cookie: a=b",
        "/console/login/start",
        "/console.evil.example",
        "javascript:alert(1)",
    ],
)
async def test_a_sign_in_leads_to_a_page_of_ours_and_nowhere_else(to: str, stage: Stage) -> None:
    async with visit(stage, None) as client:
        page = await client.get("/console/login", params={"to": to})
        assert f'href="{stage.url}/console/login/start?to=%2Fconsole"' in page.text
        arrived = await sign_in(stage, client, to=to)
    assert (arrived.status_code, str(arrived.url)) == (200, f"{stage.url}/console")


@pytest.mark.promise("console.sign_in")
async def test_who_came_by_another_name_of_the_host_signs_in_at_our_address(stage: Stage) -> None:
    async with httpx.AsyncClient(base_url=stage.url.replace("127.0.0.1", "localhost")) as client:
        page = await client.get("/console", follow_redirects=True)
    assert f'href="{stage.url}/console/login/start' in page.text


@pytest.mark.promise("console.sign_in")
async def test_a_sign_in_leads_back_to_the_request_it_began_at(stage: Stage) -> None:
    identifier = await stage.asked(arguments={**REFUND, "amount": 7510})
    async with visit(stage, None) as client:
        arrived = await sign_in(stage, client, to=f"/console/approvals/{identifier}")
    assert (arrived.status_code, arrived.url.path) == (200, f"/console/approvals/{identifier}")


@pytest.mark.promise("console.sign_in")
async def test_the_issuer_is_asked_with_pkce_state_nonce_and_for_the_desk(stage: Stage) -> None:
    async with visit(stage, None) as client:
        asked = parse_qs(urlsplit((await client.get("/console/login/start")).headers["location"]).query)
        kept = client.cookies["pdp-sign-in"]
    key = (stage.settings.data_dir / "keys" / "console.key").read_bytes()
    request = Request({"type": "http", "headers": [(b"cookie", f"pdp-sign-in={kept}".encode())]})
    begun = Cookie("pdp-sign-in", SignIn, 600, key, secure=False).read(request, stage.clock)
    assert begun is not None
    challenge = base64.urlsafe_b64encode(hashlib.sha256(begun.verifier.encode()).digest()).rstrip(b"=").decode()
    assert asked["code_challenge"] == [challenge]
    assert asked["code_challenge_method"] == ["S256"]
    assert (asked["state"], asked["nonce"]) == ([begun.state], [begun.nonce])
    assert asked["redirect_uri"] == [f"{stage.url}/console/login/done"]
    assert asked["resource"] == [stage.settings.console_resource]
    assert begun.verifier not in json.dumps(asked)


@pytest.mark.promise("console.sign_in")
async def test_an_answer_that_belongs_to_another_sign_in_opens_nothing(stage: Stage) -> None:
    async with visit(stage, None) as attacker, visit(stage, None) as victim:
        begun = await attacker.get("/console/login/start")
        answer = (await attacker.post(begun.headers["location"], data={"subject": "u-carol"})).headers["location"]
        code = parse_qs(urlsplit(answer).query)["code"][0]
        assert (await victim.get(answer)).status_code == 400  # nothing was begun in this browser
        mine = parse_qs(urlsplit((await victim.get("/console/login/start")).headers["location"]).query)["state"][0]
        assert (await victim.get(answer)).status_code == 400  # another state
        done = "/console/login/done"
        for query in ({"code": code, "state": mine}, {"state": mine}, {"error": "access_denied", "state": mine}):
            refused = await victim.get(done, params=query)
            assert refused.status_code in {400, 502}
        mixed = await victim.get(done, params={"code": code, "state": mine, "iss": "https://evil.example"})
        assert mixed.status_code == 400
        assert (await victim.get("/console")).status_code == 303
        assert "pdp-console" not in victim.cookies


@pytest.mark.promise("console.sign_in")
async def test_an_answer_to_another_nonce_opens_nothing(stage: Stage) -> None:
    async with visit(stage, None) as client:
        there = (await client.get("/console/login/start")).headers["location"]
        nonce = parse_qs(urlsplit(there).query)["nonce"][0]
        answer = await client.post(there.replace(nonce, "another"), data={"subject": "u-carol"})
        assert (await client.get(answer.headers["location"])).status_code == 400
        assert "pdp-console" not in client.cookies


class Forger(DevIssuer, frozen=True):
    """An issuer whose ID tokens say what a test wants."""

    changes: dict[str, Any] = msgspec.field(default_factory=dict)

    def id_token(self, subject: str, client: str, nonce: str, now: datetime) -> str:
        when = {"iat": int(now.timestamp()), "exp": int(now.timestamp()) + 60}
        claims = {"iss": self.url, "sub": subject, "aud": client, "nonce": nonce, **when, **self.changes}
        claims = {name: value for name, value in claims.items() if value is not None}
        key = self.keys["ES256"] if "forged" in self.changes else self.keys["EdDSA"]
        algorithm = "ES256" if "forged" in self.changes else "EdDSA"
        return jwt.encode(claims, key, algorithm=algorithm, headers={"kid": "dev-eddsa"})


@pytest.mark.promise("console.sign_in")
async def test_an_id_token_that_is_not_for_this_sign_in_opens_nothing(tmp_path: Path) -> None:
    said: dict[str, Any] = {}
    async with console_running(tmp_path, lambda issuer: Forger(issuer.url, issuer.keys, said)) as stage:
        async with visit(stage):
            pass  # unchanged, it opens
        wrong: list[dict[str, Any]] = [
            {"aud": "client-helpdesk"},
            {"aud": ["client-desktop", "other"], "azp": "other"},
            {"aud": None},
            {"iss": "https://evil.example"},
            {"nonce": None},
            {"exp": 1},
            {"exp": None},
            {"exp": "never"},
            {"forged": True},
        ]
        for changes in wrong:
            said.clear()
            said.update(changes)
            async with visit(stage, None) as client:
                assert (await sign_in(stage, client)).status_code in {400, 502}, changes
                assert "pdp-console" not in client.cookies


@pytest.mark.promise("console.sign_in")
async def test_an_answer_counts_once(stage: Stage) -> None:
    async with visit(stage, None) as client:
        begun = await client.get("/console/login/start")
        answer = (await client.post(begun.headers["location"], data={"subject": "u-carol"})).headers["location"]
        assert (await client.get(answer)).status_code == 303
        assert (await client.get(answer)).status_code == 400


@pytest.mark.promise("console.sign_in")
async def test_whose_token_does_not_open_the_desk_is_told_why_and_gets_no_session(tmp_path: Path) -> None:
    async with console_running(tmp_path, console_resource=AUDIENCE) as stage, visit(stage, None) as client:
        refused = await sign_in(stage, client)
        assert (refused.status_code, "identity.audience" in refused.text) == (403, True)
        assert "pdp-console" not in client.cookies


@pytest.mark.promise("console.live")
async def test_a_page_is_told_when_something_changed(stage: Stage) -> None:
    async with visit(stage) as client, client.stream("GET", "/console/events") as events:
        assert events.headers["content-type"].startswith("text/event-stream")
        lines = events.aiter_lines()
        assert await asyncio.wait_for(anext(lines), 10) == "retry: 3000"
        identifier = await stage.asked(arguments={**REFUND, "amount": 7511})
        await _event(lines)
        await stage.vote(identifier)
        await _event(lines)


@pytest.mark.promise("console.live")
async def test_streams_are_bounded_and_end_when_the_service_stops(own: Stage) -> None:
    limits = httpx.Limits(max_connections=MAX_STREAMS + 4)
    async with (
        visit(own) as signed,
        httpx.AsyncClient(limits=limits, cookies=dict(signed.cookies), timeout=20) as client,
        AsyncExitStack() as stack,
    ):
        open_streams = [
            await stack.enter_async_context(client.stream("GET", f"{own.url}/console/events"))
            for _ in range(MAX_STREAMS)
        ]
        lines = [stream.aiter_lines() for stream in open_streams]
        assert {await asyncio.wait_for(anext(line), 10) for line in lines} == {"retry: 3000"}
        assert (await client.get(f"{own.url}/console/events")).status_code == 503
        await open_streams.pop().aclose()
        lines.pop()
        async with asyncio.timeout(10):  # the place of one that went is free
            while True:
                async with client.stream("GET", f"{own.url}/console/events") as again:
                    if again.status_code == 200:
                        break
        own.service.hush()
        for line in lines:
            assert [said async for said in line if said] == []


@pytest.mark.promise("console.live")
async def test_streams_that_are_asked_for_at_the_same_moment_are_bounded_too(own: Stage) -> None:
    limits = httpx.Limits(max_connections=3 * MAX_STREAMS)
    async with (
        visit(own) as signed,
        httpx.AsyncClient(limits=limits, cookies=dict(signed.cookies), timeout=20) as client,
    ):
        asking = [client.build_request("GET", f"{own.url}/console/events") for _ in range(2 * MAX_STREAMS)]
        answers = await asyncio.gather(*(client.send(request, stream=True) for request in asking))
        assert sorted(answer.status_code for answer in answers) == [200] * MAX_STREAMS + [503] * MAX_STREAMS
        own.service.hush()
        for answer in answers:
            await answer.aclose()


async def _event(lines: AsyncIterator[str]) -> None:
    async with asyncio.timeout(10):
        async for line in lines:
            if line == "event: changed":
                return
    raise AssertionError("the stream ended")


def _cancelled(stage: Stage, identifier: str) -> Any:
    from pdp.approvals import requests

    return requests.cancel(stage.service.voting.office, identifier, "alice", "not needed")
