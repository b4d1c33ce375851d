import pytest

from simulator.bench.speed import processes


@pytest.mark.slow
def test_the_benchmark_of_many_processes_counts_what_they_did_and_finds_nothing_lost():
    """Two processes, 40 decisions each: 80 decisions, some with an event; as many plain inserts, and two to warm up."""
    found = processes.measure(2, 40, "process", learn_every=20, seed=1)
    assert (found.problems, found.faults) == ((), 0)
    decide, record, both, plain = found.lines
    assert decide.n == 80
    assert 0 < record.n < 80
    assert both.n == decide.n + record.n
    assert plain.n == both.n + 2
    assert all(line.per_second > 0 for line in found.lines)
    assert "everything acknowledged is in the database once" in processes.markdown([found])
