"""The outbox on each database: every event reaches every receiver, whoever dies on the way, and nobody waits for it."""

import asyncio
import base64
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from pdp.approvals import requests
from pdp.approvals.outbox import AT_ONCE, CLAIM_S, FORGET_AFTER_S, GIVE_UP_AFTER_S, Outbox, retry_in_s
from pdp.approvals.requests import Terms
from pdp.approvals.states import EVENTS
from pdp.approvals.webhooks import Webhook
from pdp.audit.office import Office
from pdp.errors import Unrecorded
from pdp.outward import Outward
from pdp.store import outbox as store
from pdp.store.moment import on_clock
from pdp.store.sql import open_store, reading, transaction
from tests.conftest import FakeClock
from tests.contracts.test_approvals import TERMS, ballot, call, two_of_us
from tests.receiver import Receiver, receiving
from tests.rooms import Rooms, open_rooms

pytestmark = pytest.mark.slow


WORRIED = Terms(decide_within_s=900, execute_within_s=300, uses=1, remind_after_s=300, escalate_after_s=600)


@pytest.fixture
async def rooms(url: str, tmp_path: Path, clock: FakeClock) -> AsyncIterator[Rooms]:
    async with open_rooms(tmp_path, clock, url=url) as opened:
        yield opened


@pytest.fixture
def office(rooms: Rooms, clock: FakeClock) -> Office:
    return Office(on_clock(rooms.store, clock), rooms.log, clock)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """Return a file with a webhook secret."""
    path = tmp_path / "secret"
    path.write_text(f"whsec_{base64.b64encode(b'k' * 32).decode()}")
    path.chmod(0o600)
    return path


class Post:
    """An outbox with one receiver, and what it counted."""

    def __init__(self, office: Office, url: str, secret: Path, **changes: Any) -> None:
        events = frozenset(changes.pop("events", EVENTS))
        self.counted: Counter[str] = Counter()
        self.webhook = Webhook(url, secret, events, Outward(unsafe_private=True))
        rest = {"destinations": [self.webhook], "count": self.count, "toss": lambda: 0.0, **changes}
        self.outbox = Outbox(office.store, office.now, **rest)

    def count(self, became: str, how_many: int) -> None:
        self.counted[became] += how_many

    async def round(self) -> None:
        """Address what is due, and send what is due."""
        await self.outbox.address()
        await self.outbox.deliver(self.webhook)


async def kept(office: Office) -> list[tuple[str, str, int]]:
    """Return what is in the outbox: event, state, attempts."""
    async with reading(office.store) as connection:
        return [(row["event"], row["state"], row["attempts"]) for row in await store.read_messages(connection)]


@pytest.mark.promise("notify.once_each")
async def test_a_message_is_tried_again_with_the_same_id_until_it_is_taken(
    office: Office, receiver: Receiver, secret: Path, clock: FakeClock
) -> None:
    post = Post(office, receiver.url, secret)
    receiver.answers = [500, 429, 301]
    await requests.ask(office, call(), TERMS)
    for _ in range(4):
        await post.round()
        await post.round()  # not yet due
        clock.advance(300)
    assert len(receiver.posts) == 4
    assert len({sent.id for sent in receiver.posts}) == len({sent.body for sent in receiver.posts}) == 1
    assert len({sent.headers["webhook-timestamp"] for sent in receiver.posts}) == 4, (
        "each attempt says when it was made"
    )
    assert (post.counted, await kept(office)) == (Counter(postponed=3, delivered=1), [])


@pytest.mark.promise("notify.once_each")
async def test_a_redirect_is_not_followed(office: Office, receiver: Receiver, secret: Path) -> None:
    receiver.answers, receiver.redirect = [307], receiver.url
    post = Post(office, receiver.url, secret)
    await requests.ask(office, call(), TERMS)
    await post.round()
    assert (len(receiver.posts), post.counted) == (1, Counter(postponed=1))


@pytest.mark.promise("notify.once_each")
async def test_a_receiver_that_hangs_is_given_up_in_time_and_holds_up_no_other(
    office: Office, receiver: Receiver, secret: Path, clock: FakeClock
) -> None:
    async with receiving() as silent:
        silent.silent = True
        hung = Post(office, silent.url, secret, send_within_s=0.2)
        well = Webhook(receiver.url, secret, frozenset(EVENTS), Outward(unsafe_private=True))
        both = Outbox(office.store, clock, [hung.webhook, well])
        await requests.ask(office, call(), TERMS)
        await both.address()
        waiting = asyncio.create_task(both.deliver(hung.webhook))
        await silent.until(1)
        await both.deliver(well)
        assert (len(receiver.posts), waiting.done()) == (1, False)
        waiting.cancel()
        clock.advance(CLAIM_S)
        await hung.outbox.deliver(hung.webhook)
    assert hung.counted == Counter(postponed=1)
    assert await kept(office) == [("approval.opened", "waiting", 2)]


@pytest.mark.promise("notify.once_each")
async def test_who_dies_between_sending_and_noting_it_is_followed_by_one_who_sends_the_same_again(
    office: Office, receiver: Receiver, secret: Path, clock: FakeClock
) -> None:
    post = Post(office, receiver.url, secret)
    receiver.silent = True
    await requests.ask(office, call(), TERMS)
    dying = asyncio.create_task(post.round())
    await receiver.until(1)
    dying.cancel()
    await asyncio.wait({dying})
    receiver.silent = False
    await post.round()
    assert len(receiver.posts) == 1, "its claim still stands"
    clock.advance(CLAIM_S)
    await post.round()
    first, second = receiver.posts
    assert (first.id, first.body) == (second.id, second.body)
    assert await kept(office) == []


@pytest.mark.promise("notify.once_each")
async def test_two_senders_share_the_work_lose_nothing_and_send_nothing_twice(
    office: Office, receiver: Receiver, secret: Path, url: str, clock: FakeClock
) -> None:
    events = 3 * AT_ONCE
    asked = [(await requests.ask(office, call(person=f"p{n}"), TERMS))[0]["id"] for n in range(events)]
    other = await open_store(url)
    try:
        posts = [
            Post(Office(on_clock(engine, clock), office.log, clock), receiver.url, secret)
            for engine in (office.store, other)
        ]
        await asyncio.gather(*(post.outbox.address() for post in posts))
        receiver.answers = [503, 204, 503]
        for _ in range(2):
            await asyncio.gather(*(post.outbox.deliver(post.webhook) for post in posts))
            clock.advance(3600)
    finally:
        await other.dispose()
    taken = Counter(sent.said["data"]["request"] for sent in receiver.posts)
    assert taken.keys() == set(asked)
    assert (taken.total(), len({sent.id for sent in receiver.posts})) == (events + 2, events)
    assert (posts[0].counted + posts[1].counted, await kept(office)) == (Counter(delivered=events, postponed=2), [])


@pytest.mark.promise("notify.once_each")
async def test_what_nobody_takes_for_a_day_is_kept_as_dead_and_counted_and_forgotten_after_a_month(
    office: Office, receiver: Receiver, secret: Path, clock: FakeClock
) -> None:
    post = Post(office, receiver.url, secret)
    receiver.answers = [500] * 100
    await requests.ask(office, call(), TERMS)
    while post.counted["dead"] == 0:
        await post.round()
        clock.advance(1800)
    assert 24 <= len(receiver.posts) <= 60
    [(event, state, _)] = await kept(office)
    assert (event, state, post.counted["dead"]) == ("approval.opened", "dead", 1)
    await post.round()
    assert post.counted["dead"] == 1
    clock.advance(GIVE_UP_AFTER_S + FORGET_AFTER_S)
    await post.round()
    assert await kept(office) == []


@pytest.mark.promise("notify.once_each")
async def test_a_receiver_that_says_it_is_gone_is_not_asked_again(
    office: Office, receiver: Receiver, secret: Path, clock: FakeClock
) -> None:
    post = Post(office, receiver.url, secret)
    receiver.answers = [410]
    await requests.ask(office, call(), TERMS)
    await post.round()
    clock.advance(3600)
    await post.round()
    assert (len(receiver.posts), post.counted) == (1, Counter(dead=1))


@pytest.mark.promise("notify.once_each")
async def test_a_receiver_hears_of_the_events_it_asked_for(office: Office, receiver: Receiver, secret: Path) -> None:
    post = Post(office, receiver.url, secret, events=["approval.decided"])
    opened, _ = await requests.ask(office, call(), TERMS)
    await post.round()
    await requests.vote(office, opened["id"], ballot("carol", "deny"), two_of_us)
    await post.round()
    assert [sent.said["type"] for sent in receiver.posts] == ["approval.decided"]


@pytest.mark.promise("notify.with_the_step")
async def test_a_step_that_is_not_made_is_not_told(office: Office, rooms: Rooms) -> None:
    await rooms.log.close()
    with pytest.raises(Unrecorded):
        await requests.ask(office, call(), TERMS)
    assert await kept(office) == []


@pytest.mark.promise("notify.with_the_step")
@pytest.mark.parametrize("end", ["approve", "deny", "cancel", "supersede", "expire"])
async def test_each_end_is_told_once(end: str, office: Office, receiver: Receiver, secret: Path, clock: Any) -> None:
    opened, _ = await requests.ask(office, call(), TERMS)
    identifier = opened["id"]
    if end == "expire":
        clock.advance(TERMS.decide_within_s)
        await requests.sweep(office)
    elif end in {"cancel", "supersede"}:
        await (
            requests.cancel(office, identifier, "pep", "")
            if end == "cancel"
            else requests.supersede(office, identifier, "")
        )
    else:
        for person in ("carol", "dave") if end == "approve" else ("carol",):
            await requests.vote(office, identifier, ballot(person, end), two_of_us)
    await requests.sweep(office)
    post = Post(office, receiver.url, secret)
    await post.round()
    said = sorted((sent.said["type"], sent.said["data"]["status"]) for sent in receiver.posts)
    ends = {
        "approve": "approved",
        "deny": "denied",
        "cancel": "cancelled",
        "supersede": "superseded",
        "expire": "expired",
    }
    assert said == [("approval.decided", ends[end]), ("approval.opened", "open")]


@pytest.mark.promise("notify.reminders")
async def test_nobody_decides_so_they_are_reminded_once_and_others_told_once_and_nothing_is_approved(
    office: Office, receiver: Receiver, secret: Path, clock: FakeClock
) -> None:
    post = Post(office, receiver.url, secret)
    await requests.ask(office, call(), WORRIED)
    when: list[tuple[int, str, str]] = []
    for second in range(0, 1000, 50):
        await requests.sweep(office)
        before = len(receiver.posts)
        await post.round()
        when += [(second, sent.said["type"], sent.said["data"]["status"]) for sent in receiver.posts[before:]]
        clock.advance(50)
    assert when == [
        (0, "approval.opened", "open"),
        (300, "approval.reminder", "open"),
        (600, "approval.escalated", "open"),
        (900, "approval.decided", "expired"),
    ]


@pytest.mark.promise("notify.reminders")
@pytest.mark.parametrize("addressed", [False, True])
async def test_who_decided_in_time_is_not_reminded(
    office: Office, receiver: Receiver, secret: Path, clock: FakeClock, *, addressed: bool
) -> None:
    post = Post(office, receiver.url, secret)
    opened, _ = await requests.ask(office, call(), WORRIED)
    await post.round()
    if addressed:
        clock.advance(300)
        await post.outbox.address()
    await requests.vote(office, opened["id"], ballot("carol", "deny"), two_of_us)
    clock.advance(800)
    await post.round()
    assert [sent.said["type"] for sent in receiver.posts] == ["approval.opened", "approval.decided"]


@pytest.mark.promise("notify.reminders")
async def test_a_reminder_that_could_not_be_delivered_is_not_sent_again_once_it_is_decided(
    office: Office, receiver: Receiver, secret: Path, clock: FakeClock
) -> None:
    post = Post(office, receiver.url, secret)
    opened, _ = await requests.ask(office, call(), WORRIED)
    await post.round()
    clock.advance(300)
    receiver.answers = [500]
    await post.round()
    assert ("approval.reminder", "waiting", 1) in await kept(office)
    await requests.vote(office, opened["id"], ballot("carol", "deny"), two_of_us)
    for _ in range(3):
        clock.advance(800)
        await post.round()
    told = [sent.said["type"] for sent in receiver.posts]
    assert told == ["approval.opened", "approval.reminder", "approval.decided"]
    assert await kept(office) == []


@pytest.mark.promise("notify.reminders")
async def test_never_is_zero(office: Office) -> None:
    await requests.ask(office, call(), TERMS)
    assert await kept(office) == [("approval.opened", "waiting", 0)]


@pytest.mark.promise("notify.once_each")
async def test_a_destination_that_is_no_longer_set_is_dead_in_a_day(
    office: Office, receiver: Receiver, secret: Path, clock: FakeClock
) -> None:
    await requests.ask(office, call(), TERMS)
    await Post(office, receiver.url, secret).outbox.address()
    clock.advance(GIVE_UP_AFTER_S)
    await Outbox(office.store, clock).address()
    assert await kept(office) == [("approval.opened", "dead", 0)]


@pytest.mark.promise("notify.once_each")
async def test_a_late_failure_does_not_undo_the_claim_of_another(
    office: Office, secret: Path, clock: FakeClock
) -> None:
    await requests.ask(office, call(), TERMS)
    post = Post(office, "http://127.0.0.1:9/", secret)
    await post.outbox.address()
    claims = []
    for _ in range(2):
        async with transaction(office.store) as connection:
            claims += await store.claim_messages(connection, post.webhook.name, 1, CLAIM_S)
        clock.advance(CLAIM_S)
    late, current = claims
    async with transaction(office.store) as connection:
        await store.postpone_message(connection, late, 3600, "late")
        [found] = await store.read_messages(connection)
    assert (found["due_at"], found["error"]) == (current["due_at"], "")


@pytest.mark.promise("notify.once_each")
def test_retries_grow_and_stay_bounded_and_are_spread() -> None:
    soonest = [retry_in_s(attempts, 0.0) for attempts in range(1, 60)]
    latest = [retry_in_s(attempts, 0.999) for attempts in range(1, 60)]
    assert soonest[:4] == [2, 10, 40, 160]
    assert (soonest == sorted(soonest), latest == sorted(latest)) == (True, True)
    assert max(latest) <= 3600
    assert all(early < late for early, late in zip(soonest, latest, strict=True))
