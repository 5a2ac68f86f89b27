"""Notices: what is said when policy is renewed or not, in every place where somebody may look.

The record comes first: an activation that cannot be recorded is not made. A rejection stands unrecorded too, since it
changes nothing.
"""

import logging
from collections.abc import Callable
from typing import Literal, TypeAlias

import msgspec
from msgspec import Struct, field

from ..audit.office import Office
from ..errors import Unrecorded
from ..times import rfc3339
from .change import Change
from .pack import Pack
from .problem import PackRefused, Problem

Trigger: TypeAlias = Literal["start", "watch", "api", "sidecar"]
EngineName: TypeAlias = Literal["opa", "sidecar", "wasm"]
Tell: TypeAlias = Callable[[Literal["activated", "offered", "unchanged", "rejected"]], None]
"""Told what became of each renewal; the metrics count it."""

logger = logging.getLogger(__name__)


class Cause(Struct, frozen=True, omit_defaults=True):
    """Why policy is renewed: a start, files that changed, a key (`by`) that asked, or a sidecar that took it up."""

    trigger: Trigger
    by: str | None = None


class Activated(Struct, frozen=True, omit_defaults=True):
    """The body of a `policy.activated` record. `offered`: to a sidecar, which has not taken it up yet."""

    revision: str
    engine: EngineName
    trigger: Trigger
    by: str | None = None
    previous: str | None = None
    offered: bool = False
    change: Change = field(default_factory=Change)


class Rejection(Struct, frozen=True, omit_defaults=True):
    """The body of a `policy.rejected` record; `stays` is the revision that remains in force, absent at the start."""

    at: str
    trigger: Trigger
    problems: list[Problem]
    by: str | None = None
    stays: str | None = None


class Notices:
    """Says it. `since`: when the policy in force came into force; `rejection`: the last one, while it stands."""

    def __init__(self, office: Office, engine: EngineName, tell: Tell) -> None:
        self._office = office
        self._tell = tell
        self.engine = engine
        self.since: str | None = None
        self.rejection: Rejection | None = None

    async def activated(self, new: Pack, before: Pack | None, cause: Cause, change: Change, *, offered: bool) -> None:
        """Record that a policy comes into force, or is offered, before it does. Raises `Unrecorded`."""
        body = Activated(
            revision=new.revision,
            engine=self.engine,
            trigger=cause.trigger,
            by=cause.by,
            previous=before.revision if before else None,
            offered=offered,
            change=change,
        )
        await self._office.put_on_record("policy.activated", msgspec.to_builtins(body))
        logger.info("the policy %s is %s (%s)", new.revision, "offered" if offered else "in force", cause.trigger)
        if change.review:
            logger.warning("review these permits and duties of the organisation's own: %s", ", ".join(change.review))
        self._tell("offered" if offered else "activated")
        self.since = self.since if offered else rfc3339(self._office.now())

    def accepted(self) -> None:
        """Forget the last rejection: what the files say now is, or will be, in force."""
        self.rejection = None
        self._tell("unchanged")

    async def rejected(self, error: Exception, cause: Cause, in_force: Pack | None) -> None:
        """Say why the policy stays what it is; once, when the same is tried again with the same outcome."""
        problems = problems_of(error)
        self._tell("rejected")
        if cause.trigger == "watch" and self.rejection is not None and self.rejection.problems == problems:
            return
        at, stays = rfc3339(self._office.now()), in_force.revision if in_force else None
        self.rejection = Rejection(at=at, trigger=cause.trigger, problems=problems, by=cause.by, stays=stays)
        said = "\n".join(f"  {problem}" for problem in problems)
        logger.error("new policy is not put in force (%s), %s stays:\n%s", cause.trigger, stays or "nothing", said)
        try:
            await self._office.put_on_record("policy.rejected", msgspec.to_builtins(self.rejection))
        except Unrecorded as unrecorded:
            logger.error("the rejection is not on record: %s", unrecorded)  # noqa: TRY400  # the sentence says it all


def problems_of(error: Exception) -> list[Problem]:
    """Return what was wrong as problems; what is not about a file is one that names none."""
    if isinstance(error, PackRefused):
        return list(error.problems)
    return [Problem("", 0, f"{type(error).__name__}: {error}", "")]
