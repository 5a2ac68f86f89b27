"""Paths and URLs are taken apart only when every reader sees the same place in them."""

import posixpath
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdp.registry.parsed import MAX_TEXT, Parsed, read_path, read_url, take_apart

pytestmark = pytest.mark.promise("tool.parsed")

TEXTS = st.text(alphabet=st.sampled_from(list("/\\.:@%?#[]ab1A0x~ \x00é-_2eF")), max_size=24)


@pytest.mark.parametrize(
    ("text", "path", "absolute"),
    [
        ("/srv/data", "/srv/data", True),
        ("/srv/data/", "/srv/data", True),
        ("a/b.txt", "a/b.txt", False),
        ("/", "/", True),
    ],
)
def test_a_plain_path_is_taken_apart(text: str, path: str, absolute: bool) -> None:
    parsed = read_path(text)
    assert parsed is not None
    assert (parsed.path, parsed.absolute) == (path, absolute)


@pytest.mark.parametrize(
    "text",
    [
        *("", "..", "/srv/../etc", "/srv/./x", "/srv//x", "//host/share", "/srv/%2e%2e/etc"),
        *("C:\\x", "/a\\..\\b", "/a\x00b", "/a\nb", "/" + "a" * MAX_TEXT),
    ],
)
def test_a_path_that_readers_may_see_differently_is_left_out(text: str) -> None:
    assert read_path(text) is None


@pytest.mark.parametrize(
    ("text", "host", "port", "path", "address"),
    [
        ("https://api.example.com/v1/x?q=1#f", "api.example.com", 443, "/v1/x", False),
        ("HTTPS://API.Example.com", "api.example.com", 443, "/", False),
        ("http://127.0.0.1:8080/a%20b", "127.0.0.1", 8080, "/a%20b", True),
        ("http://[2001:DB8::1]/", "2001:db8::1", 80, "/", True),
        ("s3://bucket/key", "bucket", None, "/key", False),
        ("https://xn--bcher-kva.example/", "xn--bcher-kva.example", 443, "/", False),
    ],
)
def test_a_plain_url_is_taken_apart(text: str, host: str, port: int | None, path: str, address: bool) -> None:
    parsed = read_url(text)
    assert parsed is not None
    assert (parsed.host, parsed.port, parsed.path, parsed.address) == (host, port, path, address)


@pytest.mark.parametrize(
    "text",
    [
        *("", "example.com", "//example.com", "https:example.com", "https:///x", "javascript:alert(1)", "file:///etc"),
        *(
            "https://good.example@evil.example/",
            "https://good.example:80@evil.example/",
            "https://a b/",
            "https://a\tb/",
        ),
        *("https://evil.example\\@good.example/", "https://good.example%2fevil.example/", "https://bücher.example/"),
        *("https://127.1/", "https://0x7f.0.0.1/", "https://2130706433/", "https://0177.0.0.1/", "https://1.2.3.4./"),
        *("https://good.example./", "https://good..example/", "https://.example/", "https://a:0/", "https://a:65536/"),
        *(
            "https://a/../b",
            "https://a/%2e%2E/b",
            "https://a/.%2e/b",
            "https://a/b\\c",
            "https://[::1",
            "https://[::g]/",
        ),
        *("https://a/\n", " https://a/", "https://a/ ", "https://a:/x", "https://a/" + "b" * MAX_TEXT),
    ],
)
def test_a_url_that_readers_may_see_differently_is_left_out(text: str) -> None:
    assert read_url(text) is None


@given(TEXTS)
def test_a_path_that_is_taken_apart_is_what_the_operating_system_would_make_of_it(text: str) -> None:
    parsed = read_path("/" + text)
    if parsed is not None:
        assert parsed.path == posixpath.normpath("/" + text)
        assert parsed.segments == [segment for segment in parsed.path.split("/") if segment]


@given(TEXTS, TEXTS)
def test_a_url_that_is_taken_apart_leads_where_another_reader_would_go(authority: str, rest: str) -> None:
    parsed = read_url(f"https://{authority}{rest}")
    if parsed is not None:
        other = urlsplit(f"https://{authority}{rest}")
        assert parsed.host == other.hostname
        assert other.username is None
        assert parsed.port == (other.port or 443)
        assert parsed.path == (other.path or "/")


def test_labelled_arguments_are_taken_apart_wherever_they_stand() -> None:
    arguments: dict[str, Any] = {
        "file": "/srv/a",
        "more": {"a/b": "x/y"},
        "urls": ["https://a.example/", "nonsense", 7],
    }
    labels = {
        "/file": ["path"],
        "/more/a~1b": ["path", "text"],
        "/urls": ["url"],
        "/missing": ["path"],
        "/file/x": ["url"],
    }
    assert take_apart(arguments, labels | {"/more": ["path"]}).keys() == {"/file", "/more/a~1b", "/urls/0"}
    assert take_apart(arguments, {"/file": ["money"]}) == {}
    assert take_apart(arguments, labels)["/file"] == Parsed("path", "/srv/a", ["srv", "a"], absolute=True)
