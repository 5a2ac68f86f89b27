"""The composition root: Settings -> World -> ASGI application. What is opened here is closed here, in reverse."""

import logging
import os
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import cache, partial
from itertools import chain
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fastapi import APIRouter, FastAPI

from .api import approvals, audit, decisions, health, identity, policy, signals
from .api.access import Rate
from .api.admission import Learning, Places
from .api.gauges import Gauges
from .api.http import App, Receive, Scope, Send
from .api.metrics import Metrics
from .api.openapi import describe, handle_problems, with_request_ids
from .api.recent import Recent
from .approvals.bulletin import Bulletin
from .approvals.chat import chats_in
from .approvals.desk import VotingDesk
from .approvals.messages import Destination
from .approvals.outbox import Outbox, Sending
from .approvals.sweeping import Sweeping
from .approvals.waiting import Waiting
from .approvals.webhooks import webhook_at
from .audit.heads import Heads, log_key
from .audit.log import Log
from .audit.mask import Masker
from .audit.office import Office
from .audit.projection import Projection
from .console.application import console_app
from .console.cookies import Cookie, Session, SignIn
from .console.oidc import Provider
from .console.render import Pages
from .console.site import ROOT, Site, client_of, site_at
from .console.visit import Console
from .engine.binary import OPA, find, places
from .errors import Fault
from .flow import World
from .identity.habits import Habits
from .identity.issuers import Issuer
from .identity.people import People
from .identity.peps import Peps
from .identity.profiles import issuer_as
from .identity.tokens import TokenVerifier
from .keyfile import kept_key
from .meter import Meter
from .otlp import open_provider
from .outward import Outward
from .policy.live import Policy
from .policy.newest import admit
from .policy.notice import Notices
from .policy.origin import Origin, load
from .policy.pack import Pack
from .policy.ready import kept, ready_made
from .policy.renewal import Plan, Renewal
from .policy.start import Starting
from .readiness import Readiness, new_probe_key, seed_probe
from .recurring import Recurring
from .registry.definitions import Registry
from .settings import Settings
from .store.follow import Following
from .store.moment import on_clock
from .store.sql import Store, open_store
from .times import Clock, system_clock
from .tracing import Traces

logger = logging.getLogger(__name__)

NOT_READY_MADE = (
    "Only the default pack comes compiled, without rules of your own and unchanged; this one is checked and compiled "
    "here, by OPA."
)
SWEEP_EVERY_S = 5.0  # lateness is harmless: every transition looks at the time itself
SESSION_S = 12 * 3600  # whoever signed in must do so again within 12 hours (NIST SP 800-63B, section 4.2.3)
SIGN_IN_S = 600  # to find a password and a second factor


@dataclass(frozen=True)
class Service:
    """A running PDP: its world and the ASGI application in front of it."""

    world: World
    app: App
    peps: Peps
    following: Following
    projection: Projection
    renewal: Renewal
    voting: VotingDesk
    waiting: Waiting
    metrics: Metrics
    places: Learning

    def hush(self) -> None:
        """End at once what is held until there is news: the service is about to stop."""
        self.renewal.policy.hush()
        self.voting.bulletin.hush()

    async def projected(self) -> None:
        """Return when every decision taken so far can be looked up."""
        await self.projection.reached(self.world.log.committed - 1)


@asynccontextmanager
async def open_service(settings: Settings, clock: Clock = system_clock) -> AsyncIterator[Service]:
    """Open everything, yield the service, close everything. Raises `Fault` saying what to do when a part is missing.

    Must run on the main thread: the OPA child dies with the thread that started it.
    """
    async with AsyncExitStack() as stack:
        _private_directories(settings.data_dir)
        store = await open_store(settings.store_url)
        stack.push_async_callback(store.dispose)
        places = Learning(settings.max_underway, settings.decide_within_s)
        office, metrics = _open_office(settings, store, clock, places, stack), Metrics()
        heads = Heads(office.log, store, clock, log_key(settings.data_dir))
        await heads.start()
        stack.push_async_callback(heads.close)
        renewal = await _open_policy(settings, office, metrics, stack)
        world, readiness = await _open_world(settings, office, renewal.policy, places, stack)
        stack.push_async_callback(world.deadlines.close)
        peps = Peps(store, clock)
        following = Following(store, clock, world.people.follower, world.tools.follower, peps.follower)
        await following.start()
        stack.push_async_callback(following.close)
        projection = Projection(world.log, store)
        await projection.start()
        stack.push_async_callback(projection.close)
        await readiness.problem()  # also warms what the first caller would otherwise wait for
        desk = _desk(settings, world, places, store=store, peps=peps, metrics=metrics)
        waiting = _waiting(world, stack)
        metrics.watch(Gauges(world, readiness, peps, projection, places, waiting))
        sweeping = Sweeping(office)
        _tell(settings, world, metrics, sweeping, stack)
        voting = VotingDesk(world, Bulletin(), sweeping, metrics.voted)
        console = _console(settings, voting, stack)
        parts = approvals.router(desk, voting), policy.router(desk, renewal), health.router(readiness, metrics)
        app = _application(desk, parts, console)
        yield Service(world, app, peps, following, projection, renewal, voting, waiting, metrics, places)


def _open_office(settings: Settings, store: Store, clock: Clock, places: Places, stack: AsyncExitStack) -> Office:
    directory = settings.data_dir / "log" / str(settings.worker)
    log = Log(directory, clock, settings.log_segment_bytes, lambda: places.held)
    stack.push_async_callback(log.close)
    return Office(store if clock is system_clock else on_clock(store, clock), log, clock)


async def _open_world(
    settings: Settings, office: Office, live: Policy, asked: Meter, stack: AsyncExitStack
) -> tuple[World, Readiness]:
    store, clock = office.store, office.now
    key = new_probe_key(settings.data_dir / "run", settings.worker)
    await seed_probe(office)
    people, tools = People(store, clock), Registry(store, clock)
    tokens, site = TokenVerifier([*_issuers(settings), key.issuer()], clock), console_site(settings)
    await tokens.start()
    stack.push_async_callback(tokens.close)
    traces = _open_traces(settings, tools, stack)
    world = World(
        now=clock,
        zone=_zone(settings.zone),
        tokens=tokens,
        people=people,
        tools=tools,
        policy=live,
        store=store,
        log=office.log,
        habits=Habits(),
        masker=Masker(settings.data_dir / "keys" / "mask.key", settings.record_prompt),
        decide_within=settings.decide_within_s,
        record_within=settings.record_within_s,
        asked=asked,
        console=site.url if site else None,
        traces=traces,
    )
    return world, Readiness(world, key)


def _open_traces(settings: Settings, tools: Registry, stack: AsyncExitStack) -> Traces | None:
    if not settings.traces:
        return None
    provider = open_provider(os.environ, settings.worker, unsafe_plain=settings.unsafe_plain_traces)
    traces = Traces(provider, tools.knows)
    stack.push_async_callback(traces.close)
    return traces


def _issuers(settings: Settings) -> list[Issuer]:
    return [issuer_as(**item.model_dump(exclude_none=True)) for item in settings.issuers]


def console_site(settings: Settings) -> Site | None:
    """Return where the console is; None when no issuer is set for it. Raises `Fault` saying what is missing."""
    if settings.console_issuer is None:
        return None
    client = client_of(
        _issuers(settings),
        issuer=settings.console_issuer,
        name=settings.console_client_id,
        secret=settings.console_client_secret_file,
        resource=settings.console_resource,
        scope=settings.console_scope,
    )
    return site_at(settings.public_url, client)


def _tell(settings: Settings, world: World, metrics: Metrics, sweeping: Sweeping, stack: AsyncExitStack) -> None:
    """Mark what ran out, and tell others of approvals, until the service closes."""
    stack.push_async_callback(sweeping.close)
    sending = Sending(Outbox(world.store, world.now, _destinations(settings), world.console, metrics.told))
    marking = Recurring("marking requests that ran out", sweeping.done, SWEEP_EVERY_S)
    for part in (sending, marking):
        part.start()
        stack.push_async_callback(part.close)


def _waiting(world: World, stack: AsyncExitStack) -> Waiting:
    waiting = Waiting(world.store, world.deadlines)
    waiting.start()
    stack.push_async_callback(waiting.close)
    return waiting


def _destinations(settings: Settings) -> list[Destination]:
    outward = Outward(unsafe_private=settings.unsafe_webhook_private_addresses)
    if settings.unsafe_webhook_private_addresses:
        logger.warning("unsafe_webhook_private_addresses: webhooks may lead into private networks, over open lines")
    webhooks = [webhook_at(item.url, item.secret_file, frozenset(item.events), outward) for item in settings.webhooks]
    return [*webhooks, *(chats_in(settings.notify_urls_file) if settings.notify_urls_file else [])]


def _console(settings: Settings, voting: VotingDesk, stack: AsyncExitStack) -> App | None:
    site = console_site(settings)
    if site is None:
        return None
    provider = Provider(site, voting.world.tokens, voting.world.now)
    stack.push_async_callback(provider.close)
    key = kept_key(settings.data_dir / "keys" / "console.key", "console key")
    session = Cookie("pdp-console", Session, SESSION_S, key, secure=site.is_secure)
    sign_in = Cookie("pdp-sign-in", SignIn, SIGN_IN_S, key, secure=site.is_secure)
    return console_app(Console(site, voting, provider, session, sign_in, Pages()))


def load_pack(settings: Settings, clock: Clock = system_clock) -> Pack:
    """Check and build the policy the settings name. Raises `Fault` with the rule, the line and what to do."""
    return _load(settings, clock, partial(_opa, settings))


def _load(settings: Settings, clock: Clock, opa: Callable[[], Path]) -> Pack:
    """With PDP_ENGINE=wasm the default pack is ready made. Anything else needs an OPA to check and compile it."""
    origin, wasm, archive = origin_of(settings), settings.engine == "wasm", settings.data_dir / "policy"
    if wasm and (ready := ready_made(origin)):
        return kept(ready, archive)
    return load(origin, opa(), archive, clock(), wasm=wasm)


def origin_of(settings: Settings) -> Origin:
    """Return where the policy comes from."""
    return Origin(
        policy_dir=settings.policy_dir,
        org_dir=settings.org_dir,
        bundle=settings.policy_bundle,
        keys=settings.policy_keys,
    )


def _opa(settings: Settings) -> Path:
    try:
        return find(OPA, places(OPA, os.environ, settings.opa_binary)).path
    except Fault as fault:
        if settings.engine == "wasm":
            raise Fault(f"{NOT_READY_MADE} {fault}") from None
        raise


async def _open_policy(settings: Settings, office: Office, metrics: Metrics, stack: AsyncExitStack) -> Renewal:
    opa = cache(partial(_opa, settings))  # looked for once: asking it for its version takes a process
    starting = Starting(
        kind=settings.engine,
        url=str(settings.opa_url) if settings.opa_url else None,
        connections=settings.opa_connections,
        run_dir=settings.data_dir / "run",
        opa=opa,
        restarted=metrics.restarted,
    )
    plan = Plan(
        places=origin_of(settings).places,
        build=partial(_load, settings, office.now, opa),
        start=starting.start,
        admit=partial(admit, office.store),
    )
    renewal = Renewal(plan, Notices(office, "sidecar" if settings.opa_url else settings.engine, metrics.policy))
    stack.push_async_callback(renewal.close)
    await renewal.start()
    return renewal


def _desk(
    settings: Settings, world: World, places: Learning, *, store: Store, peps: Peps, metrics: Metrics
) -> decisions.Desk:
    return decisions.Desk(
        world=world,
        peps=peps,
        rate=Rate(settings.rate_per_second, world.now),
        store=store,
        places=places,
        max_body=settings.max_body_bytes,
        max_depth=settings.max_depth,
        count=metrics.count,
        rejected=metrics.rejected,
        recent=Recent(store, world.deadlines),
    )


def _application(desk: decisions.Desk, parts: Iterable[APIRouter], console: App | None) -> App:
    routes = FastAPI(
        title="mcp-pdp",
        summary="May identity X call tool Y with arguments Z?",
        redoc_url=None,
        docs_url=None,
        redirect_slashes=False,
    )
    common = decisions.router(desk), audit.router(desk), identity.router(desk), signals.router(desk)
    for part in (*common, *parts):
        routes.include_router(part)
    handle_problems(routes, desk.rejected)
    kinds = [group.KINDS for group in (decisions, identity, approvals, signals, policy)]
    describe(routes, [*chain.from_iterable(kinds), audit.Decided], decisions.SCHEMAS | approvals.SCHEMAS)
    rest = with_request_ids(routes, desk.world.now)
    pages = with_request_ids(console, desk.world.now) if console else rest

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        """Send decisions past the router, pages to the console, and everything else through the router."""
        if scope["type"] == "http" and scope["path"] == "/v1/decisions" and scope["method"] == "POST":
            await decisions.decide_route(scope, receive, send, desk)
        elif scope["type"] == "http" and (scope["path"] + "/").startswith(f"{ROOT}/"):
            await pages(scope, receive, send)
        else:
            await rest(scope, receive, send)

    return application


def _private_directories(data_dir: Path) -> None:
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)  # by itself: `parents` are made with the usual mode
    for name in ("log", "keys", "run", "policy"):
        (data_dir / name).mkdir(parents=True, exist_ok=True, mode=0o700)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise Fault(f"PDP_ZONE is {name}, which is not a time zone: use a name such as Europe/Berlin.") from None
