"""Groups and roles, for any graph: no right without a way to it, none that outlasts a link, and circles end."""

from itertools import pairwise
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pdp.identity.rights import Assignment, Grant, Membership, Registered, Stored, assemble, reachable_groups
from pdp.store.tables import NEVER

pytestmark = pytest.mark.promise("rights.follow_links")
GROUPS = [f"g{i}" for i in range(6)]
TIMES = [f"2026-01-0{day}T00:00:00Z" for day in range(1, 6)] + [NEVER]
times = st.sampled_from(TIMES)
groups = st.sampled_from(GROUPS)


def link(member: str, group: str, until: str = NEVER) -> Membership:
    kind: Literal["group", "principal"] = "group" if member in GROUPS else "principal"
    return Membership(member_kind=kind, member=member, group_id=group, expires_at=until)


edges = st.lists(
    st.builds(link, st.sampled_from(["alice", "mallory", *GROUPS]), groups, times), max_size=25, unique_by=str
)


def ways(links: list[Membership], to: str) -> list[list[Membership]]:
    """Return every way from alice to a group that visits no group twice: the slow, obvious reference."""
    found: list[list[Membership]] = []
    waiting: list[list[Membership]] = [[e] for e in links if e.member == "alice"]
    while waiting:
        way = waiting.pop()
        if way[-1].group_id == to:
            found.append(way)
        visited = {e.group_id for e in way}
        waiting += [[*way, e] for e in links if e.member == way[-1].group_id and e.group_id not in visited]
    return found


@settings(max_examples=200)
@given(edges)
def test_a_membership_lasts_as_long_as_the_weakest_link_of_the_best_way(links: list[Membership]) -> None:
    found = reachable_groups("alice", links)
    for group in GROUPS:
        expiries = [min(e.expires_at for e in way) for way in ways(links, group)]
        assert (found[group].expires_at if group in found else None) == (max(expiries) if expiries else None)


@given(edges)
def test_every_membership_says_which_link_it_came_through(links: list[Membership]) -> None:
    found = reachable_groups("alice", links)
    for held in found.values():
        member = held.through.removeprefix("group:") or "alice"
        assert any(e.member == member and e.group_id == held.id for e in links)


def test_a_circle_of_groups_ends() -> None:
    circle = [link("alice", "g0"), *(link(a, b) for a, b in pairwise([*GROUPS, "g0"]))]
    assert set(reachable_groups("alice", circle)) == set(GROUPS)


@given(times, times, times)
def test_a_right_by_role_by_group_ends_with_the_first_of_its_links(first: str, second: str, third: str) -> None:
    stored = Stored(
        registered=Registered(id="alice", kind="person", status="active", display=""),
        memberships=[link("alice", "g0", first)],
        assignments=[Assignment(holder_kind="group", holder="g0", role="refunder", expires_at=second)],
        grants=[Grant("e1", "role", "refunder", "call", "payments", "*", [], third)],
        delegations=[],
        signals=[],
    )
    principal = assemble(stored)
    assert [(right.via, right.expires_at) for right in principal.rights] == [
        ("role:refunder", min(first, second, third))
    ]
    assert principal.depends == {"group:g0", "role:refunder"}
