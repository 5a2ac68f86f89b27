"""Renewal: new policy from the folders, checked, built, started and probed before it replaces what is in force.

    files at rest -> build -> start an engine on it -> probe -> record -> switch, or offer to the sidecar

Whatever fails on the way leaves the policy in force as it is, and says why (`notice.py`).
"""

import asyncio
import math
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from ..errors import Fault
from ..recurring import Recurring
from .adoption import Adoption
from .change import Change, change_between, everything
from .live import Active, Policy, StartEngine
from .notice import Cause, Notices
from .pack import Pack
from .problem import PackRefused
from .sign import Signed
from .watch import Mark, mark_of

LOOK_EVERY_S = 0.1  # of the second a swap may take; a look costs 0.3 ms of a thread at it, 1.5 ms of one to be woken
RESTS_S = 0.05  # files that look alike so long after they changed are at rest; a save takes less
READS = 5  # of files that change while they are read, until it is a problem
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0  # before what failed for another reason than its files is tried again


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Where policy comes from and what becomes of it. `places`: the folders and files that are watched.

    `build` runs off the event loop; `start` on it. `admit` refuses a signed policy that is older than one before.
    """

    places: Sequence[Path]
    build: Callable[[], Pack]
    start: StartEngine
    admit: Callable[[str, Signed | None], Awaitable[None]]


class Renewal:
    """Keeps `policy` what the files say; there is one once `start` has returned."""

    policy: Policy

    def __init__(self, plan: Plan, notices: Notices) -> None:
        self._plan = plan
        self._lock = asyncio.Lock()
        self._running: set[asyncio.Task[Change]] = set()
        self._read: Mark = ()
        self._again_at = math.inf
        self._pause = FIRST_PAUSE_S
        self._watching = Recurring("the policy files", self._look, LOOK_EVERY_S)
        self._adoption: Adoption | None = None
        self._newest: Pack | None = None
        self.notices = notices

    @property
    def newest(self) -> Pack:
        """Return the newest policy as its files have it: signed anew it is the same one, under another signature."""
        return self._newest or self.policy.newest.pack

    async def start(self) -> None:
        """Put the first policy in force and go on watching. Raises `Fault` when there is none that may be."""
        await self.renew(Cause("start"))
        self._watching.start(at_once=False)
        if self.notices.engine == "sidecar":
            self._adoption = Adoption(self.policy, self.notices)
            self._adoption.start()

    async def close(self) -> None:
        """Stop watching and whatever is under way, and close every engine."""
        await self._watching.close()
        if self._adoption is not None:
            await self._adoption.close()
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        if self._newest is not None:
            await self.policy.close()

    async def renew(self, cause: Cause) -> Change:
        """Make the policy what the files say, and return what that changes; nothing if it is so already.

        Raises `PackRefused` with every problem, and `Fault` when it cannot be built, started, probed or recorded. It is
        done to the end even when whoever asked goes away.
        """
        task = asyncio.create_task(self._renew(cause), name=f"policy: {cause.trigger}")
        self._running.add(task)
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    def _ended(self, task: asyncio.Task[Change]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # it has been said; whoever asked may be gone

    async def _renew(self, cause: Cause) -> Change:
        async with self._lock:
            try:
                change = await self._activate(await self._build_at_rest(), cause)
            finally:
                await self._note(sys.exception(), cause)
            return change

    async def _note(self, error: BaseException | None, cause: Cause) -> None:
        """Remember whether these files are to be tried again: only what they are not to blame for."""
        if error is None:
            self._again_at, self._pause = math.inf, FIRST_PAUSE_S
            self.notices.accepted()
        elif isinstance(error, Exception):
            lasting = isinstance(error, PackRefused)
            self._again_at = math.inf if lasting else asyncio.get_running_loop().time() + self._pause
            self._pause = FIRST_PAUSE_S if lasting else min(2 * self._pause, LONGEST_PAUSE_S)
            await self.notices.rejected(error, cause, self.policy.active.pack if self._newest else None)

    async def _build_at_rest(self) -> Pack:
        """Build from files that did not change meanwhile, so that no policy is half the old and half the new."""
        for _ in range(READS):
            self._read = await self._mark()
            try:
                pack = await asyncio.to_thread(self._plan.build)
            except (PackRefused, OSError) as error:
                if await self._mark() != self._read:
                    continue
                if isinstance(error, OSError):
                    raise Fault(f"The policy cannot be read or built: {error}.") from error
                raise
            if await self._mark() == self._read:
                return pack
        raise Fault("The policy files change while they are read: write them elsewhere and move them into place.")

    async def _activate(self, pack: Pack, cause: Cause) -> Change:
        before, offered = self._newest, self.notices.engine == "sidecar"
        if before is not None and pack.revision == before.revision:
            if pack.tables != before.tables:  # they decide nothing, but a start after this one would try them too
                await (await self._plan.start(pack)).close()
            await self._plan.admit(pack.revision, pack.signed)  # signed anew, it is newer; or it is an old signature
            self._newest = pack
            return Change()
        async with AsyncExitStack() as undo:
            new = Active(pack, await self._plan.start(pack))
            undo.push_async_callback(new.engine.close)
            change = change_between(before, pack) if before else everything(pack)
            await self._plan.admit(pack.revision, pack.signed)
            await self.notices.activated(pack, before, cause, change, offered=offered)
            undo.pop_all()
        self._replace_by(new, offered=offered)
        return change

    def _replace_by(self, new: Active, *, offered: bool) -> None:
        if self._newest is None:
            self.policy = Policy(new)
        elif offered:
            self.policy.offer(new)
        else:
            self.policy.switch(new)
        self._newest = new.pack

    async def _look(self) -> None:
        """Renew the policy once its files have changed and come to rest."""
        seen = await self._mark()
        if seen == self._read and asyncio.get_running_loop().time() < self._again_at:
            return
        await asyncio.sleep(RESTS_S)
        if seen == await self._mark():
            with suppress(Fault):  # it has been said
                await self.renew(Cause("watch"))

    async def _mark(self) -> Mark:
        return await asyncio.to_thread(mark_of, self._plan.places)
