"""Rejected rows are counted, and listed up to a limit."""

import numpy as np

from bandit.logfiles.rejections import Rejection, Rejections
from tests.logfiles.import_tools import bring, row, table


def test_the_list_of_refusals_is_bounded_and_the_count_is_not(tmp_path):
    rows = [row(id=f"d{i}", p="0" if i % 2 else "0.5") for i in range(100)]
    report = bring(tmp_path, table(*rows), max_listed=7)
    assert (report.n_refused, len(report.refused)) == (50, 7)
    assert [one.line for one in report.refused] == [3, 5, 7, 9, 11, 13, 15]
    assert report.by_reason == {"propensity outside (0, 1]": 50}


def test_a_row_is_rejected_once_and_rejections_are_listed_by_line():
    """Line 3 is found first, then 1 and 3: two rows are rejected, and line 3 keeps its first reason."""
    rejections = Rejections(10)
    chunk = rejections.chunk(np.array([1, 2, 3]))
    chunk.reject(np.array([False, False, True]), "late", lambda row: f"row {row} is late")
    chunk.reject(np.array([True, False, True]), "early", lambda row: f"row {row} is early")
    assert chunk.close().tolist() == [False, True, False]
    assert rejections.listed == [Rejection(1, "row 0 is early"), Rejection(3, "row 2 is late")]
    assert (rejections.n, dict(rejections.by_reason)) == (2, {"late": 1, "early": 1})


def test_a_line_without_its_columns_is_counted_though_it_is_no_row_of_the_chunk():
    rejections = Rejections(1)
    chunk = rejections.chunk(np.array([2]))
    chunk.add(3, "wrong number of fields", "it has 1 field")
    chunk.add(4, "wrong number of fields", "it has 2 fields")
    assert chunk.close().all()
    assert rejections.listed == [Rejection(3, "it has 1 field")]
    assert rejections.n == 2
