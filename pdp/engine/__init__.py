"""What the PDP asks of a policy engine, whichever one runs."""

from typing import Protocol, runtime_checkable

VERDICT = "pdp/decision/verdict"
VERDICTS = "pdp/decision/verdicts"
VISIBLE = "pdp/decision/visible"
PLAN, ELIGIBLE, QUORUM = "approvals/plan", "approvals/eligible", "approvals/quorum"
ENTRYPOINTS = (VERDICT, VERDICTS, VISIBLE, PLAN, ELIGIBLE, QUORUM)  # all that is ever asked


class Engine(Protocol):
    """A loaded policy that answers queries. `opa` speaks to a server, `local` also runs one."""

    @property
    def revision(self) -> str:
        """Return the digest of the policy that every answer must come from."""
        ...

    async def evaluate(self, entrypoint: str, document: bytes, deadline: float) -> bytes:
        """Evaluate `data.<entrypoint>` on the input `document` (one JSON value) and return the result's JSON.

        `deadline` is absolute, in seconds of the running loop's `time()`. Raises `Refused` with `engine.unavailable`
        (no connection), `engine.timeout` (deadline passed, in the queue or on the wire), `engine.garbled` (not a 200
        with JSON of the expected form and size) or `engine.undefined` (200 without a result).
        """
        ...

    async def close(self) -> None:
        """Let go of connections and, if we started it, the engine."""
        ...


@runtime_checkable
class Watched(Protocol):
    """An engine that says how it is: calls that wait for it, and whether there is anything to ask."""

    @property
    def waiting(self) -> int:
        """Return how many calls wait."""
        ...

    @property
    def running(self) -> bool:
        """Say whether a call would be tried."""
        ...
