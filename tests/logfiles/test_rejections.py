"""Rows that cannot be used are refused by line and reason; files that cannot be read leave nothing behind."""

import gzip
from importlib import import_module

import numpy as np
import pytest

from bandit.errors import CatalogueError, DuplicateError, LogFileError
from bandit.logfiles import import_log
from bandit.store import Store
from tests.logfiles.import_tools import HEADER, ROW, bring, columns_of, is_empty, mapping, row, sample, spring, table

REFUSED_ROWS = {
    "unknown option": (row(disc="15"), '"15" is not an option of "discount"'),
    "blank option": (row(ch=""), '"" is not an option of "channel"'),
    "a combination that stacking forbids": (row(disc="20", gift="tote"), "margin floor"),
    "an offer that a rule removes for this customer": (row(club="0"), "for the loyal"),
    "an offer removed where the fact is missing": (row(club=""), "for the loyal"),
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


def test_a_decision_id_that_comes_twice_is_refused_the_second_time(tmp_path):
    report = bring(tmp_path, table(row(id="a"), row(id="b"), row(id="a", p="0.5")))
    assert report.n_imported == 2
    assert [(one.line, one.reason) for one in report.refused] == [(4, 'an earlier row has the decision id "a" too')]


def test_an_id_of_a_refused_row_is_still_free(tmp_path):
    report = bring(tmp_path, table(row(id="a", p="2"), row(id="a")))
    assert (report.n_imported, report.n_refused) == (1, 1)


def test_ids_are_compared_across_chunks(tmp_path, monkeypatch):
    """With chunks of 10 rows, row 35 repeats the id of row 3."""
    monkeypatch.setattr(import_module("bandit.logfiles.import_log"), "IMPORT_CHUNK_ROWS", 10)
    rows = sample(60, np.random.default_rng(1))
    rows[35][0] = rows[3][0]
    report = bring(tmp_path, table(*rows))
    assert [one.line for one in report.refused] == [37]
    assert report.n_imported == 59


def test_a_value_never_seen_is_no_reason_to_refuse(tmp_path):
    report = bring(tmp_path, table(row(sex="divers")))
    assert (report.n_imported, report.n_refused) == (1, 0)
    assert columns_of(tmp_path).context[0] == '{"gender":"divers","recency":1.5,"loyal":true}'


def test_blank_facts_are_missing(tmp_path):
    bring(tmp_path, table(row(sex="", rec=" ", gift="none")))
    assert columns_of(tmp_path).context[0] == '{"loyal":true}'


def test_the_list_of_refusals_is_bounded_and_the_count_is_not(tmp_path):
    rows = [row(id=f"d{i}", p="0" if i % 2 else "0.5") for i in range(100)]
    report = bring(tmp_path, table(*rows), max_listed=7)
    assert (report.n_refused, len(report.refused)) == (50, 7)
    assert [one.line for one in report.refused] == [3, 5, 7, 9, 11, 13, 15]
    assert report.by_reason == {"propensity outside (0, 1]": 50}


def test_lines_are_right_after_quoted_line_ends_and_empty_lines(tmp_path):
    """Row 1 stands on lines 2 to 4, line 5 is empty, row 2 stands on line 6 and row 3 on lines 7 and 8."""
    text = (
        table(row(id="a", who="x\ny\r\nz"))
        + "\n"
        + table(row(id="b", p="0"), row(id="c", who="\n!", p="0"))[len(table()) :]
    )
    report = bring(tmp_path, text)
    assert [one.line for one in report.refused] == [6, 7]
    assert report.n_rows == 3


MALFORMED = {
    "a quote that never closes": (b'd2,"anna,2026-03-01,f,1,1,10,email,tote,.2,1,5\n', "line 3 is malformed"),
    "text after a quote": (b'd2,"an"na,2026-03-01,f,1,1,10,email,tote,.2,1,5\n', "line 3 is malformed"),
    "a NUL byte": (b"d2,an\0na\n", "line 3 has a NUL byte"),
    "text that is not UTF-8": (b"d2,\xe4nna\n", "line 3 is not UTF-8"),
    "text that breaks off within a character": (b"d2,\xc3", "line 3 is not UTF-8"),
    "a field without end": (b'd2,"' + b"x" * 200_000 + b'"\n', "line 3 is malformed"),
}


@pytest.mark.parametrize(("tail", "words"), MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_end_leaves_nothing_of_the_file(tmp_path, tail, words):
    with pytest.raises(LogFileError, match=words):
        bring(tmp_path, table(ROW).encode() + tail)
    assert is_empty(tmp_path)


def test_a_fault_after_many_chunks_leaves_nothing_of_them(tmp_path, monkeypatch):
    """Nine chunks were appended within the transaction before the tenth turned out malformed."""
    monkeypatch.setattr(import_module("bandit.logfiles.import_log"), "IMPORT_CHUNK_ROWS", 10)
    text = table(*sample(95, np.random.default_rng(2))) + '"open,'
    with pytest.raises(LogFileError, match="line 97"):
        bring(tmp_path, text)
    assert is_empty(tmp_path)


def test_a_truncated_gzip_is_refused_and_leaves_nothing(tmp_path):
    whole = gzip.compress(table(*sample(2_000, np.random.default_rng(3))).encode())
    for cut in (whole[: len(whole) // 2], whole[:-4], whole[:20] + b"\xff" * 30 + whole[50:]):
        with pytest.raises(LogFileError, match="damaged or truncated gzip"):
            bring(tmp_path, cut, name="log.csv.gz")
    assert is_empty(tmp_path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "has no header"),
        ("\n", "has no header"),
        ("id,who\n", 'line 1 has no column "at"'),
        (table([*ROW, "d2"], header=[*HEADER, "id"]), 'line 1 has the column "id" 2 times'),
        (table(), "has no rows"),
    ],
)
def test_a_file_without_what_the_mapping_names_is_refused(tmp_path, text, words):
    with pytest.raises(LogFileError, match=words.replace("(", r"\(")):
        bring(tmp_path, text)
    assert is_empty(tmp_path)


def test_strict_refuses_the_file_for_one_row_and_names_it(tmp_path):
    with pytest.raises(LogFileError, match="1 of 2 rows are refused, the first at line 3: the propensity 0 is"):
        bring(tmp_path, table(row(id="a"), row(id="b", p="0")), strict=True)
    assert is_empty(tmp_path)


def test_an_id_that_the_log_has_with_other_content_refuses_the_file(tmp_path):
    bring(tmp_path, table(row(id="a")))
    with pytest.raises(DuplicateError, match='"a"'):
        bring(tmp_path, table(row(id="b"), row(id="a", disc="0")))
    assert columns_of(tmp_path).decision_id.tolist() == ["a"]


def test_a_path_that_cannot_be_read_is_refused(tmp_path):
    with Store.open(tmp_path / "offers.db") as store:
        for path in (tmp_path / "nothing.csv", tmp_path):
            with pytest.raises(LogFileError, match="cannot be read"):
                import_log(store, spring(), mapping(), path)


BAD_MAPPINGS = {
    "an unknown key": ({"columns": {"customer": "who", "propensity": "p", "tme": "at"}}, "unknown field `tme`"),
    "no customer": ({"columns": {"propensity": "p"}}, "needs either customer"),
    "two customers": ({"columns": {"customer": "who", "row_customer": True, "propensity": "p"}}, "needs either"),
    "no propensity": ({"columns": {"customer": "who"}}, "needs one source of propensities"),
    "propensity above 1": ({"columns": {"customer": "who", "propensity": 1.5}}, "above 0 and at most 1; seen 1.5"),
    "propensity of 0": ({"columns": {"customer": "who", "propensity": "0/3"}}, "above 0 and at most 1; seen 0/3"),
    "two propensities": ({"propensity": [{"value": 0.5}]}, "needs one source of propensities"),
    "a fact not declared": ({"context": {"age": "rec"}}, 'maps "age", which the catalogue does not declare'),
    "a dimension left out": ({"offer": {"discount": "0", "channel": "sms"}}, 'says nothing of the dimension "gift"'),
    "a dimension unknown": (
        {"offer": {"discount": "0", "channel": "sms", "gift": "none", "size": "1"}},
        'unknown dimension "size"',
    ),
    "a column written as an option": (
        {"offer": {"discount": "disc", "channel": "sms", "gift": "none"}},
        r'write \{ column = "disc" \}',
    ),
    "a constant offer that is not legal": (
        {"offer": {"discount": "20", "channel": "sms", "gift": "tote"}},
        "margin floor",
    ),
    "a look-up to an offer that is not legal": (
        {"offer": {"column": "disc", "lookup": {"x": {"discount": "20", "channel": "sms", "gift": "tote"}}}},
        "margin floor",
    ),
    "an outcome twice": ({"outcomes": [{"event": "a", "when": "b"}, {"event": "a"}]}, '"a" twice'),
    "an outcome of a reserved name": ({"outcomes": [{"event": "closed"}]}, "closed = true"),
    "nothing that came of it": ({"outcomes": [], "closed": False}, "has no"),
    "a delimiter of two": ({"delimiter": ";;"}, "one character"),
    "no offer": ({"offer": {}}, r"has no \[offer\]"),
    "a start that is no time": (
        {"columns": {"customer": "who", "propensity": "p", "time_start": "spring"}},
        'time_start "spring" is no time',
    ),
    "a unit without numbers": (
        {"columns": {"customer": "who", "propensity": "p", "time": "at", "time_unit": "h"}},
        'add time_format = "unix"',
    ),
}


@pytest.mark.parametrize(("changed", "words"), BAD_MAPPINGS.values(), ids=BAD_MAPPINGS)
def test_a_mapping_that_cannot_be_used_is_refused_with_its_place(tmp_path, changed, words):
    with pytest.raises(CatalogueError, match=words):
        bring(tmp_path, table(ROW), using=mapping(**changed))
    assert is_empty(tmp_path)
