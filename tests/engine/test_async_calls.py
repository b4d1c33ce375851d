"""Awaited calls of the engine: they do what the plain ones do, in threads, and a cancelled await loses nothing."""

import asyncio
import inspect
import os
import threading

import pytest

import bandit
from bandit.errors import ContextError, StoreError
from tests.conftest import SPRING

CONTEXT = {"gender": "f", "recency": 1.5, "loyal": True}


@pytest.fixture
def engine(open_engine, catalogue):
    return open_engine(bandit.Uniform(catalogue))


def n_decisions(engine):
    return engine.store.counts().decisions


def test_each_awaited_call_does_what_the_plain_one_does(engine):
    async def story():
        made = await engine.adecide("a", CONTEXT, decision_id="order-1")
        batch = await engine.adecide_batch(["b", "c"], [CONTEXT, {}], decision_ids=["order-2", "order-3"])
        one = await engine.arecord("order-1", "purchase", revenue=52.0)
        two = await engine.arecord_batch(["order-2", "order-3"], "purchase", revenue=[1.0, 2.0])
        return made, batch, one, two, await engine.alearn()

    made, batch, one, two, learned = asyncio.run(story())
    assert engine.decide("a", CONTEXT, decision_id="order-1").offer == made.offer
    assert (batch.decision_ids, one.n_new, two.n_new, learned.learner) == (("order-2", "order-3"), 1, 2, True)
    assert n_decisions(engine) == 3


def test_an_awaited_call_raises_what_the_plain_one_raises(engine):
    with pytest.raises(ContextError, match="colour"):
        asyncio.run(engine.adecide("a", {"colour": "red"}))
    engine.close()
    with pytest.raises(StoreError, match="closed"):
        asyncio.run(engine.adecide("a", CONTEXT))


def test_the_signature_is_that_of_the_plain_call():
    for name in ("decide", "decide_batch", "record", "record_batch", "learn"):
        plain, awaited = getattr(bandit.Engine, name), getattr(bandit.Engine, f"a{name}")
        assert inspect.iscoroutinefunction(awaited)
        assert str(inspect.signature(awaited)) == str(inspect.signature(plain))
        assert (awaited.__name__, awaited.__doc__[:12]) == (f"a{name}", f"Do what `{name}`"[:12])


def test_the_event_loop_goes_on_while_a_call_waits(engine):
    held = threading.Event()
    blocked = engine.calls.submit(held.wait)

    async def story():
        pending = asyncio.create_task(engine.adecide("a", CONTEXT))
        await asyncio.sleep(0.05)
        waiting = not pending.done()
        held.set()
        return waiting, (await pending).propensity

    assert asyncio.run(story()) == (True, 0.1)
    assert blocked.result()


def test_a_cancelled_decision_that_has_not_begun_is_not_made_and_a_cancelled_event_is_recorded(engine):
    engine.decide("a", CONTEXT, decision_id="order-1")
    held = threading.Event()
    engine.calls.submit(held.wait)

    async def story():
        pending = [
            asyncio.create_task(engine.adecide("b", CONTEXT, decision_id="order-2")),
            asyncio.create_task(engine.arecord("order-1", "purchase", revenue=52.0)),
        ]
        await asyncio.sleep(0.02)
        for each in pending:
            each.cancel()
        return await asyncio.gather(*pending, return_exceptions=True)

    assert [type(each) for each in asyncio.run(story())] == [asyncio.CancelledError] * 2
    held.set()
    engine.calls.submit(lambda: None).result()
    assert not engine.store.decisions.has("order-2")
    assert engine.record("order-1", "purchase", revenue=52.0).n_repeated == 1


def test_closing_does_what_was_handed_over_before(open_engine, catalogue, path):
    engine = open_engine(bandit.Uniform(catalogue))
    held = threading.Event()
    engine.calls.submit(held.wait)
    waiting = [engine.calls.submit(lambda row=row: engine.decide("a", {}, decision_id=f"d{row}")) for row in range(20)]
    threading.Timer(0.05, held.set).start()
    engine.close()
    assert all(each.result().logged for each in waiting)
    with open_engine(bandit.Uniform(catalogue)) as again:
        assert n_decisions(again) == 20


def test_both_sides_of_a_fork_await_in_threads_of_their_own(engine, path):
    asyncio.run(engine.adecide("a", CONTEXT, decision_id="before"))
    child = os.fork()
    if child == 0:  # pragma: no cover - another process
        done = 1
        try:
            asyncio.run(engine.adecide("a", CONTEXT, decision_id="child"))
            engine.close()
            done = 0
        finally:
            os._exit(done)
    asyncio.run(engine.adecide("a", CONTEXT, decision_id="parent"))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert [engine.store.decisions.has(name) for name in ("before", "child", "parent")] == [True] * 3


def test_many_at_once_are_each_there_once(engine):
    async def story():
        return await asyncio.gather(*(engine.adecide(f"c{row}", CONTEXT) for row in range(200)))

    ids = {each.decision_id for each in asyncio.run(story())}
    assert len(ids) == n_decisions(engine) == 200
    assert SPRING["name"] == engine.catalogue.name
