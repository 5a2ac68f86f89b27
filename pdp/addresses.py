"""Where we may connect when somebody else names the host: the open internet, and nothing behind our own doors.

A webhook's URL is a request that we make from inside. So its host is looked up once, every address it has must be
public, and the connection goes to those addresses: a name that answers otherwise the next time gains nothing (OWASP,
Server Side Request Forgery Prevention Cheat Sheet).
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from .errors import Fault

Lookup = Callable[[str, int], Awaitable[list[str]]]
"""Returns the addresses of a host, for a port. Raises `OSError`."""

GLOBAL_UNICAST = IPv6Network("2000::/3")  # all that IANA has given out of IPv6 for hosts
NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: an IPv4 address is in the last 32 bits


class NotPublic(Fault):
    """A host that is, also, inside a private network."""


async def look_up(host: str, port: int) -> list[str]:
    """Return the addresses of a host, as the system resolves it. Raises `OSError`."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


async def public_addresses(host: str, port: int, look: Lookup = look_up) -> list[str]:
    """Return the addresses of a host if all of them are public. Raises `NotPublic`, and `OSError` when it has none."""
    addresses = await look(host, port)
    inside = [address for address in addresses if not is_public(address)]
    if inside:
        raise NotPublic(f"{host} is {', '.join(inside)}, which is not a public address: nothing is sent there.")
    return addresses


def is_this_machine(host: str) -> bool:
    """Say whether a host, by name or address, is this machine and nobody else."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def is_public(text: str) -> bool:
    """Say whether an address is one of the open internet; one that only wraps another is judged by that."""
    address = ip_address(text)
    if isinstance(address, IPv6Address):
        inner = _wrapped(address)
        if inner is None:
            return address in GLOBAL_UNICAST and address.is_global
        address = inner
    return address.is_global and not address.is_multicast


def _wrapped(address: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address that an IPv6 address leads to."""
    if address in NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour
