import pytest

from bandit.errors import InputError
from simulator.bench.speed import arrivals
from simulator.bench.speed.arrivals import ArrivalLoad, ArrivalRow


@pytest.mark.slow
def test_requests_arrive_at_half_of_the_rate_that_saturates_and_nothing_is_lost():
    """Two processes, one second a part: the arrivals are random, so the rate is half of the full one within a half."""
    full, half = arrivals.measure(ArrivalLoad(2, 1.0, "process", 1, 1), "now", arrivals.THIS_TREE, 0)
    assert (full.part, half.part) == ("saturated", "half")
    assert full.problems == half.problems == ()
    assert 0.25 < half.per_second / full.per_second < 0.75
    assert half.call_p50 <= half.call_p99 <= half.call_max <= half.wait_max


def row(version, repetition, rate, p99):
    return ArrivalRow(version, repetition, "half", rate, 1.0, p99, 3 * p99, p99, 3 * p99, 7, ())


def test_the_table_has_the_medians_of_each_version_and_their_ratio():
    """p99 of 40, 60, 50 before and 20, 30, 25 now: medians 50 and 25, ratio .5; rates 100 and 110: ratio 1.1."""
    found = [row("before", n, 100.0, p99) for n, p99 in enumerate((40.0, 60.0, 50.0))]
    found += [row("now", n, 110.0, p99) for n, p99 in enumerate((20.0, 30.0, 25.0))]
    lines = arrivals.markdown(found).splitlines()
    assert "| half | before, median | 100.0 | 1.0 | 50.0 | 150.0 | 50.0 | 150.0 | |" in lines
    assert "| half | now / before | 1.10 | 1.00 | 0.50 | 0.50 | 0.50 | 0.50 | |" in lines


def test_a_folder_without_a_version_is_refused(tmp_path):
    with pytest.raises(InputError, match="no package bandit"):
        arrivals.run(ArrivalLoad(2, 1.0, "process", 1, 1), tmp_path, None)
