"""Processes with the old and the new catalogue on one file, all at once."""

import multiprocessing
import warnings

import pytest

import bandit
from bandit.governance.verify import verify
from bandit.store import Store
from tests.engine.conftest import DAY, KEY, Clock, context
from tests.learning.test_carry import changed, rename_sms

N_PROCESSES = 4


def work(path, number, ready):
    """Open the database, half of the processes with the changed catalogue, decide, record and learn."""
    catalogue = changed(rename_sms if number % 2 else lambda file: None)
    clock = Clock()
    clock.now += 30 * DAY
    ready.wait()
    with bandit.Engine.open(
        path, catalogue, bandit.ThompsonSampling(catalogue), customer_key=KEY, clock=clock, busy_timeout=60.0
    ) as engine:
        for turn in range(5):
            batch = engine.decide_batch([f"customer-{row}" for row in range(20)], [context(row) for row in range(20)])
            engine.record_batch(batch.decision_ids[::5], "purchase", revenue=[30.0] * 4)
            clock.now += 8 * DAY
            engine.learn()
            assert engine.status().policy_fault is None, turn


@pytest.mark.slow
def test_one_belief_is_taken_over_whichever_process_is_first(tmp_path):
    """600 outcomes, then 2 old and 2 new processes at once: one new policy, no outcome twice, all decisions recomputed.

    400 decisions are made meanwhile. Each policy's ledger has every decision new at most once.
    """
    path, clock = tmp_path / "offers.db", Clock()
    catalogue = changed(lambda file: None)
    with bandit.Engine.open(
        path, catalogue, bandit.ThompsonSampling(catalogue), seed=1, customer_key=KEY, clock=clock
    ) as engine:
        batch = engine.decide_batch([f"customer-{row}" for row in range(600)], [context(row) for row in range(600)])
        engine.record_batch(batch.decision_ids[::5], "purchase", revenue=[40.0] * 120)
        clock.now += 8 * DAY
        engine.learn()
    spawn = multiprocessing.get_context("spawn")
    ready = spawn.Barrier(N_PROCESSES)
    running = [spawn.Process(target=work, args=(path, number, ready)) for number in range(N_PROCESSES)]
    for process in running:
        process.start()
    for process in running:
        process.join(120)
    assert [process.exitcode for process in running] == [0] * N_PROCESSES
    with Store.open(path, customer_key=KEY) as store, warnings.catch_warnings():
        assert len(store.catalogues.policies()) == 2
        assert [row.policy_id for row in store.carried.all()] == [2]
        raw = store._connection.raw
        new = "SELECT count(*) FROM learned WHERE restated = 0 GROUP BY policy_id, seq HAVING count(*) > 1"
        assert raw.execute(new).fetchall() == []
        found = verify(store)
        assert found.problems == ()
        assert found.n_recomputed == 1_000
