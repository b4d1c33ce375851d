"""Argument validation: what is accepted, and what is refused with which error."""

from datetime import UTC, datetime

import numpy as np
import pytest

from bandit.catalogue.schema import MAX_NAME
from bandit.domain import MICROSECONDS
from bandit.engine.arguments import checked_amounts, checked_events, checked_text, checked_texts, checked_times
from bandit.errors import InputError, NumberError

NOW = 1_700_000_000 * MICROSECONDS
"""The test's present: 2023-11-14."""


def clock():
    return NOW


@pytest.mark.parametrize("text", ["a", "x" * MAX_NAME, "kund № 7"])
def test_a_text_that_can_be_stored_is_returned_as_it_is(text):
    assert checked_text("customer", text) is text
    checked_texts("customer", [text, text])


@pytest.mark.parametrize("text", ["", None, 3, b"bytes", "x" * (MAX_NAME + 1), "half \ud83d"])
def test_what_cannot_be_stored_is_refused_alone_and_among_others(text):
    with pytest.raises(InputError, match="a customer"):
        checked_text("customer", text)
    with pytest.raises(InputError, match="a customer"):
        checked_texts("customer", ["sound", text, "sound"])


def test_one_moment_is_the_time_of_all_rows():
    assert checked_times(None, 3, clock).tolist() == [NOW] * 3
    assert checked_times(datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC), 2, clock).tolist() == [NOW] * 2
    assert checked_times(np.array([NOW, NOW + 1], dtype=np.uint64), 2, clock).dtype == np.int64


@pytest.mark.parametrize("times", [np.array([1.5]), np.array(["2026"]), np.array([2**62]), "today", True])
def test_times_that_are_no_whole_microseconds_of_a_known_year_are_refused(times):
    with pytest.raises(InputError):
        checked_times(times, 1, clock)


def test_amounts_that_are_not_given_are_nan():
    assert np.isnan(checked_amounts("revenue", None, 2)).all()
    assert checked_amounts("revenue", [1, 2.5], 2).tolist() == [1.0, 2.5]


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ([1.0], InputError),
        ([[1.0], [2.0]], InputError),
        ([1.0, np.nan], NumberError),
        ([1.0, -np.inf], NumberError),
        (["much", 1.0], NumberError),
        ([10**400, 1.0], NumberError),
    ],
)
def test_amounts_that_cannot_be_added_up_are_refused(values, error):
    with pytest.raises(error, match="revenue"):
        checked_amounts("revenue", values, 2)


def test_events_are_rows_that_know_whether_their_time_was_given():
    rows = checked_events(["a", "b"], "purchase", np.array([1.0, 2.0]), None, None, [None, "e2"], clock)
    assert (rows.time.tolist(), rows.recorded_at, rows.time_given) == ([NOW, NOW], NOW, False)
    assert checked_events(["a"], ["closed"], None, None, NOW, None, clock).time_given
    with pytest.raises(InputError, match="event id"):
        checked_events(["a", "b"], "purchase", None, None, None, [None, ""], clock)
