"""Moments and ids."""

from datetime import UTC, datetime

from bandit.clock import microseconds, new_id, new_ids
from bandit.domain import MICROSECONDS


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
