"""Many threads on one engine, and learning beside decisions."""

import threading

import numpy as np

from tests.engine.conftest import DAY, context, serve


def test_many_threads_share_one_engine(open_engine):
    engine = open_engine()
    faults = []

    def work(name):
        try:
            for row in range(40):
                decision = engine.decide(f"{name}-{row}", context(row))
                engine.record(decision.decision_id, "purchase", revenue=10.0)
                if row % 10 == 0:
                    engine.learn()
        except Exception as fault:  # noqa: BLE001 - what a thread raises must reach the test
            faults.append(fault)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    counts = engine.store.counts()
    assert (counts.decisions, counts.events) == (160, 160)
    assert engine.rebuild().same
    assert engine.verify().problems == ()


def test_learning_does_not_keep_decisions_waiting_and_they_are_logged_with_the_state_they_used(
    open_engine, clock, monkeypatch
):
    """Learning is stopped in the middle of a step; decisions are made meanwhile, by step 0."""
    engine = open_engine()
    serve(engine, clock, 100, np.random.default_rng(1))
    clock.now += 8 * DAY
    update, begun, goon = type(engine.policy).update, threading.Event(), threading.Event()

    def slow(policy, outcomes):
        begun.set()
        assert goon.wait(20)
        update(policy, outcomes)

    monkeypatch.setattr(type(engine.policy), "update", slow)
    thread = threading.Thread(target=engine.learn)
    thread.start()
    assert begun.wait(20)
    during = [engine.decide("c", context(row)).decision_id for row in range(20)]
    assert engine.status().learning
    goon.set()
    thread.join()
    monkeypatch.setattr(type(engine.policy), "update", update)
    after = engine.decide("c", context(0)).decision_id
    step = {name: engine.store.decisions.one(name, "purchase", DAY).policy_step[0] for name in [*during, after]}
    assert {step[name] for name in during} == {0}
    assert step[after] == engine.step == 1
    assert engine.verify().problems == ()


def test_threads_decide_record_learn_sync_and_read_the_status_at_once(open_engine, clock):
    engines = [open_engine(sync=0.0), open_engine(sync=0.0)]
    faults, ids = [], []

    def serve(name):
        engine = engines[name % 2]
        try:
            for row in range(40):
                decision = engine.decide(f"{name}-{row}", context(row))
                ids.append(decision.decision_id)
                engine.record(decision.decision_id, "purchase", revenue=10.0)
                if decision.fault is not None:
                    faults.append(decision.fault)
        except Exception as fault:  # noqa: BLE001 - what a thread raises must reach the test
            faults.append(fault)

    def learn(engine):
        try:
            for _ in range(8):
                engine.learn()
                engine.sync()
                assert engine.status().last_fault is None
        except Exception as fault:  # noqa: BLE001
            faults.append(fault)

    threads = [threading.Thread(target=serve, args=(name,)) for name in range(4)]
    threads += [threading.Thread(target=learn, args=(engine,)) for engine in engines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    assert len(set(ids)) == 160
    counts = engines[0].store.counts()
    assert (counts.decisions, counts.events) == (160, 160)
    engines[0].learn()
    engines[1].sync()
    assert engines[0].policy.dumps() == engines[1].policy.dumps()
    assert engines[0].rebuild().same
    assert engines[1].verify().problems == ()
