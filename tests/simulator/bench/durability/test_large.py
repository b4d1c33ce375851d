"""Large databases: what a visit reads does not grow with the log; counted in steps of SQLite's machine, never timed."""

import sys
from functools import partial

import numpy as np
import pytest

from bandit.governance.verify import verify
from bandit.store import Store, file_size
from simulator.bench.durability.large import large_file, one_customer
from simulator.bench.durability.large.large_file import LargeFile
from simulator.bench.durability.large.measured import measured, steps_markdown
from simulator.bench.engines import BENCH_KEY

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="steps are measured in forked processes")


def machine_steps(engine, call):
    """The steps of SQLite's virtual machine on the engine's connection that a call takes, in tens."""
    counted = [0]

    def count():
        counted[0] += 1

    raw = engine.store._connection.raw
    raw.set_progress_handler(count, 10)
    try:
        call()
    finally:
        raw.set_progress_handler(None, 10)
    return counted[0]


def visit_steps(made, prefix, n=40):
    """Medians of the steps of a decision and of an event, and the steps of a scan of all decisions."""
    decide, record = [], []
    with made.engine() as engine:
        for row in range(n):
            context = dict.fromkeys(made.names, row / n)
            decide.append(
                machine_steps(engine, partial(engine.decide, f"c{row}", context, decision_id=f"{prefix}{row}"))
            )
            record.append(machine_steps(engine, partial(engine.record, f"{prefix}{row}", "purchase", revenue=30.0)))
        raw = engine.store._connection.raw
        scan = machine_steps(engine, lambda: raw.execute("SELECT max(length(context)) FROM decisions").fetchall())
    return float(np.median(decide)), float(np.median(record)), scan


@pytest.mark.slow
def test_a_decision_and_an_event_take_the_same_steps_in_a_log_of_100_megabytes(tmp_path, monkeypatch):
    """1,000 decisions and then 100 MB of them: a visit's steps stay; the control, a scan, takes fifty times as many."""
    monkeypatch.setattr(large_file, "REAL_DECISIONS", 1_000)
    made = LargeFile(tmp_path, 1)
    made.begin()
    small = visit_steps(made, "small-")
    n = made.grow(100 << 20)
    assert n > 50_000
    assert file_size(made.path) > 90 << 20
    large = visit_steps(made, "large-")
    assert large[0] <= 1.2 * small[0] + 2.0
    assert large[1] <= 1.2 * small[1] + 2.0
    assert large[2] > 30.0 * small[2]


@pytest.mark.slow
def test_a_file_of_copies_verifies_and_can_be_erased_from(tmp_path, monkeypatch):
    """500 decisions and copies of them up to 3 MB: every task runs, and verify finds no problem before or after."""
    monkeypatch.setattr(large_file, "REAL_DECISIONS", 500)
    monkeypatch.setattr(large_file, "CALLS", 5)
    made = LargeFile(tmp_path, 1)
    steps = made.run(3 << 20, lambda step: None)
    assert [step.what for step in steps][-2:] == ["erase a customer", "retain: the oldest tenth goes"]
    assert any("0 problems" in step.note for step in steps if step.what == "verify")
    with Store.open(made.path, customer_key=BENCH_KEY) as store:
        assert verify(store).problems == ()


@pytest.mark.slow
def test_one_customer_is_decided_for_explained_read_and_erased(tmp_path, monkeypatch):
    """1,000 decisions of one customer and a few of others, in two parts; verify finds no problem before and after."""
    monkeypatch.setattr(one_customer, "HISTORY_PARTS", 2)
    steps = one_customer.OneCustomer(tmp_path, 1).run(1_000, lambda step: None)
    assert [step.note for step in steps if step.what.startswith("verify")] == ["0 problems"] * 2
    assert "| why, by the present state | 1 |" in steps_markdown(steps)


def test_a_step_in_a_process_of_its_own_tells_what_it_did_and_its_memory():
    """100 MiB of zeros that are written to are in the process's memory."""
    found = measured("fill", lambda: (int(np.full(100 << 17, 1.0).size), "full"))
    assert (found.n, found.note) == (100 << 17, "full")
    assert found.rss > 100.0
