"""A Chromium of the system, and a console to walk in it. Skips loudly where there is none."""

import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright

from tests.console import Stage, console_running

SIZES = {"phone": (390, 844), "desktop": (1280, 900)}
SHOTS = Path(__file__).parent.parent.parent / "build" / "screenshots"
PATIENCE_MS = 15_000


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """Return a running console."""
    async with console_running(tmp_path_factory.mktemp("console")) as stage:
        yield stage


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chromium() -> AsyncIterator[Browser]:
    """Return the system's Chromium, headless."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.skip("SKIPPED in a browser: there is no chromium on PATH; install the Debian package of that name")
    rootless = [] if os.getuid() else ["--no-sandbox"]  # Chromium has no sandbox for root; it only sees our own pages
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=found, args=rootless)
        yield browser
        await browser.close()


class Visit:
    """A page of somebody, at a size, and what its console complained about."""

    def __init__(self, page: Page, stage: Stage, size: str) -> None:
        self.page, self._stage, self._size = page, stage, size
        self.complaints: list[str] = []
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: self.complaints.append(f"a dialog: {dialog.message}"))

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(message.text)

    async def sign_in(self, name: str = "Carol", path: str = "/console") -> Page:
        """Sign in as a sample person, by clicking, and return the page they wanted."""
        await self.page.goto(self._stage.url + path)
        await self.page.get_by_role("link", name="Sign in").click()
        await self.page.get_by_role("button", name=name).click()
        await self.page.wait_for_url(f"**{path}")
        return self.page

    async def shoot(self, name: str) -> None:
        """Keep a picture of what is to be seen now."""
        SHOTS.mkdir(parents=True, exist_ok=True)
        await self.page.screenshot(path=SHOTS / f"{name}-{self._size}.png")


Visiting = Callable[..., Awaitable[Visit]]


@pytest_asyncio.fixture(loop_scope="module")
async def visit(chromium: Browser, stage: Stage) -> AsyncIterator[Visiting]:
    """Return how to open a page: each in a fresh browser profile, closed at the end."""
    async with AsyncExitStack() as stack:

        async def opened(size: str = "phone", **options: Any) -> Visit:
            width, height = SIZES[size]
            context = await chromium.new_context(viewport={"width": width, "height": height}, **options)
            stack.push_async_callback(context.close)
            context.set_default_timeout(PATIENCE_MS)
            return Visit(await context.new_page(), stage, size)

        yield opened
