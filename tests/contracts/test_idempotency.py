"""Answers that are kept for a retry: each adapter's own, for as long as is promised."""

import pytest

from pdp.api.idempotency import Conflict, Replays

pytestmark = pytest.mark.promise("api.idempotency")


async def once(replays: Replays, pep: str, key: str, body: bytes) -> bytes:
    """Ask with a body whose answer is the body."""

    async def answer() -> bytes:
        return body

    return await replays.once(pep, key, body, answer)


async def test_no_adapter_pushes_out_the_answers_of_another() -> None:
    replays = Replays(most=5)
    await once(replays, "pep_a", "k", b"1")
    for number in range(50):
        await once(replays, "pep_b", f"k-{number}", b"2")
    with pytest.raises(Conflict):
        await once(replays, "pep_a", "k", b"3")


async def test_an_answer_is_kept_as_long_as_promised_and_no_longer() -> None:
    for_good, for_no_time = Replays(kept_for=float("inf")), Replays(kept_for=0.0)
    for replays in (for_good, for_no_time):
        await once(replays, "pep_a", "k", b"1")
    with pytest.raises(Conflict):
        await once(for_good, "pep_a", "k", b"2")
    assert await once(for_no_time, "pep_a", "k", b"2") == b"2"


async def test_an_answer_of_before_a_change_is_not_repeated_after_it() -> None:
    replays, given = Replays(), iter([b"allow", b"deny"])

    async def answer() -> bytes:
        return next(given)

    async def ask(epoch: int) -> bytes:
        return await replays.once("pep_a", "k", b"body", answer, epoch)

    assert [await ask(1), await ask(1), await ask(2), await ask(2)] == [b"allow", b"allow", b"deny", b"deny"]


async def test_only_the_newest_answers_of_an_adapter_are_kept() -> None:
    replays = Replays(most=2)
    for key in ("a", "b", "c"):
        await once(replays, "pep_a", key, b"1")
    assert await once(replays, "pep_a", "a", b"2") == b"2"
    with pytest.raises(Conflict):
        await once(replays, "pep_a", "c", b"2")


@pytest.mark.promise("api.bounds")
async def test_nothing_is_kept_of_callers_who_went_silent() -> None:
    replays = Replays(kept_for=0.0)
    for number in range(500):
        await once(replays, f"person-{number}", "k", b"1" * 1000)
    assert replays.callers <= 1, "each person who ever voted would be remembered for good"


@pytest.mark.promise("api.bounds")
async def test_what_is_promised_is_kept_however_many_others_ask() -> None:
    replays = Replays(kept_for=60.0)
    for number in range(500):
        await once(replays, f"person-{number}", "k", b"1")
    assert replays.callers == 500
    with pytest.raises(Conflict):
        await once(replays, "person-0", "k", b"2")
