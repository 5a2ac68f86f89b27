"""The official MCP SDK (`mcp` 2.3), both protocol eras: every tool call of a server is decided by the PDP first.

    server = MCPServer("payments", **pass_token(issuer="https://idp.example", resource="https://payments.example/mcp"))
    protect(server, pdp="https://pdp.example", key=os.environ["PDP_KEY"], server_id="payments")

Call `protect` last: middleware appended later runs between the decision and the tool and could change the arguments.
A tool that calls another with `server.call_tool(...)` inside the same server does not pass any middleware, so the
inner call is not decided on: write the shared part as a function, or go through a client.

Resources and prompts are not decided on yet. They are denied, and their lists are empty, unless
`unsafe_pass_methods` names the methods to let through undecided.

A call that needs an approval is held, or answered with what to do, as its client allows: ladder.py.

The SDK calls its middleware interface provisional; nothing else of this package but ladder.py knows it.
"""

import hashlib
import logging
import os
import ssl
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
from mcp import MCPError
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.lowlevel.server import Server
from mcp.server.mcpserver import MCPServer
from mcp.types import INVALID_PARAMS
from opentelemetry.trace import get_current_span  # the SDK's own dependency
from pydantic import AnyHttpUrl, BaseModel

from ..answer import Answer
from ..errors import REFUSALS, Fault
from ..query import MAX_NAME
from .client import DEADLINE_S, Client
from .context import context_of
from .definitions import Definitions, Digests
from .enforce import Call, Enforcer, Wait, told_at_once
from .ladder import Ladder, is_modern, without_round
from .notify import Notify, log_notice
from .pending import HELD_CALLS, HOLD_S, Pending
from .replies import Result, envelope

logger = logging.getLogger(__name__)

TOKEN_FILE = "PDP_CALLER_TOKEN_FILE"  # noqa: S105  # the variable's name (contracts, section 9)
MAX_TOKEN_FILE = 64 * 1024  # bytes; the PDP takes no token of that size
PASSED = frozenset({"initialize", "server/discover", "ping"})  # they say what the server is, not what is in it
EMPTY = {"resources/list": "resources", "resources/templates/list": "resourceTemplates", "prompts/list": "prompts"}
DECIDED = frozenset({"tools/call", "tools/list"})
DENIED = -32010  # JSON-RPC: of the range left to implementations, and not one of the codes SDKs use themselves
MAX_PAGES = 200  # of the server's own list
DRAIN_S = 2.0  # outcomes on their way when the server stops; each has less than that

Context = ServerRequestContext[Any, Any]
Token = Callable[[Context], str | None]
"""Returns the access token of whoever sent this message, or None."""
AnyServer = MCPServer[Any] | Server[Any]


def protect(
    server: AnyServer,
    *,
    pdp: str,
    key: str,
    server_id: str,
    deadline_s: float = DEADLINE_S,
    uds: Path | None = None,
    tls: ssl.SSLContext | None = None,
    bearer: bool | None = None,
    token_file: Path | None = None,
    notify: Notify = log_notice,
    hold_s: float = HOLD_S,
    held_calls: int = HELD_CALLS,
    unsafe_pass_methods: Collection[str] = (),
) -> "PdpMiddleware":
    """Have every tool call of `server` decided by the PDP at `pdp` (or its unix socket), asked with an adapter's `key`.

    `tls`, from `pdp.net.trusted`, names the CA of its certificate, and ours where it demands one. `server_id` is the id
    the PDP knows this server by. Whoever calls is known by a bearer token over HTTP (`bearer`, the default for an
    `MCPServer` with `auth`), or by the token in `token_file` (default: the file that PDP_CALLER_TOKEN_FILE names) over
    stdio. A call that waits for people is held for up to `hold_s` seconds where its client can bear that (0: never),
    `held_calls` of them at a time. `notify` tells those of a call whom the policy says to tell, before it is made; by
    default it writes a line to the logger `mcp_pdp.notify`. Raises `Fault` for settings
    that cannot work, and when nothing says who calls.
    """
    if not 0 < len(server_id) <= MAX_NAME or "/" in server_id or "*" in server_id:
        raise Fault(f"server_id takes 1 to {MAX_NAME} characters without / and *: the id the PDP knows the server by.")
    client = Client(pdp, key, deadline_s, uds, tls)
    ladder = Ladder(Pending(client, held_calls), hold_s)
    enforcer = Enforcer(client, server_id, notify)
    guard = PdpMiddleware(enforcer, ladder, _token(server, bearer, token_file), unsafe_pass_methods)
    low = server._lowlevel_server if isinstance(server, MCPServer) else server  # noqa: SLF001  # no public way to it
    low.lifespan = guard.closing_with(low.lifespan)
    low.middleware.append(guard)
    return guard


def pass_token(*, issuer: str, resource: str) -> dict[str, Any]:
    """Return the `auth` and `token_verifier` that hand the bearer token on to the PDP, unread.

    `issuer` is where clients get tokens, `resource` the URL of this server: both are published for clients (RFC 9728).
    Takes them: `MCPServer(...)`, and `streamable_http_app(...)` of the low-level `Server`.
    """
    settings = AuthSettings(
        issuer_url=AnyHttpUrl(issuer),
        resource_server_url=AnyHttpUrl(resource),
        validate_token_resource=False,  # the PDP checks the audience, with everything else
    )
    return {"auth": settings, "token_verifier": PassTokenVerifier()}


def list_only(server: AnyServer) -> None:
    """Let a server list its tools and nothing else: how `pdp registry import --stdio` sees what awaits approval.

    A protected server hides what is not approved, so it cannot be imported from.
    """

    async def only_lists(ctx: Context, call_next: CallNext) -> HandlerResult:
        if ctx.request_id is None or ctx.method in PASSED | {"tools/list"}:
            return await call_next(ctx)
        raise MCPError(DENIED, "This process only lists its tools.")

    server.middleware.append(only_lists)


class PassTokenVerifier:
    """Takes every bearer token and hands it on as it is: the PDP verifies it, at each call, and nobody else does.

    Sessions and sealed `requestState` belong to the exact token, known by a digest: a client that renews its token
    starts a new session.
    """

    async def verify_token(self, token: str) -> AccessToken | None:
        """Return the token, unread. An empty one is none."""
        if not token.strip():
            return None
        owner = hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
        return AccessToken(token=token, client_id=f"token:{owner}", scopes=[])


class FileToken:
    """The caller of a server over stdio, read from a file at each call so that it can be renewed.

    Raises `Fault` when there is no token in the file at the start.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        if self._read() is None:
            raise Fault(f"{path} holds no access token of the caller: write one there before the server starts.")

    def __call__(self, ctx: Context) -> str | None:
        """Return the token. A message that came over HTTP is not from whom the file speaks of."""
        return self._read() if ctx.request is None else None

    def _read(self) -> str | None:
        try:
            with self._path.open("rb") as file:
                return file.read(MAX_TOKEN_FILE).decode("ascii").strip() or None
        except (OSError, UnicodeDecodeError) as error:
            logger.warning("no access token can be read from %s: %s", self._path, error)
            return None


class PdpMiddleware:
    """Middleware for `Server.middleware`: decides tool calls, filters the tool list, denies what is not decided on."""

    def __init__(
        self, enforcer: Enforcer, ladder: Ladder, token: Token, unsafe_pass_methods: Collection[str] = ()
    ) -> None:
        wrong = DECIDED & set(unsafe_pass_methods)
        if wrong:
            raise Fault(f"unsafe_pass_methods names {sorted(wrong)}: tool calls are what is decided on.")
        if unsafe_pass_methods:
            logger.warning("unsafe_pass_methods: %s are let through undecided", ", ".join(sorted(unsafe_pass_methods)))
        self._enforcer = enforcer
        self._ladder = ladder
        self._token = token
        self._passed = PASSED | set(unsafe_pass_methods)
        self._digests = Digests()
        self._open = 0

    async def __call__(self, ctx: Context, call_next: CallNext) -> HandlerResult:
        """Take one message. A notification has no answer to guard and reaches no tool."""
        if ctx.request_id is None or ctx.method in self._passed:
            return await call_next(ctx)
        if ctx.method == "tools/call":
            return await self._call(ctx, call_next)
        if ctx.method == "tools/list":
            return await self._list(ctx, call_next)
        if ctx.method in EMPTY:
            return _finished(ctx, {EMPTY[ctx.method]: [], **_uncached(ctx)})
        raise MCPError(DENIED, REFUSALS["adapter.method"].title, envelope("undisclosed"))

    def closing_with(
        self, lifespan: Callable[[Any], AbstractAsyncContextManager[Any]]
    ) -> Callable[[Any], AbstractAsyncContextManager[Any]]:
        """Return a server's lifespan that, when its last connection ends, tells the outcomes and closes ours."""

        @asynccontextmanager
        async def extended(app: Any) -> AsyncIterator[Any]:
            async with lifespan(app) as state:
                self._open += 1
                try:
                    yield state
                finally:
                    self._open -= 1
                    with anyio.move_on_after(DRAIN_S, shield=True):
                        await self._leave()

        return extended

    async def _leave(self) -> None:
        if self._open == 0:
            await self._enforcer.close()

    async def _call(self, ctx: Context, call_next: CallNext) -> HandlerResult:
        async def wait(answer: Answer) -> Result:
            reply = await self._ladder.wait(ctx, answer)
            return reply if reply is not None else await self._attempt(ctx, call_next, told_at_once)

        return _finished(ctx, await self._attempt(ctx, call_next, wait))

    async def _attempt(self, ctx: Context, call_next: CallNext, wait: Wait) -> Result:
        """Have a call decided from the start: token, definition and arguments are those of this moment."""
        params = dict(ctx.params or {})
        name, arguments = params.get("name"), params.get("arguments")
        if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME or not isinstance(arguments, dict | None):
            raise MCPError(INVALID_PARAMS, "Invalid request parameters")
        listed = await self._listed(ctx, call_next)
        call = Call(
            tool=name,
            arguments=arguments or {},
            token=self._token(ctx),
            definition=listed.by_name.get(name),
            toolset_digest=listed.toolset_digest,
            context=_context(ctx),
        )

        async def run(decided: dict[str, Any]) -> Result:
            given = {**without_round(params), "name": name, "arguments": decided}
            return _wire(await call_next(replace(ctx, params=given)))

        return await self._enforcer.call(call, run, wait)

    async def _list(self, ctx: Context, call_next: CallNext) -> HandlerResult:
        result = _wire(await call_next(ctx))
        listed = self._digests.read(result.get("tools", []))
        seen = await self._enforcer.visible(self._token(ctx), list(listed.by_name.values()))
        shown = [tool for tool in result.get("tools", []) if tool.get("name") in seen]
        return {**result, "tools": shown, **_uncached(ctx)}

    async def _listed(self, ctx: Context, call_next: CallNext) -> Definitions:
        """Ask the server itself what it lists now, all pages, in the form a client gets."""
        tools: list[dict[str, Any]] = []
        asked: dict[str, Any] = {"_meta": _meta(ctx)} if ctx.params and "_meta" in ctx.params else {}
        for _ in range(MAX_PAGES):
            page = _wire(await call_next(replace(ctx, method="tools/list", params=asked)))
            tools += page.get("tools", [])
            if not page.get("nextCursor"):
                break
            asked = {**asked, "cursor": page["nextCursor"]}
        return self._digests.read(tools)


def _token(server: AnyServer, bearer: bool | None, token_file: Path | None) -> Token:
    by_header = bearer if bearer is not None else isinstance(server, MCPServer) and server.settings.auth is not None
    if by_header:
        return _bearer
    named = token_file or os.environ.get(TOKEN_FILE)
    if not named:
        raise Fault(
            f"Who calls? Over stdio, put the caller's access token into a file and name it in {TOKEN_FILE}. "
            "Over HTTP, give the server `**pass_token(...)`."
        )
    return FileToken(Path(named))


def _bearer(_ctx: Context) -> str | None:
    held = get_access_token()
    return held.token if held else None


def _context(ctx: Context) -> dict[str, Any]:
    params = ctx.session.client_params
    client = {"name": params.client_info.name, "version": params.client_info.version} if params else {}
    return context_of(
        method=ctx.method, request_id=ctx.request_id, version=ctx.protocol_version, meta=_meta(ctx), client=client
    )


def _meta(ctx: Context) -> Mapping[str, Any]:
    meta = (ctx.params or {}).get("_meta")
    given = meta if isinstance(meta, Mapping) else {}
    here = get_current_span().get_span_context()  # the server's span of this call; below the client's, if it named one
    if not here.is_valid:
        return given
    return {**given, "traceparent": f"00-{here.trace_id:032x}-{here.span_id:016x}-{here.trace_flags:02x}"}


def _uncached(ctx: Context) -> dict[str, Any]:
    """Return the members that keep a list from being shown to others, or after it changed (SEP-2549)."""
    return {"cacheScope": "private", "ttlMs": 0} if is_modern(ctx) else {}


def _finished(ctx: Context, result: Result) -> Result:
    """Return a result as the era of the connection wants it: the SDK sends what we return as it is."""
    return {"resultType": "complete", **result} if is_modern(ctx) else result


def _wire(result: HandlerResult) -> Result:
    if isinstance(result, BaseModel):
        return result.model_dump(by_alias=True, mode="json", exclude_none=True)
    return dict(result or {})
