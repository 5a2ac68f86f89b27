"""Policy that is replaced again and again while calls go on: who asks, what each policy says, and what came back."""

import asyncio
import json
import os
import statistics
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any

from tests.bench import people
from tests.bench.stage import Home
from tests.policy.rules import WORDS
from tests.service import CALM

CONNECTIONS = 16
PATIENCE_S = 60.0  # for one swap; the bound of a second is for a quiet machine, and measured by `times`
SIDES = ("odd", "even")
TITLE = "A rule of a test"


def variant(number: int) -> str:
    """Return a guard that lets pass only the orders of one side, and says its number in its title."""
    words = WORDS.format(stage="call").replace(TITLE, title_of(number))
    own_probe = 'holds if input.tool.server == "pdp.probe"'
    return f'{words}package guards.mine\n\nholds if input.arguments.order == "{side_of(number)}"\n\n{own_probe}\n'


def title_of(number: int) -> str:
    """Return the title of the guard in a variant."""
    return f"Variant {number}"


def side_of(number: int) -> str:
    """Return the orders that a variant lets pass."""
    return SIDES[number % 2]


def own_rules(folder: Path) -> Path:
    """Make an org folder in which nobody calls too often, with variant 0 in it."""
    (folder / "guards").mkdir(parents=True)
    (folder / "config.yaml").write_text(CALM)
    place(folder, 0)
    return folder


def place(folder: Path, number: int) -> None:
    """Put a variant in the place of the one before, as editors and tools do: written elsewhere, then moved."""
    written = folder / "guards" / ".mine.rego.new"
    written.write_text(variant(number))
    written.replace(folder / "guards" / "mine.rego")


@dataclass
class Seen:
    """One answer: on which connection, to which order, when, and what it said."""

    connection: int
    order: str
    at: float
    status: int
    body: dict[str, Any]

    @property
    def revision(self) -> str | None:
        """Return the policy revision that the answer names."""
        revision: str | None = self.body.get("revisions", {}).get("policy")
        return revision


@dataclass
class Load:
    """Calls on so many connections at once, one after the other on each, from the start to the end of the context."""

    home: Home
    port: int
    seen: list[Seen] = field(default_factory=list)
    first: dict[str | None, float] = field(default_factory=dict)
    stopped: bool = False

    async def ask_on(self, connection: int, requests: Iterator[tuple[str, bytes]]) -> None:
        """Ask until stopped. Whatever is not an answer ends the test."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            while not self.stopped:
                order, request = next(requests)
                writer.write(request)
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                seen = Seen(
                    connection,
                    order,
                    time.perf_counter(),
                    int(head.split(b" ")[1]),
                    json.loads(await reader.readexactly(length)),
                )
                self.seen.append(seen)
                self.first.setdefault(seen.revision, seen.at)
        finally:
            writer.close()

    async def newer_than(self, known: set[str | None]) -> float:
        """Return when the first answer under a revision that is not among `known` came."""
        end = time.perf_counter() + PATIENCE_S
        while not (new := self.first.keys() - known):
            assert time.perf_counter() < end, f"no answer under a new policy within {PATIENCE_S} s"
            await asyncio.sleep(0.002)
        return min(self.first[revision] for revision in new)


@asynccontextmanager
async def loaded(home: Home, port: int, connections: int = CONNECTIONS) -> AsyncIterator[Load]:
    """Call as long as the context lasts, orders of both sides in turn; a failed connection fails the test."""
    load = Load(home, port)
    token = json.loads(people.queries(home.idp, people.READ)[0])["caller"]["access_token"]
    bodies = [json.dumps(people.query(token, people.READ, order)).encode() for order in SIDES]
    requests = list(zip(SIDES, home.requests(bodies), strict=True))
    async with asyncio.TaskGroup() as group:
        for number in range(connections):
            group.create_task(load.ask_on(number, cycle(requests)))
        try:
            yield load
        finally:
            load.stopped = True


async def swapped(folder: Path, load: Load, times: int) -> list[float]:
    """Replace the policy so often, each time once answers are under the last; return the seconds each took."""
    await until(lambda: bool(load.first), "the first answer")
    took, known = [], {None, *load.first}
    for number in range(1, times + 1):
        began = time.perf_counter()
        await asyncio.to_thread(place, folder, number)
        took.append(await load.newer_than(known) - began)
        known |= load.first.keys()
    return took


def must_be_right(load: Load, variants: dict[str, int]) -> None:
    """Fail unless every answer is a decision that names one policy and says what that very policy says."""
    for seen in load.seen:
        assert seen.status == 200, seen
        assert seen.revision in variants, seen
        number = variants[str(seen.revision)]
        passes = seen.order == side_of(number)
        assert seen.body["decision"] == ("allow" if passes else "deny"), (number, seen)
        spoken = [(reason["code"], reason["title"]) for reason in seen.body["reasons"]]
        assert spoken == ([] if passes else [("guards.mine", title_of(number))]), (number, seen)


def must_move_on(load: Load, variants: dict[str, int]) -> None:
    """Fail unless no connection ever saw an older policy after a newer one."""
    newest = dict.fromkeys(range(CONNECTIONS), 0)
    for seen in load.seen:
        number = variants[str(seen.revision)]
        assert number >= newest[seen.connection], seen
        newest[seen.connection] = number


def told(what: str, took: list[float], load: Load) -> None:
    """Print how long the swaps took."""
    span = load.seen[-1].at - load.seen[0].at
    at_most = sorted(took)[int(0.9 * len(took))]
    print(  # read with pytest -s, and in the report
        f"\n{what}: {len(took)} swaps, first answer under the new policy after p50 {statistics.median(took):.3f} s, "
        f"p90 {at_most:.3f} s, max {max(took):.3f} s; {len(load.seen)} answers, {len(load.seen) / span:.0f} a second"
    )


def opas_of(pid: int) -> list[int]:
    """Return the processes that a service has started and that run."""
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in listed if _runs(int(child))]


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


async def until(condition: Callable[[], bool], what: str, within: float = PATIENCE_S) -> None:
    """Wait, bounded, until a condition holds."""
    end = time.monotonic() + within
    while not condition():
        assert time.monotonic() < end, f"waited {within} s for {what}"
        await asyncio.sleep(0.01)


def quiet() -> bool:
    """Say whether this machine has a core to spare, so that times mean something."""
    return os.getloadavg()[0] < (os.cpu_count() or 1) / 2
