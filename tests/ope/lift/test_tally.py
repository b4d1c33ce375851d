"""Lift by week and by segment."""

import numpy as np
import pytest

from bandit.ope.lift import LiftBatch, LiftTally
from tests.ope.lift.experiments import DAY, HALVES

# 1970-01-01 is a Thursday: days 0 to 3 belong to the week of Monday, 1969-12-29, days 4 to 10 to that of 1970-01-05.
DAYS = np.array([0, 3, 4, 10, 11])
BATCH = LiftBatch(
    reward=[1.0, 2.0, 3.0, 4.0, 5.0],
    group=[0, 1, 0, 1, 0],
    customer=[1, 2, 1, 2, 3],
    time=DAYS * DAY + 5,
    segment=["f", "m", "f", "m", None],
)


def tally_of(*batches):
    tally = LiftTally(HALVES)
    for batch in batches:
        tally.add(batch)
    return tally


def test_weeks_begin_on_monday_in_utc():
    tally = tally_of(BATCH)
    assert {week: sums.rewards.tolist() for week, sums in tally.weeks.items()} == {
        "1969-12-29": [1.0, 2.0],
        "1970-01-05": [3.0, 4.0],
        "1970-01-12": [5.0, 0.0],
    }


def test_segments_are_those_of_the_labels():
    tally = tally_of(BATCH)
    assert {name: sums.decisions.tolist() for name, sums in tally.segments.items()} == {
        "f": [2, 0],
        "m": [0, 2],
        "None": [1, 0],
    }


@pytest.mark.parametrize("cut", [0, 2, 5])
def test_merged_parts_have_the_weeks_and_segments_of_the_whole(cut):
    whole = tally_of(BATCH)
    parts = [BATCH.part(slice(0, cut)), BATCH.part(slice(cut, 5))]
    for tally in (tally_of(*parts), tally_of(parts[0]) + tally_of(parts[1])):
        assert tally.overall.decisions.tolist() == [3, 2]
        for mine, other in ((tally.weeks, whole.weeks), (tally.segments, whole.segments)):
            assert sorted(mine) == sorted(other)
            for name, sums in mine.items():
                assert sums.rewards.tolist() == other[name].rewards.tolist()
                assert sums.customers()[0].tolist() == other[name].customers()[0].tolist()


def test_without_times_and_labels_there_are_no_parts():
    tally = tally_of(LiftBatch([1.0], [0], [1]))
    assert (tally.weeks, tally.segments) == ({}, {})


def test_a_merge_leaves_its_parts_as_they_were():
    one, other = tally_of(BATCH), tally_of(BATCH)
    both = one + other
    both.add(BATCH)
    assert (one.overall.n, other.overall.n, both.overall.n) == (5, 5, 15)
    assert one.segments["f"].n == 2
