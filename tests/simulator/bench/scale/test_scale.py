"""Many customers and a day of decisions: what a decision reads and keeps does not grow; counted, never timed."""

import sys
from functools import partial

import numpy as np
import pytest

from bandit.governance.verify import verify
from bandit.models import customer_memory
from bandit.store import Store
from simulator.bench.engines import BENCH_KEY
from simulator.bench.scale import customers, customers_file, day
from simulator.bench.scale.customers_file import CustomersFile
from tests.simulator.bench.durability.test_large import machine_steps

SCAN = "SELECT sum(number) FROM customer_effects"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="jobs are killed in forked processes"),
]


@pytest.fixture
def small(monkeypatch):
    """A file of 100 customers of the engine's own; states hold 50, the memory keeps 200."""
    monkeypatch.setattr(customer_memory, "MOST_WHOLE", 50)
    monkeypatch.setattr(customer_memory, "KEPT_CUSTOMERS", 200)
    monkeypatch.setattr(customers_file, "OWN_CUSTOMERS", 100)
    monkeypatch.setattr(customers_file, "_OWN_BATCH", 50)


def decided(file, n=400):
    """The steps of SQLite's machine of a decision (median), and the most customers in memory, over n customers."""
    steps, most = [], 0
    with file.engine() as engine:
        memory = engine.learner.current.policy.online.belief.customers
        for name in file.names(np.random.default_rng(2), n):
            context = {key: column[0] for key, column in file.facts(np.random.default_rng(3), 1).items()}
            steps.append(machine_steps(engine, partial(engine.decide, name, context)))
            most = max(most, len(memory.places))
    return float(np.median(steps)), most


def test_a_decision_reads_and_keeps_as_much_at_a_hundred_times_the_customers(tmp_path, small):
    """Of 1,000 and of 100,000 customers 400 are decided for: as many steps (of tens), within a tenth, and at most one
    more than 200 in memory. Negative control: a scan of the table takes a hundred times the steps."""
    file = CustomersFile(tmp_path / "customers.db", 1)
    found = []
    for size in (1_000, 100_000):
        file.grow_to(size)
        with file.engine() as engine:
            raw = engine.store._connection.raw
            scan = machine_steps(engine, partial(raw.execute, SCAN))
        found.append((*decided(file), scan))
    (few, few_kept, small_scan), (many, many_kept, large_scan) = found
    assert many <= 1.1 * few
    assert few_kept <= 201
    assert many_kept <= 201
    assert large_scan > 50 * small_scan


def test_every_row_of_the_grown_file_is_one_that_its_state_was_written_with(tmp_path, small):
    """`verify` finds the rows whole, and then that the log cannot give this state: it was not learned."""
    file = CustomersFile(tmp_path / "customers.db", 1)
    file.grow_to(500)
    with Store.open(file.path) as store:
        assert not any("customers" in problem for problem in verify(store).problems)


def test_the_table_of_many_customers_has_a_line_a_size(tmp_path, small, monkeypatch):
    for name, value in (("DECIDED", 20), ("VISITS", 5), ("LEARNED", 30)):
        monkeypatch.setattr(customers, name, value)
    file = CustomersFile(tmp_path / "customers.db", 1)
    file.grow_to(300)
    timing = customers._measured(file.path, 300, file.clock.now, 1)
    assert timing.decide > 0.0
    lines = customers.markdown([timing]).splitlines()
    assert lines[2].startswith("| 300 |")
    assert len({line.count("|") for line in lines[:3]}) == 1


def test_a_day_that_is_killed_and_resumed_decides_each_customer_once(tmp_path, monkeypatch):
    """500 customers in parts of 100, killed after 200: 500 decisions are in the log, and all can be computed again."""
    monkeypatch.setattr(day, "AUDIENCE_PART", 100)
    work = day.Day(tmp_path / "day.db", 500, 1)
    work.begin()
    day._run_and_be_killed(work, None)
    with Store.open(work.path, customer_key=BENCH_KEY) as store:
        assert store.counts().decisions == 500 + 200
    *_, learned, early, peak = day._resume(work.path, 500, 1)
    assert min(learned, early, peak) > 0.0
    with Store.open(work.path, customer_key=BENCH_KEY) as store:
        assert store.counts().decisions == 1_000
        assert verify(store).problems == ()
