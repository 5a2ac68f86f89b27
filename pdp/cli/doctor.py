"""`pdp doctor`: is this deployment well, and if not, what is to be done? It looks, and changes nothing."""

import asyncio
import os
import resource
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
from rich.console import Console

from ..doctor import around, files, lines, log, machine, store
from ..doctor.finding import Finding, fail, failed, warn
from ..engine.binary import OPA, find, places
from ..errors import Fault
from ..identity.profiles import issuer_as
from ..policy.origin import Origin
from ..policy.origin import load as load_policy
from ..policy.pack import Pack
from ..settings import Settings, load
from ..store.condition import condition_of
from ..store.sql import StoreUnavailable
from ..times import system_clock
from .lines import client_at, place_of, tls_of

COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(as_json: bool) -> None:
    """Check this deployment and say what to do.

    Run it with the settings of the service, as its user. Exit status 1 when something fails.
    """
    settings = load()
    found: list[Finding] = []
    with machine.watching_the_clock(found), Console(stderr=True).status("Looking"):
        found += [*_here(settings), *asyncio.run(_around(settings))]
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
    for one in [] if as_json else found:
        advice = f"\n{'':15}{one.advice}" if one.advice else ""
        click.echo(f"{click.style(f'{one.level:4}', COLOURS[one.level])} {one.check:9} {one.says}{advice}")
    sys.exit(1 if any(one.level == "fail" for one in found) else 0)


def _here(settings: Settings) -> Iterator[Finding]:
    data_dir = settings.data_dir
    yield from lines.unsafe(unsafe_in(settings))
    tls = bool(settings.tls_certificate)
    yield lines.listener(settings.host, tls=tls, unsafe_plain_http=settings.unsafe_plain_http)
    yield from _certificates(settings)
    yield from files.data_directory(data_dir, os.geteuid())
    yield from files.secret_files(_secrets(settings))
    yield machine.disk(*_room(data_dir))
    yield machine.open_files(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    if settings.engine == "opa" or settings.policy_dir or settings.org_dir:
        yield around.opa(lambda: find(OPA, places(OPA, os.environ, settings.opa_binary)))
    with tempfile.TemporaryDirectory(prefix="pdp-") as folder:
        yield around.policy(lambda: _pack(settings, Path(folder)))


async def _around(settings: Settings) -> list[Finding]:
    found = await _stored(settings)
    if settings.opa_url:
        found.append(await around.sidecar(settings.opa_url))
    try:
        known = [issuer_as(**item.model_dump(exclude_none=True)) for item in settings.issuers]
        found += await around.issuers(known, system_clock)
    except Fault as fault:
        found.append(failed("issuers", fault))
    try:
        place = place_of(settings, None)
        found.append(await around.service(client_at(settings, place, "", 4096), place))
    except Fault as fault:
        found.append(failed("service", fault))
    return found


async def _stored(settings: Settings) -> list[Finding]:
    now = system_clock()
    try:
        seen = await condition_of(settings.store_url)
    except StoreUnavailable as error:
        level = warn if "yet" in str(error) else fail
        return [level("store", str(error), "Start `pdp serve` once, or correct PDP_DATABASE_URL and PDP_DATA_DIR.")]
    except Fault as fault:
        return [failed("store", fault)]
    found = [store.schema(seen), store.clock(seen.ahead_s)]
    if seen.content:
        found += store.facts(seen.content, now)
        found += store.adapter_keys(seen.content.keys, now)
        found += log.logs(settings.data_dir, seen.content.heads, now)
    return found


def unsafe_in(settings: Settings) -> list[str]:
    """Return the settings in force that are called unsafe, those of issuers too."""
    names = [name for name in type(settings).model_fields if "unsafe" in name and getattr(settings, name)]
    return [f"PDP_{name.upper()}" for name in names] + [
        f"unsafe_any_client of {one.issuer}" for one in settings.issuers if one.unsafe_any_client
    ]


def _certificates(settings: Settings) -> Iterator[Finding]:
    try:
        served = tls_of(settings)
        if served:
            yield lines.certificate(served, system_clock())
        if settings.client_certificate:
            yield lines.lasting("tls", settings.client_certificate, system_clock())
    except Fault as fault:
        yield failed("tls", fault)


def _secrets(settings: Settings) -> list[Path]:
    own = settings.client_key, settings.console_client_secret_file, settings.notify_urls_file
    return [*(path for path in own if path), *(item.secret_file for item in settings.webhooks)]


def _room(data_dir: Path) -> tuple[machine.Room, str]:
    place = next(path for path in (data_dir, *data_dir.parents) if path.exists())
    found = os.statvfs(place)
    return machine.Room(found.f_bavail * found.f_frsize, found.f_favail if found.f_files else None), str(place)


def _pack(settings: Settings, folder: Path) -> Pack:
    origin = Origin(
        policy_dir=settings.policy_dir,
        org_dir=settings.org_dir,
        bundle=settings.policy_bundle,
        keys=settings.policy_keys,
    )
    where = places(OPA, os.environ, settings.opa_binary)
    return load_policy(origin, find(OPA, where).path, folder, system_clock(), wasm=settings.engine == "wasm")
