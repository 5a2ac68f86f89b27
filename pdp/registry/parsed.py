"""Parsed: arguments labelled `path` or `url`, taken apart for policy, so that no rule takes text apart by itself. Pure.

Two readers of one text may see two hosts or two folders, and the tool may be the other one. So only what every reader
sees alike is taken apart; anything else (dot segments, user names, escapes in a host, backslashes) is left out, and a
rule that needs it does not hold (RFC 3986; WHATWG URL, section 3.5; pdps.md, section 6).
"""

import re
from collections.abc import Iterator
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Any, Literal

from msgspec import Struct

PATH, URL = "path", "url"
MAX_TEXT = 4096  # characters: PATH_MAX on Linux, and more than any server takes as a URL
PLAIN_PATH = re.compile(r"/?[^/\\%\x00-\x1f\x7f]+(/[^/\\%\x00-\x1f\x7f]+)*/?|/")
PLAIN_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)"
    r"(:(?P<port>[0-9]{1,5}))?"
    r"(?P<path>(/[A-Za-z0-9._~!$&'()*+,;=:@%-]*)*)"
    r"(\?[\x21\x24-\x5b\x5d\x5f\x61-\x7e]*)?(#[\x21\x24-\x5b\x5d\x5f\x61-\x7e]*)?"
)
DOTS = re.compile(r"(\.|%2[eE]){1,2}")
PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443, "ftp": 21}
HIGHEST_PORT = 65535
ENDS_IN_A_NUMBER = re.compile(r"(.*\.)?(0[xX][0-9A-Fa-f]*|[0-9]+)")


class Parsed(Struct, frozen=True, omit_defaults=True):
    """One argument. A path: `path` without a closing slash, `segments`, `absolute`. A URL: the rest, and its `path`.

    `host` is lower case, an IPv6 address without brackets; `address` says that it is an IP address; `port` is the
    scheme's own when none is given, absent when it has none.
    """

    kind: Literal["path", "url"]
    path: str
    segments: list[str]
    absolute: bool = False
    scheme: str | None = None
    host: str | None = None
    address: bool = False
    port: int | None = None


def take_apart(arguments: dict[str, Any], labels: dict[str, list[str]]) -> dict[str, Parsed]:
    """Return by JSON pointer what could be taken apart; of a labelled list, each item under a pointer of its own."""
    found: dict[str, Parsed] = {}
    for pointer, names in labels.items():
        for read in ([read_path] if PATH in names else []) + ([read_url] if URL in names else []):
            for place, text in _texts(arguments, pointer):
                parsed = read(text)
                if parsed is not None:
                    found[place] = parsed
    return found


def read_path(text: str) -> Parsed | None:
    """Take a path apart that means one place to every reader; None for any other."""
    if len(text) > MAX_TEXT or not PLAIN_PATH.fullmatch(text):
        return None
    segments = [segment for segment in text.split("/") if segment]
    if {".", ".."} & set(segments):
        return None
    absolute = text.startswith("/")
    return Parsed(
        kind="path", path=("/" if absolute else "") + "/".join(segments), segments=segments, absolute=absolute
    )


def read_url(text: str) -> Parsed | None:
    """Take a URL apart that means one place to every reader; None for any other, and for one with a user name."""
    parts = PLAIN_URL.fullmatch(text) if len(text) <= MAX_TEXT else None
    if parts is None or any(DOTS.fullmatch(segment) for segment in parts["path"].split("/")):
        return None
    scheme, host = parts["scheme"].lower(), _host(parts["host"].lower())
    port = int(parts["port"]) if parts["port"] else PORTS.get(scheme)
    if host is None or (port is not None and not 0 < port <= HIGHEST_PORT):
        return None
    return Parsed(
        kind="url",
        path=parts["path"] or "/",
        segments=parts["path"].split("/")[1:],
        scheme=scheme,
        host=host,
        address=":" in host or ENDS_IN_A_NUMBER.fullmatch(host) is not None,
        port=port,
    )


def _host(name: str) -> str | None:
    """Return a host whose form every reader agrees on: `0x7f.1` and `127.1` are addresses to some of them."""
    try:
        if name.startswith("["):
            return str(IPv6Address(name[1:-1]))
        if ENDS_IN_A_NUMBER.fullmatch(name.rstrip(".")):
            return str(IPv4Address(name))
    except AddressValueError:
        return None
    return name if all(name.split(".")) else None  # an empty label, or the dot at the end that names the root


def _texts(arguments: dict[str, Any], pointer: str) -> Iterator[tuple[str, str]]:
    value: Any = arguments
    for step in pointer.split("/")[1:]:
        if not isinstance(value, dict):
            return
        value = value.get(step.replace("~1", "/").replace("~0", "~"))
    if isinstance(value, str):
        yield pointer, value
    if isinstance(value, list):
        yield from ((f"{pointer}/{index}", item) for index, item in enumerate(value) if isinstance(item, str))
