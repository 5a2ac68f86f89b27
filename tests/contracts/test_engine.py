"""One contract for every engine: a real OPA by TCP, by a unix socket, as our own child; and the policy compiled."""

import asyncio
import signal

import pytest

from pdp.errors import Refused

from .conftest import CONNECTIONS, REVISION, Running
from .engines import SLACK, ask, cpu_ticks, halted, now, refusal, until

pytestmark = pytest.mark.promise("engine.contract")
with_a_process = pytest.mark.parametrize("running", ["tcp", "unix", "local"], indirect=True)


async def test_the_result_comes_back_as_json(running: Running) -> None:
    assert await ask(running.engine, "alice") == {"echo": "alice"}


async def test_an_engine_says_which_policy_it_runs(running: Running) -> None:
    assert running.engine.revision == REVISION


@pytest.mark.parametrize("entrypoint", ["pdp/decision/slow", "pdp/decision/missing", "nowhere/at/all"])
async def test_a_rule_that_is_undefined_is_refused(running: Running, entrypoint: str) -> None:
    with pytest.raises(Refused) as caught:
        await running.engine.evaluate(entrypoint, b"{}", now() + 5)
    assert caught.value.code == "engine.undefined"


async def test_a_policy_in_conflict_with_itself_is_refused(running: Running) -> None:
    caught = await refusal(running.engine, "pdp/decision/conflict")
    assert caught.code == "engine.garbled"
    assert "500" in caught.note or "conflict" in caught.note


async def test_an_answer_larger_than_any_verdict_is_refused(running: Running) -> None:
    assert (await refusal(running.engine, "pdp/decision/large")).code == "engine.garbled"


async def test_a_document_that_is_not_json_is_refused(running: Running) -> None:
    with pytest.raises(Refused) as caught:
        await running.engine.evaluate("pdp/decision/verdict", b"{", now() + 5)
    assert caught.value.code == "engine.garbled"


async def test_bad_answers_do_not_disturb_the_calls_after_them(running: Running) -> None:
    for number in range(3 * CONNECTIONS):
        await refusal(running.engine, "pdp/decision/conflict")
        assert await ask(running.engine, f"after-{number}") == {"echo": f"after-{number}"}


@pytest.mark.promise("engine.deadline")
@pytest.mark.fault("opa.slow")
async def test_a_slow_evaluation_is_refused_at_its_deadline_and_stops(running: Running) -> None:
    started = now()
    with pytest.raises(Refused) as caught:
        await running.engine.evaluate("pdp/decision/slow", b'{"never": 0.5}', started + 0.2)
    assert caught.value.code == "engine.timeout"
    assert now() - started < 0.2 + SLACK
    await until_idle(running.pid())


async def until_idle(pid: int) -> None:
    """Wait until a process uses no processor time for a tenth of a second: far less than the slow rule takes."""
    deadline = now() + 3
    used, since = cpu_ticks(pid), now()
    while now() - since < 0.1:
        assert now() < deadline, "OPA went on evaluating for a caller that had gone"
        await asyncio.sleep(0.01)
        if cpu_ticks(pid) - used > 0:
            used, since = cpu_ticks(pid), now()


@pytest.mark.promise("engine.deadline")
async def test_a_call_that_is_late_already_is_refused(running: Running) -> None:
    assert (await refusal(running.engine, within=0)).code == "engine.timeout"


@pytest.mark.promise("engine.own_answer")
async def test_of_many_calls_at_once_each_gets_its_own_answer(running: Running) -> None:
    names = [f"caller-{number}" for number in range(64)]
    answers = await asyncio.gather(*(ask(running.engine, name) for name in names))
    assert answers == [{"echo": name} for name in names]


@pytest.mark.promise("engine.own_answer")
async def test_an_abandoned_call_leaves_its_answer_to_nobody(running: Running) -> None:
    for number in range(20):
        abandoned = asyncio.create_task(ask(running.engine, "abandoned"))
        for _ in range(number):  # abandoned a little later each time: queued, connecting, sent, answered
            await asyncio.sleep(0)
        abandoned.cancel()
        assert await ask(running.engine, f"own-{number}") == {"echo": f"own-{number}"}
        await asyncio.wait({abandoned})


@pytest.mark.promise("engine.bounded")
async def test_cancelled_calls_free_their_connections(running: Running) -> None:
    slow = await occupy(running)
    assert (await refusal(running.engine, within=0.1)).code == "engine.timeout", "the connections should be taken"
    for task in slow:
        task.cancel()
    await asyncio.wait(slow)
    assert await ask(running.engine, "next") == {"echo": "next"}


@with_a_process
@pytest.mark.promise("engine.recovers")
async def test_a_killed_engine_refuses_at_once(running: Running) -> None:
    await ask(running.engine)
    running.send(signal.SIGKILL)
    started = now()
    assert (await refusal(running.engine)).code == "engine.unavailable"
    assert now() - started < SLACK


@with_a_process
@pytest.mark.promise("engine.recovers")
async def test_a_stopped_engine_is_refused_by_the_deadline_and_answers_when_it_goes_on(running: Running) -> None:
    await ask(running.engine)
    running.send(signal.SIGSTOP)
    try:
        await until(lambda: halted(running.pid()))
        started = now()
        caught = await asyncio.gather(*(refusal(running.engine, within=0.2) for _ in range(3 * CONNECTIONS)))
        assert {refused.code for refused in caught} == {"engine.timeout"}
        assert now() - started < 0.2 + SLACK
    finally:
        running.send(signal.SIGCONT)
    assert await ask(running.engine, "again") == {"echo": "again"}


async def test_a_closed_engine_refuses_and_may_be_closed_again(running: Running) -> None:
    waiting = await occupy(running)
    assert (await refusal(running.engine, within=0.1)).code == "engine.timeout", "the connections should be taken"
    await running.engine.close()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert {outcome.code for outcome in outcomes if isinstance(outcome, Refused)} == {"engine.unavailable"}
    assert all(isinstance(outcome, Refused) for outcome in outcomes)
    assert (await refusal(running.engine)).code == "engine.unavailable"
    await running.engine.close()


async def occupy(running: Running) -> list[asyncio.Task[bytes]]:
    """Take every connection, and the queue behind them, with calls that would run for seconds."""
    document = b'{"never": 0.5}'
    slow = running.engine.evaluate
    tasks = [asyncio.create_task(slow("pdp/decision/slow", document, now() + 30)) for _ in range(3 * CONNECTIONS)]
    await asyncio.sleep(0)  # let each of them begin
    return tasks
