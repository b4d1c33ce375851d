"""Numbers as text."""

import math

from bandit.ope import Feedback, estimate
from bandit.report.numbers import UNKNOWN_NUMBER, NumberFormat, count


def estimate_of(rewards):
    ones = [1.0] * len(rewards)
    return estimate(Feedback(rewards, ones, ones), ("ips",), interval="normal")[0]


def test_smallest_standard_error_gets_two_figures():
    """Rewards 0 and 1, 50 times each: the error is sqrt(.25 x 100 / 99 / 100) = .0503, so 3 decimals."""
    assert NumberFormat.of([estimate_of([0.0, 1.0] * 50)]) == NumberFormat(3)
    assert NumberFormat.of([estimate_of([0.0, 1_000.0] * 50), estimate_of([0.0, 1.0] * 50)]) == NumberFormat(3)


def test_errors_above_ten_leave_no_decimals_and_no_error_at_all_leaves_four():
    assert NumberFormat.of([estimate_of([0.0, 1_000.0] * 50)]) == NumberFormat(0)
    assert NumberFormat.of([estimate_of([1.0] * 50)]) == NumberFormat(4)
    assert NumberFormat.of([]) == NumberFormat(4)


def test_numbers_have_separators_signs_and_a_mark_where_they_are_not_known():
    two = NumberFormat(2)
    assert two.number(1234.567) == "1,234.57"
    assert two.number(0.5, signed=True) == "+0.50"
    assert two.number(math.nan) == UNKNOWN_NUMBER
    assert count(64_000) == "64,000"
