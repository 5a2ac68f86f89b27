"""The registry on each database: what a person decided holds, all of it or nothing, and never off the record."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, get_args

import pytest
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from pdp.errors import Fault, Unrecorded
from pdp.query import ToolRef, definition_digest
from pdp.registry.labels import Review
from pdp.registry.review import approve, quarantine, revoke, submit
from pdp.registry.sources import MAX_DEFINITION_BYTES, MAX_DEFINITIONS
from pdp.registry.states import TRANSITIONS, Status, Step, after
from pdp.store import tables
from pdp.store.changes import latest
from pdp.store.registry import read_tools
from pdp.store.sql import reading, transaction
from tests.conftest import FakeClock
from tests.contracts.engines import until
from tests.rooms import REFUND, REVIEW, SERVER, Rooms, open_rooms

CHANGED = REFUND | {"description": "Another text."}
REF = ToolRef(SERVER, "create_refund", definition_digest(REFUND))
NEW = ToolRef(SERVER, "create_refund", definition_digest(CHANGED))


@pytest.fixture
async def rooms(url: str, tmp_path: Path, clock: FakeClock) -> AsyncIterator[Rooms]:
    async with open_rooms(tmp_path, clock, url=url) as opened:
        yield opened


async def statuses(rooms: Rooms) -> dict[str, str]:
    async with reading(rooms.store) as connection:
        return {row["digest"]: row["status"] for row in await read_tools(connection)}


async def revision(rooms: Rooms) -> int:
    async with reading(rooms.store) as connection:
        return await latest(connection, "registry")


@pytest.mark.promise("registry.lifecycle")
async def test_an_imported_definition_is_submitted_privileged_and_nobodys(rooms: Rooms) -> None:
    (taken,) = await submit(rooms.office, SERVER, [REFUND], "test")
    assert (taken.digest, taken.new, taken.status) == (REF.definition_digest, True, "submitted")
    async with reading(rooms.store) as connection:
        (row,) = await read_tools(connection)
    assert (row["status"], row["risk_class"], row["owner"], row["reviewed_by"]) == ("submitted", "privileged", "", None)
    assert row["definition"] == REFUND
    body = {"server": SERVER, "name": "create_refund", "digest": REF.definition_digest, "source": "test"}
    assert [entry.body for entry in rooms.entries("registry.submitted")] == [body]


@pytest.mark.promise("registry.lifecycle")
async def test_importing_the_same_again_changes_and_records_nothing(rooms: Rooms) -> None:
    await rooms.approved(REFUND)
    before = await revision(rooms)
    (taken,) = await submit(rooms.office, SERVER, [REFUND | {"_meta": {"etag": 7}}], "again")
    assert (taken.new, taken.status) == (False, "approved")
    assert await revision(rooms) == before
    assert len(rooms.entries("registry.submitted")) == 1


@pytest.mark.promise("registry.lifecycle")
async def test_approving_a_new_definition_supersedes_the_old_one_in_one_step(rooms: Rooms) -> None:
    await rooms.approved(REFUND)
    await submit(rooms.office, SERVER, [CHANGED], "test")
    assert await statuses(rooms) == {REF.definition_digest: "approved", NEW.definition_digest: "submitted"}
    await approve(rooms.office, ToolRef(SERVER, "create_refund"), REVIEW, "bob")  # the one that awaits review
    assert await statuses(rooms) == {REF.definition_digest: "superseded", NEW.definition_digest: "approved"}
    entry = rooms.entries("registry.approved")[-1]
    assert (entry.body["by"], entry.body["digest"]) == ("bob", NEW.definition_digest)
    assert entry.body["supersedes"] == REF.definition_digest
    assert entry.body["review"]["class"] == "write"
    await approve(rooms.office, REF, REVIEW, "bob")  # a roll-back
    assert await statuses(rooms) == {REF.definition_digest: "approved", NEW.definition_digest: "superseded"}


@pytest.mark.promise("registry.lifecycle")
async def test_a_second_look_changes_the_class_and_is_recorded_as_a_review(rooms: Rooms) -> None:
    await rooms.approved(REFUND)
    stricter = Review(risk_class="destructive", owner="risk-team")
    definition = await approve(rooms.office, ToolRef(SERVER, "create_refund"), stricter, "carol")
    assert (definition.risk_class, definition.owner, definition.reviewed_by) == ("destructive", "risk-team", "carol")
    await approve(rooms.office, ToolRef(SERVER, "create_refund"), stricter, "dave")  # the same again is nothing
    assert [entry.body["by"] for entry in rooms.entries("registry.reviewed")] == ["carol"]
    await rooms.tools.poll()
    assert rooms.tools.impact(SERVER, "create_refund") == ("destructive", {})


@pytest.mark.promise("registry.lifecycle")
async def test_quarantine_and_revocation_are_recorded_with_their_reason(rooms: Rooms) -> None:
    await rooms.approved(REFUND)
    await quarantine(rooms.office, ToolRef(SERVER, "create_refund"), "odd traffic", "bob")
    await revoke(rooms.office, REF, "it was an attack", "carol")
    assert rooms.entries("registry.quarantined")[0].body["reason"] == "odd traffic"
    assert rooms.entries("registry.revoked")[0].body["by"] == "carol"
    with pytest.raises(Fault, match="cannot take the step approve"):
        await approve(rooms.office, REF, REVIEW, "bob")
    (taken,) = await submit(rooms.office, SERVER, [REFUND], "again")
    assert (taken.new, taken.status) == (False, "revoked")


@pytest.mark.promise("registry.lifecycle")
def test_only_what_the_table_lists_can_happen() -> None:
    statuses: tuple[Status, ...] = get_args(Status)
    steps: tuple[Step, ...] = get_args(Step)
    for status in statuses:
        for step in steps:
            if (status, step) in TRANSITIONS:
                assert after(status, step) == TRANSITIONS[status, step]
            else:
                with pytest.raises(Fault, match="cannot take the step"):
                    after(status, step)
    assert not [move for move in TRANSITIONS if move[0] == "revoked"]
    assert {move[0] for move, to in TRANSITIONS.items() if to == "approved"} == set(statuses) - {"revoked"}


@pytest.mark.promise("registry.lifecycle")
async def test_an_approval_must_say_which_definition_it_means(rooms: Rooms) -> None:
    with pytest.raises(Fault, match="known: none"):
        await approve(rooms.office, ToolRef(SERVER, "create_refund"), REVIEW, "bob")
    await submit(rooms.office, SERVER, [REFUND], "test")
    await submit(rooms.office, SERVER, [CHANGED], "test")
    with pytest.raises(Fault, match="Give its digest"):
        await approve(rooms.office, ToolRef(SERVER, "create_refund"), REVIEW, "bob")
    with pytest.raises(Fault, match="Give its digest"):
        await approve(rooms.office, ToolRef(SERVER, "create_refund", "sha256:" + "0" * 64), REVIEW, "bob")
    assert set((await statuses(rooms)).values()) == {"submitted"}


@pytest.mark.promise("registry.one_approved")
async def test_the_store_itself_holds_at_most_one_approved_definition_of_a_tool(rooms: Rooms) -> None:
    await rooms.approved(REFUND)
    async with reading(rooms.store) as connection:
        row = dict((await connection.execute(select(tables.tools))).mappings().one())
    with pytest.raises(Fault) as caught:
        async with transaction(rooms.store) as connection:
            await connection.execute(insert(tables.tools).values(row | {"digest": "sha256:other"}))
    assert isinstance(caught.value.__cause__, IntegrityError)


@pytest.mark.promise("registry.one_approved")
async def test_two_approvals_at_once_leave_one_definition_in_force(rooms: Rooms) -> None:
    await submit(rooms.office, SERVER, [REFUND], "test")
    await submit(rooms.office, SERVER, [CHANGED], "test")
    done = await asyncio.gather(*(approve(rooms.office, ref, REVIEW, "bob") for ref in (REF, NEW) for _ in range(3)))
    assert len(done) == 6
    assert sorted((await statuses(rooms)).values()) == ["approved", "superseded"]


@pytest.mark.promise("registry.recorded")
async def test_what_cannot_be_recorded_does_not_happen(rooms: Rooms) -> None:
    ref = await rooms.approved(REFUND)
    before = await statuses(rooms), await revision(rooms)
    await rooms.log.close()
    for change in (
        lambda: submit(rooms.office, SERVER, [CHANGED], "test"),
        lambda: approve(rooms.office, ref, Review(risk_class="read", owner="eve"), "eve"),
        lambda: quarantine(rooms.office, ref, "why", "eve"),
        lambda: revoke(rooms.office, ref, "why", "eve"),
    ):
        with pytest.raises(Unrecorded):
            await change()
    assert (await statuses(rooms), await revision(rooms)) == before


@pytest.mark.promise("registry.limits")
@pytest.mark.parametrize(
    ("definitions", "says"),
    [
        ([{"name": "a"}, {"name": "a", "description": "twice"}], "a tool twice"),
        ([{"name": "a"}, {"name": "a"}], "a tool twice"),
        ([{"description": "no name"}], "without a name"),
        ([{"name": ""}], "without a name"),
        ([{"name": "x" * 257}], "without a name"),
        ([{"name": 7}], "without a name"),
        ([{"name": "big", "description": "x" * MAX_DEFINITION_BYTES}], "at most"),
        ([{"name": "odd", "description": "\ud800"}], "canonical JSON"),
        ([{"name": "odd", "n": float("nan")}], "canonical JSON"),
        ([{"name": f"t{number}"} for number in range(MAX_DEFINITIONS + 1)], "at most 2000"),
    ],
)
async def test_a_list_beyond_the_limits_is_refused_as_a_whole(
    rooms: Rooms, definitions: list[dict[str, Any]], says: str
) -> None:
    with pytest.raises(Fault, match=says):
        await submit(rooms.office, SERVER, [{"name": "fine"}, *definitions], "test")
    assert await statuses(rooms) == {}


@pytest.mark.promise("registry.limits")
async def test_a_definition_nested_without_end_is_refused(rooms: Rooms) -> None:
    deep: dict[str, Any] = {"name": "deep"}
    for _ in range(5000):
        deep = {"name": "deep", "inputSchema": deep}
    with pytest.raises(Fault, match="deeper than"):
        await submit(rooms.office, SERVER, [deep], "test")


@pytest.mark.promise("registry.limits")
@pytest.mark.parametrize("server", ["", "a/b", "*", "x" * 257])
async def test_a_server_id_that_patterns_could_misread_is_refused(rooms: Rooms, server: str) -> None:
    with pytest.raises(Fault, match="server id"):
        await submit(rooms.office, server, [REFUND], "test")


@pytest.mark.promise("registry.labels")
@pytest.mark.parametrize(
    ("review", "says"),
    [
        ({"owner": "  "}, "with an owner"),
        ({"labels": ["Ünsafe label"]}, "is not a label"),
        ({"required_scopes": ["two words"]}, "is not a scope"),
        ({"argument_labels": {"/card": ["secrets"]}}, "is not an argument label"),
        ({"argument_labels": {"card": ["secret"]}}, "is not a pointer"),
        ({"argument_labels": {"/kard": ["secret"]}}, "has no argument"),
    ],
)
async def test_a_misspelt_label_protects_nothing_and_is_refused(
    rooms: Rooms, review: dict[str, Any], says: str
) -> None:
    await submit(rooms.office, SERVER, [REFUND], "test")
    with pytest.raises(Fault, match=says):
        await approve(rooms.office, REF, Review(**({"risk_class": "write", "owner": "team"} | review)), "bob")
    assert set((await statuses(rooms)).values()) == {"submitted"}


@pytest.mark.promise("registry.follows")
async def test_another_process_sees_a_change_with_its_next_look(rooms: Rooms, clock: FakeClock) -> None:
    from pdp.registry.definitions import Registry
    from pdp.store.follow import Following

    other = Registry(rooms.store, clock)
    following = Following(rooms.store, clock, other.follower)
    await following.start()
    assert other.find(SERVER, "create_refund").tool is None
    ref = await rooms.approved(REFUND)
    await until(lambda: other.find(SERVER, "create_refund").tool is not None)
    assert other.revision == rooms.tools.revision
    await quarantine(rooms.office, ref, "why", "bob")
    await until(lambda: other.find(SERVER, "create_refund").tool is None)
    await following.close()


@pytest.mark.promise("registry.follows")
async def test_a_look_reads_only_the_tools_that_changed(rooms: Rooms) -> None:
    await rooms.approved(REFUND)
    kept = rooms.tools.find(SERVER, "create_refund")
    await rooms.approved({"name": "other"}, Review(risk_class="read", owner="team"))
    assert rooms.tools.find(SERVER, "create_refund") is kept
    assert rooms.tools.find(SERVER, "other").tool is not None
