"""Moments and ids."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bandit.clock import (
    EARLIEST,
    LATEST,
    PLAUSIBLE_AHEAD,
    PLAUSIBLE_FROM,
    check_clock,
    check_plausible,
    implausible,
    likely_unit,
    microseconds,
    new_id,
    new_ids,
    now,
    plausible_time,
)
from bandit.domain import MICROSECONDS
from bandit.errors import InputError

MOMENT = 1_764_000_000
"""2025-11-24 in seconds since 1970."""


def test_times_are_whole_microseconds():
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    assert microseconds(moment) == 1_767_225_600 * MICROSECONDS
    assert microseconds(5) == 5
    assert microseconds(None, lambda: 9) == 9


def test_ids_differ_and_sort_by_time():
    ids = [new_id() for _ in range(100)] + [*new_ids(100)]
    assert len(set(ids)) == 200
    assert {len(each) for each in ids} == {32}
    moments = [each[:12] for each in ids]
    assert moments == sorted(moments)
    assert new_ids(0) == ()


@pytest.mark.parametrize(
    ("time", "unit", "cure"),
    [
        (MOMENT, "1970-01-01 in microseconds; in seconds it would be 2025-11-24", "seconds x 1,000,000"),
        (MOMENT * 1_000, "1970-01-21 in microseconds; in milliseconds it would be 2025-11-24", "milliseconds x 1,000"),
        (MOMENT * 10**9, "beyond the year 9999 in microseconds; in nanoseconds", "nanoseconds // 1,000"),
        (20_416, "1970-01-01 in microseconds; in days it would be 2025-11-24", "days x 86,400,000,000"),
        (datetime(1970, 1, 21, 10, tzinfo=UTC), "in milliseconds it would be", "milliseconds x 1,000"),
        (float(MOMENT), "in seconds would be 2025-11-24", r"int\(seconds \* 1_000_000\)"),
        (0, "1970-01-01 in microseconds; times from 1980-01-01 to", "whole microseconds"),
        (datetime(2126, 1, 1, tzinfo=UTC), "2126-01-01 in microseconds; times from 1980-01-01 to", "datetime"),
        (MOMENT * 10**7, "in microseconds; times from", "whole microseconds"),
    ],
)
def test_a_time_in_another_unit_is_refused_with_the_likely_unit(time, unit, cure):
    """1,764,000,000 seconds are 2025-11-24; as microseconds they are half an hour after the beginning of 1970."""
    with pytest.raises(InputError, match=unit) as one:
        plausible_time(time)
    assert one.match(cure)
    if isinstance(time, int) and abs(time) < 2**63:
        with pytest.raises(InputError, match=unit):
            check_plausible(np.array([now(), time]))


@given(st.integers(PLAUSIBLE_FROM // MICROSECONDS, LATEST // MICROSECONDS - 1), st.sampled_from([1, 1_000, 10**9]))
def test_seconds_milliseconds_and_nanoseconds_of_every_year_to_9999_are_told_apart(seconds, unit):
    """Seconds and milliseconds to the year 9999 are microseconds before 1980, nanoseconds since 1980 after 9999.

    As whole microseconds they are taken: that is the control.
    """
    value = seconds * unit
    assert value < PLAUSIBLE_FROM or value > LATEST
    with pytest.raises(InputError):
        plausible_time(value)
    if seconds * MICROSECONDS <= now():
        assert plausible_time(seconds * MICROSECONDS) == seconds * MICROSECONDS


def test_the_years_from_1980_to_a_year_ahead_are_taken():
    for time in (PLAUSIBLE_FROM, now(), now() + PLAUSIBLE_AHEAD - MICROSECONDS):
        assert plausible_time(time) == time
    assert implausible(np.array([PLAUSIBLE_FROM - 1, PLAUSIBLE_FROM, now(), 2**62, EARLIEST])).tolist() == [
        True, False, False, True, True,
    ]  # fmt: skip
    assert likely_unit(MOMENT) == ("seconds", "2025-11-24")
    assert likely_unit(now() * 1_000_000) is None


def test_with_a_clock_that_is_ahead_the_times_around_it_are_taken():
    """A simulation in 2050 sends times of 2050, and still no seconds."""
    ahead = int(datetime(2050, 1, 1, tzinfo=UTC).timestamp()) * MICROSECONDS
    assert plausible_time(ahead + 5, lambda: ahead) == ahead + 5
    check_plausible(np.array([ahead]), lambda: ahead)
    with pytest.raises(InputError, match="2025-11-24"):
        plausible_time(MOMENT, lambda: ahead)


@pytest.mark.parametrize(
    ("clock", "words"),
    [
        (lambda: MOMENT, "in seconds it would be 2025-11-24"),
        (lambda: MOMENT * 10**9, "in nanoseconds it would be 2025-11-24"),
        (lambda: float(MOMENT), r"it returned 1764000000.0, which in seconds would be 2025-11-24"),
        (lambda: None, "it returned None"),
    ],
)
def test_a_clock_of_another_unit_is_refused(clock, words):
    with pytest.raises(InputError, match=words):
        check_clock(clock)
    check_clock(lambda: MOMENT * MICROSECONDS)
