"""What the service needs around it: OPA and a policy that may go live, the issuers' keys, and the service itself."""

import asyncio
from collections.abc import Callable, Iterable

from ..engine.binary import Found
from ..engine.opa import OpaClient
from ..errors import Fault, Refused
from ..identity.issuers import Issuer
from ..identity.keys import IssuerKeys
from ..net import Fetcher, JsonClient, NoReply
from ..policy.pack import Pack
from ..times import Clock
from .finding import Finding, fail, failed, ok, warn

ANSWERS_WITHIN_S = 5.0
READY, NOT_READY = 200, 503


def opa(find: Callable[[], Found]) -> Finding:
    """Check that there is an OPA this release knows. `find` raises `Fault` otherwise."""
    try:
        found = find()
    except Fault as fault:
        return failed("opa", fault)
    return ok("opa", f"{found.path} is {found.version}")


def policy(load: Callable[[], Pack]) -> Finding:
    """Check the policy that the settings name, as at start. `load` raises `Fault` with the rule and what to do."""
    try:
        pack = load()
    except Fault as fault:
        return failed("policy", fault)
    return ok("policy", f"{len(pack.rules)} rules pass, {pack.revision[:19]}")


async def sidecar(url: str) -> Finding:
    """Check that the OPA beside us answers."""
    client = OpaClient(url, "")
    try:
        await client.ping(asyncio.get_running_loop().time() + ANSWERS_WITHIN_S)
    except Refused as refused:
        return fail("opa", f"{url} does not answer ({refused.code})", "Start it, and see who may open its socket.")
    finally:
        await client.close()
    return ok("opa", f"{url} answers")


async def issuers(known: Iterable[Issuer], now: Clock) -> list[Finding]:
    """Check that the keys of every issuer can be had, from here and now."""
    fetcher = Fetcher()
    try:
        found = [await _keys_of(issuer, now, fetcher) for issuer in known]
    finally:
        await fetcher.close()
    return found or [warn("issuers", "none is set: no token is accepted", "Set PDP_ISSUERS.")]


async def _keys_of(issuer: Issuer, now: Clock, fetcher: Fetcher) -> Finding:
    try:
        keys = await IssuerKeys(issuer, now, fetcher).current()
    except Fault as fault:
        return failed("issuers", fault)
    except Refused as refused:
        advice = "See the line above, the network, the proxy and the issuer's status page."
        return fail("issuers", f"{refused.note}", advice)
    return ok("issuers", f"{issuer.issuer} has {len(keys.keys)} keys")


async def service(client: JsonClient, place: str) -> Finding:
    """Check the service that runs at `place`, if one does."""
    try:
        reply = await client.get("/readyz", ANSWERS_WITHIN_S)
    except NoReply as away:
        return warn("service", f"none answers at {place} ({away})", "Start it, or set PDP_PUBLIC_URL to where it is.")
    finally:
        await client.close()
    if reply.status == READY:
        return ok("service", f"{place} is ready: a known allow and a known deny come back right")
    if reply.status == NOT_READY:
        return fail("service", f"{place} is not ready", "Read its own log: it says which probe came back wrong.")
    return fail("service", f"{place} answered {reply.status}", "Something else listens there: correct PDP_PUBLIC_URL.")
