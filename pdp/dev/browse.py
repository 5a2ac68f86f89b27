"""Answer a request in the console as a browser does: sign in at the sample issuer, open its page, send its form."""

import html
import re

import httpx2  # here with the official MCP client; httpx itself stays in net.py

from ..console.site import ROOT
from ..errors import Fault
from .visit import PATIENCE_S

FIELDS = ("form_secret", "presented_digest")
SEE_OTHER = 303


async def approve_in_console(url: str, identifier: str, subject: str) -> None:
    """Approve a request at the console of the PDP at `url`, as a sample person. Raises `Fault` if it does not count."""
    async with httpx2.AsyncClient(base_url=url, timeout=PATIENCE_S, trust_env=False) as browser:
        begun = await browser.get(f"{ROOT}/login/start")
        chosen = await browser.post(begun.headers["location"], data={"subject": subject})
        await browser.get(chosen.headers["location"])
        path = f"{ROOT}/approvals/{identifier}"
        page = (await browser.get(path)).text
        form = {name: hidden_field(page, name) for name in FIELDS}
        done = await browser.post(f"{path}/votes", data={**form, "vote": "approve"}, headers={"Origin": url})
        if done.status_code != SEE_OTHER:
            raise Fault(f"The console did not count the approval of {identifier}: it answered {done.status_code}.")


def hidden_field(page: str, name: str) -> str:
    """Return the value of a hidden field of a page. Raises `Fault` when the page has none of that name."""
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    if found is None:
        raise Fault(f"The page offers no answer: it has no field {name}.")
    return html.unescape(found[1])
