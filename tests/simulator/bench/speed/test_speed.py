"""The speed table: sizes, turns and ratios by a clock of the test's own, so that the machine's load does not matter."""

import math
from itertools import count

import pytest

from bandit.errors import InputError
from simulator.bench.speed import speed
from simulator.bench.speed.fixtures import OPTIONS_BY_OFFERS, ProblemSize, SpeedFixture


@pytest.mark.parametrize("offers", OPTIONS_BY_OFFERS)
def test_a_size_has_as_many_offers_as_its_dimensions_make(offers):
    assert math.prod(OPTIONS_BY_OFFERS[offers]) == offers


def test_an_unknown_size_is_refused():
    with pytest.raises(InputError, match="7 offers are not among the sizes"):
        SpeedFixture(ProblemSize(7, 2), 1)


def ticking(seconds):
    """A clock that is read before and after each call: every call takes so many seconds."""
    readings = count()
    return lambda: next(readings) * seconds


@pytest.mark.parametrize(
    ("seconds", "calls"), [pytest.param(0.01, speed.TIMING_ROUNDS, marks=pytest.mark.slow), (0.5, speed.SLOW_ROUNDS)]
)
def test_every_call_is_timed_in_each_round_and_slow_ones_in_the_first_three(seconds, calls):
    """Without time to spare each has one turn a round; 10 ms are 10,000 microseconds, over the pieces of a call."""
    timings = speed.measure(ProblemSize(6, 3), seconds=0.0, clock=ticking(seconds))
    assert {timing.beside for timing in timings} == {speed.VW_PREDICT, speed.VW_LEARN, speed.VW_VISIT}
    assert {timing.calls for timing in timings} == {calls}
    singles = [timing for timing in timings if timing.ratio == pytest.approx(1.0)]
    assert len(singles) == len(timings) - 3  # a batch of decisions, a batch of outcomes, a fit
    assert all(timing.median == pytest.approx(1e6 * seconds) for timing in singles)
    # The bytes of the visits alone are counted, where the system counts them.
    assert all(timing.written is None or timing.name.startswith("decide, record") for timing in timings)
    assert speed.markdown(timings).count("\n") == len(timings) + 2
    assert speed.table(timings).row_count == len(timings)


@pytest.mark.slow
def test_turns_share_the_seconds_evenly():
    """Thirteen calls of 10 ms share 2.613 seconds: 0.201 each, 20 turns of it, two in each of ten rounds."""
    timings = speed.measure(ProblemSize(6, 3), seconds=2.613, clock=ticking(0.01))
    assert len(timings) == 13
    assert {timing.calls for timing in timings} == {20}
