"""The store: is it the one this release writes, do our clocks agree, and is there anything to decide with?"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from ..store.condition import Condition, Content
from ..times import parse_rfc3339
from .finding import Finding, fail, ok, warn

APART_S = 2.0  # a revocation takes effect in two seconds
TOO_FAR_S = 30.0  # the clock difference that tokens are forgiven
OLD = timedelta(days=30)  # directories change weekly; a feed that stands still a month has broken
KEY_ENDS_WITHIN = timedelta(days=14)  # to make a new one and bring it to the adapter


def schema(seen: Condition) -> Finding:
    """Check that the store has the tables of this release."""
    if seen.schema == seen.ours:
        return ok("store", f"its schema is {seen.ours}, that of this release")
    if seen.schema is None:
        return warn("store", "it is empty", "Start `pdp serve` once, or `pdp identity import`: both make the tables.")
    if seen.known:
        return warn("store", f"its schema is {seen.schema}, older than {seen.ours}", "Back it up, then `pdp serve`.")
    return fail("store", f"this release does not know its schema {seen.schema}", "Run the release that wrote it.")


def clock(ahead_s: float | None) -> Finding:
    """Check our clock against that of the database, which every replica shares."""
    if ahead_s is None:
        return ok("clock", "the store is a file of this machine and has no other clock")
    says = f"the database's clock is {abs(ahead_s):.1f} s {'ahead of' if ahead_s > 0 else 'behind'} ours"
    advice = "Run chrony or systemd-timesyncd on both machines, and find out which one is wrong."
    if abs(ahead_s) > TOO_FAR_S:
        return fail("clock", says, advice)
    return warn("clock", says, advice) if abs(ahead_s) > APART_S else ok("clock", says)


def facts(content: Content, now: datetime) -> list[Finding]:
    """Check that there are people and tools, and that facts are not long out of date."""
    found = []
    if not content.people and not content.agents:
        found.append(warn("facts", "nobody is registered: everything is denied", "Run `pdp identity import FILE`."))
    if not content.approved_tools:
        found.append(warn("facts", "no tool is approved: everything is denied", "Run `pdp registry list`, approve."))
    if content.changed_at and now - parse_rfc3339(content.changed_at) > OLD:
        says = f"nothing about people and agents has changed since {content.changed_at}"
        found.append(warn("facts", says, "See whether the job that imports your directory still runs."))
    said = f"{content.people} people, {content.agents} agents, {content.approved_tools} approved tools"
    return found or [ok("facts", f"{said}; last changed {content.changed_at}")]


def adapter_keys(rows: Iterable[dict[str, Any]], now: datetime) -> list[Finding]:
    """Check that adapters have keys that last, and name those whose holder can be anybody."""
    live = [row for row in rows if row["revoked_at"] is None and parse_rfc3339(row["expires_at"]) > now]
    found = [
        warn("keys", f"the adapter key {row['id']} {row['note']} ends {row['expires_at']}", "Make its successor now.")
        for row in live
        if parse_rfc3339(row["expires_at"]) - now < KEY_ENDS_WITHIN
    ]
    found += [
        warn("keys", f"whoever holds {row['id']} can be anybody (unsafe_assert_identity)", "Revoke it if you can.")
        for row in live
        if row["unsafe_assert_identity"]
    ]
    if not live:
        found.append(warn("keys", "no adapter has a key that is good", "Run `pdp keys create --server NAME`."))
    return found or [ok("keys", f"{len(live)} adapter keys, none of which ends soon")]
