"""Whatever a call holds, its page has the tags we wrote and no others, and nothing in it that cannot be seen."""

import unicodedata
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pdp.approvals.desk import Found, Outlook
from pdp.approvals.floor import Voter
from pdp.approvals.review import Missing
from pdp.console.cookies import Session
from pdp.console.render import Pages
from pdp.console.show import denials, listed, shown
from pdp.console.visit import Visitor

NOW = "2026-01-05T10:00:00Z"
PAGES = Pages()
TEXT = st.text(max_size=12) | st.sampled_from(
    ["<script>x</script>", "'\" onload=x", "{{ 7*7 }}", "{% raw %}", "\u202ex", "a\nb", "]]>", "--><b>", "javascript:x"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(TEXT | st.sampled_from(["intent", "$masked", "$int"]), JSON, max_size=4)
FORMS = {"/console/logout", "/console/approvals/apr_1/votes", "/console/approvals/apr_1/cancel"}
LINKS = {"/console", "/console/history", "#main"}


class Tags(HTMLParser):
    """Collects the tags and attributes of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def request(words: str, arguments: Any, context: Any) -> dict[str, Any]:
    """Return a request whose every text that comes from outside is `words`, or as given."""
    right = {"id": words, "roles": [words], "groups": [], "entitlements": []}
    stage = {"id": words, "quorum": 1, "roles": [words], "groups": [], "rights": [], "relations": []}
    evidence = [{"code": words, "points": 5.0, "since": NOW, "source": words}]
    tool = {"risk_class": "write", "labels": [words], "owner": words, "argument_labels": {"/" + words: [words]}}
    return {
        "id": "apr_1",
        "state": "open",
        "action_digest": "sha256:a",
        "definition_digest": "sha256:d",
        **dict.fromkeys(("person", "agent", "server", "tool"), words),
        "chain": [words, words],
        "owners": [],
        "gates": [words],
        "plan": {"stages": [stage], "justification": True, "execute_within_s": 300, "uses": 1},
        "shown": {
            "action": "sha256:s",
            "caller": {"mode": "user_direct", "person": right, "agent": {"owners": [words]}, "client": {"id": words}},
            "tool": tool,
            "arguments": arguments,
            "context": context,
            "risk": {"score": 5.0, "level": "low", "evidence": evidence},
            "reasons": [{"code": words, "title": words, "remedy": words, "owner": words}],
        },
        "opened_at": NOW,
        "expires_at": "2026-01-05T10:15:00Z",
        "decided_at": None,
        "feedback": words,
    }


def pages(words: str, arguments: Any, context: Any, before: Any) -> list[str]:
    """Return the page of such a request, and the two lists with it."""
    row = request(words, arguments, context)
    vote = {"person": words, "vote": "deny", "stage": words, "at": NOW, "reason": words}
    visitor = Visitor(Voter("carol", "person"), words, Session("t", "s"))
    last = {**request(words, before, {}), "decided_at": NOW}
    one = PAGES.page(
        "request.html",
        visitor=visitor,
        page=shown(Found(row, [vote], None), last, {words: words}),
        outlook=Outlook([Missing(words, 1)], None),
        mine=None,
        denied=denials(row, [{**last, "state": "denied"}]),
        voters={words: words},
        standing=words,
        take_back="cancel",
        problem=None,
        failed="",
        reason=words,
        now=NOW,
    )
    lines = [listed(row, {words: words}, NOW)]
    lists = [PAGES.page(name, visitor=visitor, requests=lines, now=NOW) for name in ("inbox.html", "history.html")]
    return [bytes(page.body).decode() for page in (one, *lists)]


@pytest.mark.promise("console.plain")
@settings(max_examples=60, deadline=None)
@given(TEXT, OBJECTS, OBJECTS, OBJECTS)
def test_no_text_of_a_call_becomes_a_tag_or_hides_in_a_page(words: str, call: Any, context: Any, before: Any) -> None:
    known = {
        tag
        for page in pages("w", {"a": [1]}, {"intent": {"prompt": "a\nb"}, "x": 1}, {"b": 2})
        for tag, _ in Tags(page).seen
    }
    for page in pages(words, call, context, before):
        tags = Tags(page).seen
        assert {tag for tag, _ in tags} <= known | {
            "del",
            "br",
            "ul",
            "section",
            "code",
            "dl",
            "dt",
            "dd",
            "blockquote",
        }
        assert [tag for tag, _ in tags].count("script") == 1
        for tag, attributes in tags:
            assert not [name for name in attributes if name.startswith("on") or name == "style"]
            if tag == "a":
                assert attributes["href"] in LINKS | {"/console/approvals/apr_1"}
            if tag == "form":
                assert attributes["action"] in FORMS
        unseen = {sign for sign in page if unicodedata.category(sign) in {"Cc", "Cf", "Co", "Cn", "Zl", "Zp"}}
        assert unseen <= {"\n"}
