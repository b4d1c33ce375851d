"""Columns of text in their several forms say the same as lists of texts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bandit.errors import LogFileError
from bandit.logfiles.columns.arrow import column_texts
from bandit.logfiles.columns.coded_text import CodedTexts, Utf8Texts, coded, hashes_of, marked
from bandit.logfiles.columns.damaged_ids import IdDamage
from bandit.logfiles.columns.offers import _distinct_rows
from bandit.logfiles.columns.seen import SeenIds
from bandit.logfiles.columns.values import is_blank

pa = pytest.importorskip("pyarrow")

IDS = st.one_of(
    st.text(alphabet="0123456789", min_size=14, max_size=18),
    st.sampled_from(["", " ", "\u00a0", "\x1f", "1.2E+5", " 3e+12 ", "-4E+2", "12000000000000000000", "é", "a b"]),
    st.text(max_size=6).filter(lambda text: "\0" not in text),
)


def forms(texts):
    """The same texts as a list, by the distinct ones, and by their bytes: Arrow's column and a part of one."""
    whole = pa.array(["before", *texts, "after"], pa.large_string())
    yield from (list(texts), coded(texts), utf8(pa.array(texts, pa.string())), utf8(whole.slice(1, len(texts))))


def utf8(column):
    text = column.to_pylist()
    data = "".join(text).encode()
    offsets = np.cumsum([0, *(len(each.encode()) for each in text)])
    return Utf8Texts(np.frombuffer(data, dtype=np.uint8), offsets, column.to_pylist)


@given(st.lists(IDS, min_size=1, max_size=12))
def test_blanks_and_hashes_are_found_in_every_form(texts):
    for form in forms(texts):
        assert marked(form, is_blank, Utf8Texts.odd).tolist() == list(map(is_blank, texts))
        assert hashes_of(form).tolist() == hashes_of(texts).tolist()
        assert [form[row] for row in range(len(texts))] == texts == list(form)


@given(st.lists(st.lists(IDS, min_size=1, max_size=8), min_size=1, max_size=3))
def test_damaged_ids_are_found_in_every_form(chunks):
    wanted = None
    for place in range(4):
        damage = IdDamage("decision id", "id")
        for texts in chunks:
            damage.add(list(forms(texts))[place])
        wanted = damage.finding() if place == 0 else wanted
        assert damage.finding() == wanted


def test_ids_are_remembered_from_one_form_to_the_next():
    """Four of the ids are in an earlier chunk or stand before in their own."""
    seen, found = SeenIds(), []
    for texts in (["a", "bb", "a"], ["c", "bb"], ["dd", "a"], ["e", "c"]):
        found.append(seen.add_hashes(hashes_of(list(forms(texts))[len(found)]).view(np.int64)).tolist())
    assert found == [[False, False, True], [False, True], [False, True], [False, True]]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["x", "y", ""]), st.integers(0, 9)), min_size=1))
def test_distinct_rows_come_in_order_of_appearance(rows):
    columns = [list(map(str, column)) for column in zip(*rows, strict=True)]
    keys, which = _distinct_rows([columns[0], CodedTexts(["y", "unused", "x", ""], _codes(columns[1])), columns[2]])
    texts = list(zip(*columns, strict=True))
    assert keys == list(dict.fromkeys(texts))
    assert [keys[number] for number in which] == texts


def _codes(texts):
    return np.array([["y", "unused", "x", ""].index(text) for text in texts])


@pytest.mark.parametrize("kind", ["string", "large_string", "dictionary"])
def test_a_column_of_many_distinct_texts_is_not_made_into_texts_row_by_row(kind):
    texts = [f"id-{place}" for place in range(3_000)] + [None, "id-7"]
    column = pa.array(texts, pa.large_string() if kind == "large_string" else pa.string())
    column = column.dictionary_encode() if kind == "dictionary" else column
    read = column_texts(column, "log", "id", 0)
    assert isinstance(read, Utf8Texts)
    assert list(read) == [text or "" for text in texts]


def test_a_dictionary_whose_texts_would_fill_the_memory_stays_one(monkeypatch):
    """2,000 texts are written out while they have 8 kB together, and not where each row has one of a megabyte."""
    monkeypatch.setattr("bandit.logfiles.columns.arrow._MOST_BYTES", 1 << 20)
    texts = [f"id-{place}" for place in range(1_999)] + ["x" * 1_000_000]
    few = pa.DictionaryArray.from_arrays(pa.array(range(1_999)), pa.array(texts))
    many = pa.DictionaryArray.from_arrays(pa.array([1_999] * 50), pa.array(texts))
    assert isinstance(column_texts(few, "log", "id", 0), Utf8Texts)
    assert isinstance(column_texts(many, "log", "id", 0), CodedTexts)


def test_texts_that_are_no_utf8_and_texts_with_a_nul_are_refused():
    texts = b"".join(b"\xff%04d" % place for place in range(2_000))
    offsets = pa.py_buffer(np.arange(0, 10_001, 5, dtype=np.int32))
    wrong = pa.Array.from_buffers(pa.string(), 2_000, [None, offsets, pa.py_buffer(texts)])
    with pytest.raises(LogFileError, match='the column "id" has texts that are not in UTF-8'):
        column_texts(wrong, "log", "id", 0)
    with pytest.raises(LogFileError, match='row 1505 has a NUL in the column "id"'):
        column_texts(pa.array([f"id-{place}" + "\0" * (place == 1_500) for place in range(2_000)]), "log", "id", 4)


def test_truths_and_numbers_keep_what_is_missing_apart_from_what_is_no_number():
    truths = column_texts(pa.array([True, None, False]), "log", "won", 0)
    assert list(truths) == ["true", "", "false"]
    numbers = column_texts(pa.array([1.5, None, float("nan"), float("inf")]), "log", "price", 0).numbers
    assert numbers.tolist()[0] == 1.5
    assert np.isnan(numbers).tolist() == [False, True, False, False]
    assert np.isinf(numbers).tolist() == [False, False, True, True]
