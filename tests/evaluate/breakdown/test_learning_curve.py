import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bandit.errors import InputError
from bandit.evaluate.breakdown import learning_curve
from tests.evaluate.breakdown.campaign import DAY, MONDAY, catalogue, log_of


def curve_of(days, converted, **options):
    made = log_of(catalogue(), np.zeros(len(days), dtype=np.int64), converted, time=MONDAY + np.array(days) * DAY)
    return learning_curve(made, **options)


class TestWeeksAndDays:
    def test_a_week_begins_on_monday_and_has_the_mean_of_its_decisions(self):
        """Days 0 and 6 are one week with 1 of 2 responses, day 7 (a Monday) begins the next, with 0 of 1."""
        first, second = curve_of([0, 6, 7], [True, False, False]).points
        assert (first.start, first.end, first.n, first.response.value) == (MONDAY, MONDAY + 7 * DAY, 2, 0.5)
        assert (second.start, second.n, second.value.value, second.events) == (MONDAY + 7 * DAY, 1, 0.0, 0)
        assert first.group == first.policy == "all"

    def test_days_are_those_of_utc(self):
        points = curve_of([0, 0.99, 1], [True, True, False], period="day").points
        assert [(point.start - MONDAY, point.n, point.response.value) for point in points] == [
            (0, 2, 1.0),
            (DAY, 1, 0.0),
        ]

    def test_the_whole_log_is_one_period_from_its_first_to_its_last_time(self):
        (point,) = curve_of([3, 20], [True, False], period="all").points
        assert (point.start, point.end) == (MONDAY + 3 * DAY, MONDAY + 20 * DAY)

    def test_a_customer_counts_once_for_the_interval(self):
        """Four times the same 20 customers: the error is that of 20 means, sqrt(.5 x .5 / 19) = .1147."""
        customers, converted = np.tile(np.arange(20), 4), np.tile(np.arange(20) % 2 == 0, 4)
        made = log_of(catalogue(), np.zeros(80, dtype=np.int64), converted, customers=customers)
        (point,) = learning_curve(made, period="all").points
        assert (point.n, point.customers) == (80, 20)
        assert point.response.standard_error == pytest.approx(np.sqrt(0.25 / 19))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 40), st.booleans(), st.integers(0, 5)), min_size=1, max_size=60))
def test_the_points_add_up_to_the_whole(rows):
    days, converted, customers = (np.array(column) for column in zip(*rows, strict=True))
    made = log_of(catalogue(), customers % 6, converted, customers=customers, time=MONDAY + days * DAY)
    for period in ("day", "week", "all"):
        points = learning_curve(made, period=period).points
        assert sum(point.n for point in points) == len(rows)
        assert sum(point.events for point in points) == converted.sum()
        assert sum(point.n * point.value.value for point in points) == pytest.approx(converted.sum())


class TestBadInput:
    def test_an_empty_log_has_nothing_to_break_down(self):
        with pytest.raises(InputError, match="no settled decisions to break down"):
            curve_of([], [])

    def test_an_unknown_period_is_named(self):
        with pytest.raises(InputError, match='there is no period "month"; choose from week, day, all'):
            curve_of([0], [True], period="month")


def test_a_log_without_times_has_one_period(tmp_path):
    made = log_of(catalogue(), [0, 1], [True, False])
    object.__setattr__(made.whole, "time", np.empty(0, dtype=np.int64))
    curve = learning_curve(made)
    assert not curve.times_known
    assert [(point.start, point.n) for point in curve.points] == [(None, 2)]
