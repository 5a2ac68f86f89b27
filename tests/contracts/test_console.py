"""Parts of the console by themselves: cookies, the site's settings, and a call in rows."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import Response

from pdp.app import console_site
from pdp.console import render
from pdp.console.cookies import Cookie, Session
from pdp.console.show import MOST_ROWS, Value, compared, left
from pdp.errors import Fault, Rejected
from pdp.settings import IssuerSettings, Settings
from pdp.times import system_clock

ISSUER = "https://idp.example"
GOOD: dict[str, Any] = {
    "public_url": "https://pdp.example",
    "console_issuer": ISSUER,
    "console_client_id": "console",
    "issuers": (IssuerSettings(issuer=ISSUER, direct_clients=("console",)),),
}


@pytest.mark.promise("console.session")
def test_over_tls_a_cookie_is_secure_and_of_this_host_alone() -> None:
    response = Response()
    Cookie("pdp-console", Session, 60, b"k" * 32, secure=True).give(response, Session("t", "s"), system_clock)
    cookie = response.headers["set-cookie"]
    assert cookie.startswith("__Host-pdp-console=")
    for attribute in ("HttpOnly", "Secure", "SameSite=lax", "Path=/", "Max-Age=60"):
        assert attribute in cookie
    assert "Domain" not in cookie


@pytest.mark.promise("console.session")
def test_a_token_that_no_browser_keeps_is_refused_and_not_cut() -> None:
    cookie = Cookie("pdp-console", Session, 60, b"k" * 32, secure=True)
    with pytest.raises(Rejected, match="too large for a cookie"):
        cookie.give(Response(), Session("t" * 4000, "s"), system_clock)
    request = Request({"type": "http", "headers": []})
    assert cookie.read(request, system_clock) is None


@pytest.mark.promise("console.sign_in")
def test_a_console_that_is_set_up_whole_has_a_site(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cret\n")
    secret.chmod(0o600)
    site = console_site(Settings(**GOOD, console_client_secret_file=secret))
    assert site is not None
    assert (site.url, site.is_secure, site.client.secret) == ("https://pdp.example/console", True, "s3cret")
    assert console_site(Settings()) is None


@pytest.mark.promise("console.sign_in")
@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"public_url": None}, "PDP_PUBLIC_URL"),
        ({"public_url": "http://pdp.example"}, "https unless"),
        ({"public_url": "https://pdp.example/below"}, "host only"),
        ({"public_url": "https://user@pdp.example"}, "host only"),
        ({"console_issuer": "https://other.example"}, "not in PDP_ISSUERS"),
        ({"console_client_id": None}, "PDP_CONSOLE_CLIENT_ID"),
        ({"console_client_id": "another"}, "direct_clients"),
        ({"console_scope": "profile"}, "lacks openid"),
        ({"console_client_secret_file": Path("/nowhere/secret")}, "cannot be read"),
        ({"console_client_secret_file": Path(__file__)}, "Others may read"),
    ],
)
def test_a_console_that_could_not_be_safe_does_not_start(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(Fault, match=says):
        console_site(Settings(**{**GOOD, **changes}))


@pytest.mark.promise("console.answers")
def test_a_call_is_compared_value_by_value_whatever_its_shape() -> None:
    before = {"to": {"name": "a", "lines": [1, 2]}, "note": "x", "flag": True, "big": {"$int": "9007199254740993"}}
    now = {"to": {"name": "b", "lines": [1]}, "note": "x", "flag": 1, "big": {"$int": "9007199254740993"}, "": None}
    rows = {row.name: row for row in compared(now, before, {"/to/name": ["personal"]})}
    assert rows["to/name"] == Value("to/name", "b", "text", ["personal"], "changed", "a")
    assert {name: row.change for name, row in rows.items()} == {
        "to/name": "changed",
        "to/lines/0": "same",
        "to/lines/1": "gone",
        "note": "same",
        "flag": "changed",
        "big": "same",
        "": "new",
    }
    assert rows["big"].text == "9007199254740993"


@pytest.mark.promise("console.answers")
def test_no_value_of_a_call_is_left_out() -> None:
    many = {
        "list": list(range(MOST_ROWS + 1)),
        "empty": {},
        "none": [],
        "a/b": {"$masked": "hmac-sha256:0123456789abcdef"},
    }
    rows = {row.name: row for row in compared(many, None, {})}
    assert rows.keys() == {"list", "empty", "none", "a~1b"}
    assert str(MOST_ROWS) in rows["list"].text
    few = {row.name: row for row in compared({**many, "list": [7]}, None, {})}
    assert few.keys() == {"list/0", "empty", "none", "a~1b"}
    assert (few["a~1b"].kind, few["a~1b"].text) == ("masked", "456789abcdef")


@pytest.mark.promise("console.plain")
def test_no_template_can_write_text_as_markup() -> None:
    templates = sorted((Path(render.__file__).parent / "templates").glob("*.html"))
    assert len(templates) > 5
    for template in templates:
        text = template.read_text()
        assert not re.search(r"\|\s*(safe|tojson|xmlattr|urlize)|autoescape|Markup|<style|style=|\son\w+=", text), (
            template
        )
        assert not re.search(r"=\{\{", text), f"{template}: an attribute without quotes"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("a/~0", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("a/~0", max_size=2), inner, max_size=3),
    max_leaves=12,
)


@pytest.mark.promise("console.answers")
@given(st.dictionaries(st.text("a/~0", max_size=2), JSON, max_size=4))
def test_no_two_values_of_a_call_share_a_row(arguments: dict[str, Any]) -> None:
    def leaves(value: Any) -> int:
        inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        return sum(map(leaves, inside)) if inside else 1

    rows = compared(arguments, None, {})
    assert len({row.name for row in rows}) == len(rows) == sum(map(leaves, arguments.values()))


@pytest.mark.promise("console.answers")
@pytest.mark.parametrize(
    ("until", "words"),
    [
        ("10:14:30", "14 min"),
        ("10:01:59", "119 s"),
        ("10:00:00", "no time"),
        ("09:00:00", "no time"),
        ("12:05:00", "2 h 5 min"),
    ],
)
def test_the_time_that_is_left_is_said_in_words(until: str, words: str) -> None:
    assert left(f"2026-01-05T{until}Z", "2026-01-05T10:00:00Z") == words
