"""CSV files of every dialect are read; malformed ones are refused and leave nothing behind."""

import csv
import gzip

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bandit.catalogue.text_form import look_alike_key, normal_text
from bandit.errors import LogFileError
from bandit.logfiles import LogMapping
from tests.logfiles.import_tools import (
    ROW,
    bring,
    columns_of,
    is_empty,
    mapping,
    read_back,
    row,
    sample,
    spring,
    table,
)


def test_a_byte_order_mark_other_line_ends_and_delimiters_are_read(tmp_path):
    text = table(ROW)
    bring(tmp_path, b"\xef\xbb\xbf" + text.encode(), db="a.db")
    bring(tmp_path, text.replace("\n", "\r\n"), db="b.db")
    bring(tmp_path, text.replace("\n", "\r"), db="c.db")
    bring(tmp_path, text.replace(",", ";"), db="d.db", using=mapping(delimiter=";"))
    for db in ("a.db", "b.db", "c.db", "d.db"):
        assert columns_of(tmp_path, db).decision_id.tolist() == ["d1"]


ODD = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12) | (
    st.sampled_from(["a|b", "a:b", " a b ", 'say "x"', "a\nb", "\r\n!", "🎁", "a,b", "{}", "\\", "'", "=1+1", "\u2028"])
)


TEXT = ODD.filter(lambda text: text.strip() != "")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=25)
@given(names=st.lists(TEXT, min_size=3, max_size=8, unique_by=look_alike_key), data=st.data())
def test_odd_texts_come_back_as_they_went_in(tmp_path_factory, names, data):
    """Option names, customers, decision ids and facts with pipes, colons, quotes, line ends and emoji."""
    tmp_path = tmp_path_factory.mktemp("odd")
    options, people = names[:2], data.draw(st.lists(TEXT, min_size=1, max_size=6))
    facts = [data.draw(st.sampled_from(names)) for _ in people]
    chosen = [data.draw(st.sampled_from(options)) for _ in people]
    catalogue = spring(
        context={"mood": {"type": "categorical", "values": [names[2]], "undeclared_values": "other"}},
        dimensions=[{"name": "lever", "options": [{"name": name} for name in options]}],
        rules=[],
        fallback={"lever": options[0]},
    )
    using = LogMapping.from_dict(
        {
            "columns": {"customer": "who", "decision_id": "id", "propensity": 0.5},
            "context": {"mood": "mood"},
            "offer": {"lever": {"column": "lever"}},
        }
    )
    rows = [
        [f"{place}{who}", who, mood, lever]
        for place, (who, mood, lever) in enumerate(zip(people, facts, chosen, strict=True))
    ]
    text = table(*rows, header=["id", "who", "mood", "lever"], quoting=csv.QUOTE_ALL)
    report = bring(tmp_path, text, using=using, catalogue=catalogue)
    assert (report.n_imported, report.n_refused) == (len(people), 0)
    stored, batch = columns_of(tmp_path), read_back(tmp_path, catalogue)
    assert stored.customer.tolist() == people
    assert stored.decision_id.tolist() == [each[0] for each in rows]
    assert [catalogue.offer(offer)["lever"] for offer in batch.offer.tolist()] == chosen
    expected = catalogue.contexts({"mood": facts}).text["mood"].tolist()
    assert batch.contexts.text["mood"].tolist() == expected
    assert all(text in {None, fact, normal_text(fact)} for text, fact in zip(expected, facts, strict=True))


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


def test_a_truncated_gzip_is_refused_and_leaves_nothing(tmp_path):
    whole = gzip.compress(table(*sample(2_000, np.random.default_rng(3))).encode())
    for cut in (whole[: len(whole) // 2], whole[:-4], whole[:20] + b"\xff" * 30 + whole[50:]):
        with pytest.raises(LogFileError, match="damaged or truncated gzip"):
            bring(tmp_path, cut, name="log.csv.gz")
    assert is_empty(tmp_path)
