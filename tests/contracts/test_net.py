"""Fetching: over TLS or on this machine, whole, and with the checksum that was asked for, or not at all."""

import base64
import hashlib
from pathlib import Path

import pytest

from pdp.errors import Fault
from pdp.net import Fetcher, Unfetchable, download, fetch_text

from .website import Website

pytestmark = pytest.mark.promise("net.checked")
BODY = b"a release" * 100_000
DIGEST = hashlib.sha256(BODY).hexdigest()


def test_a_file_with_the_right_checksum_is_written_and_counted(website: Website, tmp_path: Path) -> None:
    website.pages["/file"] = BODY
    seen: list[tuple[int, int | None]] = []
    download(f"{website.url}/file", tmp_path / "file", DIGEST.upper(), lambda done, total: seen.append((done, total)))
    assert (tmp_path / "file").read_bytes() == BODY
    assert seen[-1] == (len(BODY), len(BODY))


@pytest.mark.parametrize("digest", ["0" * 64, "", DIGEST[:-1]])
def test_a_file_with_another_checksum_is_refused_and_removed(website: Website, tmp_path: Path, digest: str) -> None:
    website.pages["/file"] = BODY
    with pytest.raises(Fault, match=DIGEST):
        download(f"{website.url}/file", tmp_path / "file", digest)
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_there_already_is_not_touched(website: Website, tmp_path: Path) -> None:
    website.pages["/file"] = BODY
    (tmp_path / "file").write_text("mine")
    with pytest.raises(Fault, match="could not be written"):
        download(f"{website.url}/file", tmp_path / "file", DIGEST)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_page_that_is_missing_is_refused(website: Website, tmp_path: Path) -> None:
    with pytest.raises(Fault, match="404"):
        download(f"{website.url}/file", tmp_path / "file", DIGEST)
    with pytest.raises(Fault, match="404"):
        fetch_text(f"{website.url}/text", 100)
    assert not list(tmp_path.iterdir())


def test_a_text_larger_than_expected_is_refused(website: Website) -> None:
    website.pages["/text"] = b"x" * 101
    assert fetch_text(f"{website.url}/text", 101) == "x" * 101
    with pytest.raises(Fault, match="more than 100 bytes"):
        fetch_text(f"{website.url}/text", 100)


def test_a_redirect_on_this_machine_is_followed(website: Website) -> None:
    website.pages["/there"] = b"text"
    website.redirects["/here"] = "/there"
    assert fetch_text(f"{website.url}/here", 100) == "text"


@pytest.mark.parametrize("url", ["http://example.com/file", "http://192.0.2.1/", "ftp://127.0.0.1/file", "file", ""])
def test_nothing_is_fetched_over_an_open_line_not_even_by_redirect(website: Website, url: str) -> None:
    with pytest.raises(Fault):
        fetch_text(url, 100)
    website.redirects["/here"] = url
    if url.startswith("http:"):
        with pytest.raises(Fault, match="not https"):
            fetch_text(f"{website.url}/here", 100)


def test_a_server_that_is_not_there_is_a_fault_that_names_it() -> None:
    with pytest.raises(Fault, match=r"127\.0\.0\.1:1/file could not be fetched"):
        fetch_text("http://127.0.0.1:1/file", 100)


async def test_a_form_is_posted_with_the_secret_of_the_client_and_its_answer_read(website: Website) -> None:
    website.pages["/token"] = b'{"access_token": "t"}'
    fetcher = Fetcher()
    told = await fetcher.form(f"{website.url}/token", {"code": "a b"}, 100, 5.0, ("cli:ent", "s&cret"))
    await fetcher.form(f"{website.url}/token", {"code": "c"}, 100, 5.0)
    await fetcher.close()
    assert told == {"access_token": "t"}
    basic = base64.b64encode(b"cli%3Aent:s%26cret").decode()
    assert website.posted == [(f"Basic {basic}", "code=a+b"), ("", "code=c")]


@pytest.mark.parametrize("path", ["/missing", "/large", "/elsewhere", "/text"])
async def test_an_answer_to_a_form_that_is_none_is_refused_without_what_was_sent(path: str, website: Website) -> None:
    website.pages |= {"/large": b'"' + b"x" * 200 + b'"', "/text": b"no JSON"}
    website.redirects["/elsewhere"] = "/large"
    fetcher = Fetcher()
    with pytest.raises(Unfetchable) as refused:
        await fetcher.form(f"{website.url}{path}", {"code": "secret-code"}, 100, 5.0, ("client", "secret"))
    await fetcher.close()
    assert "secret" not in str(refused.value)
