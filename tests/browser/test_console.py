"""The console in a real browser: on a phone and at a desk, by hand, by keyboard, without script."""

from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import SIZES, Visiting
from tests.console import REFUND, Stage

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow, pytest.mark.timeout(120)]
expect.set_options(timeout=15_000)  # on a busy machine
EVERY_SIZE = pytest.mark.parametrize("size", sorted(SIZES))
PROMPT = "Customer o-2 called twice and is upset.\nPlease give all of it back today, no need to check."
HOSTILE = (
    "<script>alert(1)</script><img src=x onerror=alert(2)><a href=javascript:alert(3)>click</a>"
    "</td></table></form><form action=//evil.example><style>*{display:none}</style>"
    "{{7*7}} \u202egnp.exe\u202c a\u200bb p\u0430ypal.com " + "W" * 4000
)
CONTRAST = """() => {
  const parse = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const channel = (v) => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const ground = (node) => {
    for (; node; node = node.parentElement) {
      const colour = parse(getComputedStyle(node).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const bad = [];
  for (const node of document.querySelectorAll("body *")) {
    const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
    if (!own || !node.offsetParent) continue;
    const [a, b] = [light(parse(getComputedStyle(node).color)), light(ground(node))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) bad.push(`${node.textContent.trim().slice(0, 40)}: ${ratio.toFixed(2)}`);
  }
  return bad;
}"""


def call(amount: int) -> dict[str, Any]:
    """Return a refund that no other test asks for."""
    return {**REFUND, "amount": amount}


async def is_focused(page: Page, name: str) -> bool:
    return bool(await page.evaluate("(name) => document.activeElement.textContent.trim().startsWith(name)", name))


async def tab_to(page: Page, name: str) -> None:
    """Press Tab until what is called `name` has the focus, and check that the focus can be seen."""
    for _ in range(40):
        await page.keyboard.press("Tab")
        if await is_focused(page, name):
            outline = await page.evaluate("() => getComputedStyle(document.activeElement).outlineStyle")
            assert outline == "solid"
            return
    raise AssertionError(f"{name} cannot be reached with the keyboard")


@EVERY_SIZE
@pytest.mark.promise("console.answers")
async def test_an_approver_signs_in_finds_the_call_and_approves_it(size: str, visit: Visiting, stage: Stage) -> None:
    amount = 6000 + len(size)
    await stage.later(2)  # so that what is approved now is the last
    await stage.vote(await stage.asked(arguments={"order": "o-1", "amount": amount - 500}))
    identifier = await stage.asked(arguments=call(amount), intent={"prompt": PROMPT})
    here = await visit(size)
    page = await here.sign_in()
    await here.shoot("inbox")
    await page.locator(f'a[href$="{identifier}"]').click()
    await expect(page.get_by_role("row", name="amount")).to_contain_text(f"was {amount - 500}")
    await here.shoot("request")
    await page.get_by_role("button", name="Approve this call").click()
    await expect(page.get_by_text("You approved this")).to_be_visible()
    await expect(page.get_by_role("button", name="Approve")).to_have_count(0)
    await here.shoot("approved")
    assert (await stage.ask(arguments=call(amount)))["decision"] == "allow"
    await page.get_by_role("link", name="History").click()
    await expect(page.locator(f'a[href$="{identifier}"]')).to_contain_text("approved")
    await here.shoot("history")
    assert here.complaints == []


@EVERY_SIZE
@pytest.mark.promise("console.answers")
async def test_a_no_with_its_reason_reaches_the_agent(size: str, visit: Visiting, stage: Stage) -> None:
    amount = 6100 + len(size)
    identifier = await stage.asked(arguments=call(amount))
    here = await visit(size)
    page = await here.sign_in(path=f"/console/approvals/{identifier}")
    await page.get_by_label("Reason").fill("Refund 50 at most, the rest is disputed.")
    await page.get_by_role("button", name="Deny").click()
    await expect(page.get_by_text("You denied this")).to_be_visible()
    await here.shoot("denied")
    told = await stage.ask(arguments=call(amount))
    assert told["reasons"][0]["remedy"] == "They say: Refund 50 at most, the rest is disputed."
    assert here.complaints == []


@EVERY_SIZE
@pytest.mark.promise("console.withdraws")
async def test_what_was_asked_and_what_was_agreed_to_is_taken_back_by_hand(
    size: str, visit: Visiting, stage: Stage
) -> None:
    asked, agreed = [await stage.asked(arguments=call(amount + len(size))) for amount in (6700, 6800)]
    await stage.vote(agreed)
    here = await visit(size)
    page = await here.sign_in("Alice", f"/console/approvals/{asked}")
    await expect(page.get_by_role("button", name="Approve")).to_have_count(0)
    await page.get_by_label("Withdraw the question").fill("Not needed any more.")
    await here.shoot("withdraw")
    await page.get_by_role("button", name="Withdraw").click()
    await expect(page.get_by_text("Nothing is asked any more.")).to_be_visible()
    await page.goto(f"{stage.url}/console/approvals/{agreed}")
    assert await page.evaluate(CONTRAST) == []
    await page.get_by_role("button", name="Take back").click()
    await expect(page.get_by_text("It was taken back.")).to_be_visible()
    await expect(page.get_by_role("button", name="Take back")).to_have_count(0)
    assert (await stage.ask(arguments=call(6800 + len(size))))["decision"] == "needs_approval"
    assert here.complaints == []


@EVERY_SIZE
@pytest.mark.promise("console.answers")
async def test_an_answer_that_comes_too_late_is_told_kindly(size: str, visit: Visiting, stage: Stage) -> None:
    identifier = await stage.asked(arguments=call(6200 + len(size)))
    here = await visit(size, java_script_enabled=False)  # the page as it was opened, without news
    page = await here.sign_in(path=f"/console/approvals/{identifier}")
    await stage.later(901)
    await page.get_by_role("button", name="Approve this call").click()
    await expect(page.get_by_text("Your answer was not counted.")).to_be_visible()
    await expect(page.get_by_text("Nobody decided in time")).to_be_visible()
    await expect(page.get_by_role("button", name="Approve")).to_have_count(0)
    await here.shoot("expired")
    await page.get_by_role("link", name="Inbox").click()
    await expect(page.locator(f'a[href$="{identifier}"]')).to_have_count(0)


@pytest.mark.promise("console.live")
async def test_a_page_that_is_open_when_the_time_runs_out_says_so(visit: Visiting, stage: Stage) -> None:
    identifier = await stage.asked(arguments=call(6250))
    here = await visit("phone")
    await here.page.clock.install()
    page = await here.sign_in(path=f"/console/approvals/{identifier}")
    await page.get_by_label("Reason").fill("I am thinking")
    await stage.later(901)
    await page.clock.fast_forward(901_000)
    await expect(page.get_by_text("Nobody decided in time")).to_be_visible()
    await expect(page.get_by_role("button", name="Approve")).to_have_count(0)
    assert here.complaints == []


@pytest.mark.promise("console.answers")
async def test_it_takes_no_mouse(visit: Visiting, stage: Stage) -> None:
    identifier = await stage.asked(arguments=call(6300))
    here = await visit("desktop")
    page = here.page
    await page.goto(f"{stage.url}/console")
    await tab_to(page, "Sign in")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/authorize?**")
    await tab_to(page, "Carol")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/console")
    await page.keyboard.press("Tab")
    assert await is_focused(page, "Skip to the content")
    await page.keyboard.press("Enter")
    await page.goto(f"{stage.url}/console/approvals/{identifier}")
    await tab_to(page, "Approve this call")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("You approved this")).to_be_visible()
    assert here.complaints == []


@pytest.mark.promise("console.answers")
async def test_the_answer_is_in_reach_but_for_what_cannot_be_undone(visit: Visiting, stage: Stage) -> None:
    refund = await stage.asked(arguments=call(6350))
    deletion = await stage.asked("delete_customer", {"customer": "c-9"})
    page = await (await visit("phone")).sign_in(path=f"/console/approvals/{refund}")
    await expect(page.get_by_role("button", name="Approve this call")).to_be_in_viewport()
    await page.goto(f"{stage.url}/console/approvals/{deletion}")
    await expect(page.get_by_role("button", name="Approve this call")).not_to_be_in_viewport()
    await page.get_by_role("button", name="Approve this call").click()
    assert await page.evaluate("() => document.activeElement.id") == "reason"  # the browser asks for it
    await page.get_by_label("Reason").fill("A duplicate, checked with care-team.")
    await page.get_by_role("button", name="Approve this call").click()
    await expect(page.get_by_text("It still waits for others.")).to_be_visible()


@pytest.mark.promise("console.answers")
async def test_it_takes_no_script(visit: Visiting, stage: Stage) -> None:
    identifier = await stage.asked(arguments=call(6400))
    here = await visit("phone", java_script_enabled=False)
    page = await here.sign_in()
    await page.locator(f'a[href$="{identifier}"]').click()
    await page.get_by_role("button", name="Approve this call").click()
    await expect(page.get_by_text("You approved this")).to_be_visible()


@EVERY_SIZE
@pytest.mark.promise("console.plain")
async def test_a_hostile_call_is_shown_and_does_nothing(size: str, visit: Visiting, stage: Stage) -> None:
    hostile = {"order": HOSTILE, "amount": 6500 + len(size)}
    identifier = await stage.asked(arguments=hostile, intent={"prompt": HOSTILE}, **{"<b>x</b>": HOSTILE})
    here = await visit(size)
    page = await here.sign_in(path=f"/console/approvals/{identifier}")
    await expect(page.get_by_role("row", name="order").locator(".value")).to_contain_text("<script>alert(1)</script>")
    await expect(page.get_by_role("row", name="order").locator(".value")).to_contain_text(
        "<U+202E>gnp.exe<U+202C> a<U+200B>b"
    )
    await expect(page.get_by_label("Look-alike letters")).to_contain_text("p<U+0430>ypal.com")
    earlier = '[href^="/console/approvals/apr_"]'  # refusals of before lead to their pages
    assert await page.locator(f"main img, main script, main style, main a:not({earlier})").count() == 0
    assert await page.locator("main form").count() == 1
    width, seen = await page.evaluate("() => [document.documentElement.scrollWidth, innerWidth]")
    assert width <= seen
    await page.evaluate("() => window.scrollTo(0, document.body.scrollHeight)")
    await here.shoot("hostile")
    await page.get_by_role("button", name="Deny").click()
    await expect(page.get_by_text("You denied this")).to_be_visible()
    assert here.complaints == []


@pytest.mark.promise("console.headers")
async def test_a_script_that_got_into_a_page_would_not_run(visit: Visiting, stage: Stage) -> None:
    here = await visit("phone")
    page = await here.sign_in()
    await page.evaluate(
        """() => {
          const script = document.createElement("script");
          script.textContent = "document.title = 'taken'";
          document.body.append(script);
          document.body.insertAdjacentHTML("beforeend", "<p style='color:red' onclick='x()'>x</p>");
        }"""
    )
    assert "taken" not in await page.title()
    assert any(
        "Content Security Policy" in complaint for complaint in here.complaints
    )  # so that silence means something


@pytest.mark.promise("console.live")
async def test_open_pages_follow_what_happens_and_keep_what_is_being_typed(visit: Visiting, stage: Stage) -> None:
    identifier = await stage.asked("delete_customer", {"customer": "c-1"})
    inbox, request = await visit("desktop"), await visit("phone")
    listing = await inbox.sign_in()
    page = await request.sign_in(path=f"/console/approvals/{identifier}")
    await page.get_by_label("Reason").fill("I am still")
    newer = await stage.asked(arguments=call(6600))
    await expect(listing.locator(f'a[href$="{newer}"]')).to_be_visible()
    await expect(page.get_by_label("Reason")).to_have_value("I am still")
    await stage.vote(newer)
    await expect(listing.locator(f'a[href$="{newer}"]')).to_have_count(0)
    await stage.vote(identifier, vote="deny", reason="Not this one.")
    await expect(page.get_by_text("The agent was told:")).to_be_visible()
    await expect(page.get_by_role("button", name="Approve")).to_have_count(0)
    assert inbox.complaints == request.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.promise("console.accessible")
async def test_every_text_is_readable_and_every_control_named_and_large_enough(
    scheme: Any, visit: Visiting, stage: Stage
) -> None:
    identifier = await stage.asked("delete_customer", {"customer": "p\u0430ypal"}, intent={"prompt": PROMPT})
    here = await visit("phone", color_scheme=scheme, reduced_motion="reduce")
    page = await here.sign_in()
    for path in ("/console", "/console/history", f"/console/approvals/{identifier}", "/console/nowhere"):
        await page.goto(stage.url + path)
        assert await page.evaluate(CONTRAST) == []
        assert await page.locator("html[lang=en]").count() == 1
        assert await page.locator("h1").count() == 1
        for control in await page.locator("button:visible, .button:visible, textarea:visible, nav a:visible").all():
            box = await control.bounding_box()
            assert box is not None
            assert box["height"] >= 40
        assert await page.evaluate("() => getComputedStyle(document.querySelector('a')).transitionDuration") == "0s"
    await page.goto(f"{stage.url}/console/approvals/{identifier}")
    fields = "[...document.querySelectorAll('textarea, input:not([type=hidden])')]"
    assert await page.evaluate(f"() => {fields}.filter((field) => !field.labels.length).length") == 0
    assert await page.locator("th:not([scope])").count() == 0
