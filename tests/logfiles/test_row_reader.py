"""Rows that cannot be used are rejected one by one, with the same reasons in an import and in a log."""

import sqlite3

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bandit.domain import LoggedBatch
from bandit.errors import LogFileError
from bandit.logfiles import open_log
from tests.conftest import SPRING
from tests.logfiles.import_tools import (
    HEADER,
    MAPPING,
    ROW,
    bring,
    columns_of,
    mapping,
    read_back,
    row,
    spring,
    table,
)

REFUSED_ROWS = {
    "misspelt option": (row(ch="emial"), '"emial" is not an option of "channel"; did you mean "email"?'),
    "an option in other letters": (row(ch=" SMS"), '" SMS" is not an option of "channel"; did you mean "sms"?'),
    "blank option": (row(ch=""), '"" is not an option of "channel"'),
    "propensity of 0": (row(p="0"), "the propensity 0 is outside (0, 1]"),
    "propensity above 1": (row(p="1.01"), "the propensity 1.01 is outside (0, 1]"),
    "negative propensity": (row(p="-0.5"), "the propensity -0.5 is outside (0, 1]"),
    "propensity NaN": (row(p="nan"), 'the propensity "nan" is not a finite number'),
    "propensity of words": (row(p="half"), 'the propensity "half" is not a finite number'),
    "propensity by nothing": (row(p="1/0"), 'the propensity "1/0" is not a finite number'),
    "blank propensity": (row(p=" "), 'the propensity "p" is blank'),
    "a time of words": (row(at="yesterday"), 'the time "yesterday" is not an ISO 8601 time'),
    "a day that is none": (row(at="2026-02-30"), 'the time "2026-02-30" is not an ISO 8601 time'),
    "blank time": (row(at=""), 'the time "" is not an ISO 8601 time'),
    "blank customer": (row(who=""), '"who" is blank'),
    "blank decision id": (row(id="  "), '"id" is blank'),
    "a fact of words where a number is declared": (row(rec="often"), '"often" in "rec" is not a finite number'),
    "a fact of infinity": (row(rec="inf"), '"inf" in "rec" is not a finite number'),
    "a fact that is NaN in words": (row(rec="NaN"), '"NaN" in "rec" is not a finite number'),
    "a number with underscores": (row(rec="1_000"), '"1_000" in "rec" is not a finite number'),
    "a truth value of words": (row(club="perhaps"), '"perhaps" in "club" is not true or false'),
    "a truth value of 2": (row(club="2"), '"2" in "club" is not true or false'),
    "an outcome that is neither": (row(bought="3"), '"3", which says whether "purchase" happened'),
    "revenue of words": (row(amount="a lot"), '"a lot" in "amount" is not a finite number'),
    "infinite revenue": (row(amount="1e999"), '"1e999" in "amount" is not a finite number'),
    "blank revenue of a purchase": (row(amount=""), '"amount" is blank although "purchase" happened'),
    "too few fields": (ROW[:-1], "it has 11 fields where the header has 12"),
    "too many fields": ([*ROW, "more"], "it has 13 fields where the header has 12"),
}


@pytest.mark.parametrize(("bad", "words"), REFUSED_ROWS.values(), ids=REFUSED_ROWS)
def test_a_row_that_cannot_be_used_is_refused_alone(tmp_path, bad, words):
    """Line 1 is the header, lines 2 and 4 are good, line 3 is bad."""
    report = bring(tmp_path, table(row(id="a"), bad, row(id="b")))
    assert (report.n_rows, report.n_imported, report.n_refused) == (3, 2, 1)
    (refusal,) = report.refused
    assert refusal.line == 3
    assert words in refusal.reason
    assert sum(report.by_reason.values()) == 1
    assert columns_of(tmp_path).decision_id.tolist() == ["a", "b"]


def log_of(tmp_path, text, catalogue=None, using=None):
    """The same text as a log without a database."""
    (tmp_path / "log.csv").write_text(text, encoding="utf-8")
    return open_log(tmp_path / "log.csv", catalogue or spring(), using or mapping())


FAULTS = {
    "id": ("", "decision id is blank"),
    "who": ("x" * 2_000, "customer is too long"),
    "at": ("never", "time cannot be read"),
    "sex": ("s" * 10_001, 'fact "gender" has a value of the wrong type'),
    "rec": ("often", 'fact "recency" has a value of the wrong type'),
    "disc": ("10 %", "unknown option"),
    "p": ("2", "propensity outside (0, 1]"),
    "bought": ("3", 'outcome "purchase" cannot be read'),
    "amount": ("much", '"amount" is no finite number'),
}
"""A fault in each column, in the order in which the columns are checked."""


@pytest.mark.parametrize("first", range(len(FAULTS)))
def test_the_first_check_that_fails_is_the_reason(tmp_path, first):
    """A row with a fault in each of the columns from `first` on is counted once, for the first of them."""
    names = list(FAULTS)[first:]
    text = table(row(id="a"), row(**{name: FAULTS[name][0] for name in names}))
    report = bring(tmp_path, text)
    assert report.by_reason == {FAULTS[names[0]][1]: 1}
    assert log_of(tmp_path, text).report.by_reason == report.by_reason


def test_groups_and_marks_and_repeated_ids_are_checked_in_an_import_and_in_a_log(tmp_path):
    columns = MAPPING["columns"] | {"group": "group"}
    using = mapping(columns=columns, closed="done")
    rows = [
        [*row(id="a"), "test", "1"],
        [*row(id="b"), "g" * 2_000, "1"],
        [*row(id="c"), "", "perhaps"],
        [*row(id="a"), "", "1"],
    ]
    text = table(*rows, header=[*HEADER, "group", "done"])
    report = bring(tmp_path, text, using=using)
    assert report.by_reason == {"group is too long": 1, "closed cannot be read": 1, "decision id twice in the file": 1}
    assert log_of(tmp_path, text, using=using).report.refused == report.refused


VALUES = st.sampled_from(
    ["", " ", "0", "1", "-1", "0.5", "1e999", "nan", "true", "no", "f", "é", "10", "email", "tote", "2026-03-01", "d1"]
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(changes=st.lists(st.dictionaries(st.sampled_from(HEADER), VALUES, max_size=3), min_size=1, max_size=8))
def test_an_import_and_a_log_without_a_database_are_the_same_decisions(tmp_path_factory, changes):
    """Rows with any values in place of good ones: the same are rejected, and the others are the same decisions."""
    tmp_path = tmp_path_factory.mktemp("log")
    text = table(row(id="good"), *(row(**{"id": f"d{place}"} | change) for place, change in enumerate(changes)))
    catalogue = spring(context=SPRING["context"] | {"undeclared_values": "other"})
    try:
        report = bring(tmp_path, text, catalogue=catalogue)
    except LogFileError:  # a column of texts that are mostly no options is refused as a whole, by both
        with pytest.raises(LogFileError):
            log_of(tmp_path, text, catalogue=catalogue)
        return
    log = log_of(tmp_path, text, catalogue=catalogue)
    assert (log.report.refused, log.report.by_reason) == (report.refused, report.by_reason)
    stored, read = read_back(tmp_path), LoggedBatch.concat(list(log.batches(3)))
    for name in ("offer", "eligible", "propensity", "converted", "revenue", "reward", "time"):
        np.testing.assert_array_equal(getattr(read, name), getattr(stored, name), err_msg=name)
    for name, column in stored.contexts.columns.items():
        np.testing.assert_array_equal(read.contexts.columns[name], column, err_msg=name)
    assert read.contexts.customers.tolist() == stored.contexts.customers.tolist()


def test_a_return_undoes_the_conversion_alike_in_the_store_its_view_and_a_log(tmp_path):
    """Of 50 EUR nothing, 20, all but a ten-millionth, and all come back: two conversions are left."""
    using = mapping(
        outcomes=[
            {"event": "purchase", "when": "bought", "revenue": "amount"},
            {"event": "return", "when": {"column": "back", "above": 0}, "revenue": "paid"},
        ]
    )
    returns = [0.0, 20.0, 50.0 - 1e-7, 50.0]
    rows = [[*row(id=f"d{place}", amount="50"), back, -back] for place, back in enumerate(returns)]
    text = table(*rows, header=[*HEADER, "back", "paid"])
    bring(tmp_path, text, using=using)
    with sqlite3.connect(tmp_path / "offers.db") as database:
        view = [bool(value) for (value,) in database.execute("SELECT converted FROM decision_log ORDER BY decision_id")]
    (batch,) = log_of(tmp_path, text, using=using).batches()
    assert read_back(tmp_path).converted.tolist() == batch.converted.tolist() == view == [True, True, False, False]
