"""Columns of facts, checked as a whole, against an oracle that looks at one value after the other."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bandit.catalogue import fact_values
from bandit.catalogue.fact_values import CodedColumn, without_nan
from bandit.catalogue.facts import MAX_TEXT, MISSING, Fact
from bandit.catalogue.plain_values import is_time, plain_value, shown, text_of
from bandit.catalogue.text_form import normal_text
from bandit.errors import ContextError
from bandit.logfiles.columns.coded_text import CodedTexts, coded

SEGMENT = Fact("segment", "categorical", ("f", "m", "young people", "é", "m\0"))
FREE = Fact("free", "categorical")
AMOUNT = Fact("amount", "numeric")
LOYAL = Fact("loyal", "boolean")

LONG = "x" * (MAX_TEXT + 1)

NUMPY_DTYPES = (np.int8, np.uint64, np.float16, np.float32, np.float64, np.longdouble)
TEXTS = st.sampled_from(["", "f", "m", "é", "young people", "other", "f ", "f\0", "\0", "\ud800", "x" * 70])
NUMBER_TEXTS = st.sampled_from(
    ["1", "0", "-2.5", " 3 ", "1_000", "1e400", "nan", "inf", "yes", "TRUE", "no", "soon", "٣"]
)
NUMBERS = st.one_of(st.integers(-3, 3), st.sampled_from([0.0, -0.0, 1.0, 0.1, 2**63, 10**400, math.inf, math.nan]))
NUMPY = st.builds(lambda kind, value: kind(value), st.sampled_from(NUMPY_DTYPES), st.sampled_from([0, 1, 3]))
NUMPY |= st.sampled_from([np.True_, np.str_("f"), np.str_(""), np.str_("2"), np.float32("nan"), np.float64("inf")])
ODD = st.sampled_from(
    [LONG, b"f", ("f",), ["f"], {"f": 1}, {"f"}, 1j, object, np.array([1, 2]), np.datetime64("2026-01-01")]
)
VALUES = (TEXTS, NUMBER_TEXTS, NUMBERS, NUMPY, st.booleans(), st.none())


def columns_of(*kinds):
    """Columns of mixed values, many of one or two kinds only."""
    few = st.lists(st.sampled_from(kinds), min_size=1, max_size=3)
    return few.flatmap(lambda chosen: st.lists(st.one_of(chosen), max_size=8))


def no_text(fact, value):
    """The error about a value that is no text."""
    time = "; a time is no fact: send a number, such as the days since" if is_time(value) else ""
    return ContextError(f'fact "{fact.name}" is categorical and must be text; seen {shown(value)}{time}')


def slow_texts(fact, values):
    """Codes and texts for the log, a value at a time; texts are compared in normal form."""
    places = {normal_text(value): place for place, value in reversed(list(enumerate(fact.values)))}
    codes, texts = [], []
    for value in values:
        try:
            text = text_of(plain_value(value))
        except TypeError:
            raise no_text(fact, value) from None
        form = normal_text(text or "")
        if text in fact.values:
            code, form = fact.values.index(text), text
        elif form in places:
            code, form = places[form], fact.values[places[form]]
        elif not form or form.lower() in {"nan", "null"}:
            code, form = MISSING, None
        elif len(form) > MAX_TEXT:
            raise ContextError(f'fact "{fact.name}" has a text of more than 10,000 characters; send a shorter one')
        else:
            code = len(fact.values)
        codes.append(code)
        texts.append(form or None)
    return codes, texts


def stored_texts(fact, values):
    """Codes and texts of stored values, as they are: first wrong types are errors, then texts that are too long."""
    nan = [isinstance(value, float) and math.isnan(value) for value in values]
    values = [None if missing else value for missing, value in zip(nan, values, strict=True)]
    for value in values:
        if value is not None and not isinstance(value, str):
            raise no_text(fact, value)
    if any(value is not None and len(value) > MAX_TEXT for value in values):
        raise ContextError(f'fact "{fact.name}" has a text of more than 10,000 characters; send a shorter one')
    places = {value: place for place, value in enumerate(fact.values)}
    codes = [MISSING if value in {None, ""} else places.get(value, len(places)) for value in values]
    return codes, [value or None for value in values]


def slow_numbers(fact, values, *, array=False):
    """Numbers, a value at a time; columns of nothing but plain numbers are looked at as a whole."""
    types = set(map(type, values))
    if array or types <= {int, float} or (types == {bool} and fact.kind == "boolean"):
        try:
            numbers = [float(value) for value in values]
        except OverflowError:
            return [fact.number(value) for value in values]
        if not array and any(map(math.isnan, numbers)):
            raise ContextError(f'fact "{fact.name}" is NaN; send a finite number, or leave it out if it is not known')
        if any(map(math.isinf, numbers)):
            raise ContextError(f'fact "{fact.name}" is infinite; send a finite number, or leave it out if not known')
        if fact.kind == "boolean" and any(number not in {0, 1} for number in numbers if not math.isnan(number)):
            raise ContextError(f'fact "{fact.name}" is boolean; send true or false, not a number beside 0 and 1')
        return numbers
    return [fact.number(value) for value in values]


def told(parse, *args, **options):
    """What a parse returns, or the words of its error."""
    try:
        return parse(*args, **options)
    except ContextError as fault:
        return str(fault)


def check(fact, column, values, *, array=False):
    """The column, however it is given, gives what its values give one at a time."""
    if fact.kind == "categorical":
        compare(told(fact.parse, column), told(slow_texts, fact, values))
        if not (isinstance(column, np.ndarray) and column.dtype.kind in "Mm"):  # JSON has no times
            compare(told(fact.parse, column, exact=True), told(stored_texts, fact, values))
        return
    result = told(fact.parse, column)
    expected = told(slow_numbers, fact, values, array=array)
    if isinstance(result, str) or isinstance(expected, str):
        assert result == expected
        return
    assert result[1] is None
    assert result[0].dtype == np.float64
    np.testing.assert_array_equal(result[0], np.array(expected, dtype=np.float64))


def compare(result, expected):
    """The codes and texts are those expected, or the error is."""
    if isinstance(result, str) or isinstance(expected, str):
        assert result == expected
        return
    codes, texts = result
    assert codes.dtype == np.int64
    assert texts.dtype == object
    assert (codes.tolist(), texts.tolist()) == expected
    assert all(text is None or isinstance(text, str) for text in texts)


def as_objects(values):
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column


@pytest.mark.parametrize("fact", [SEGMENT, FREE, AMOUNT, LOYAL], ids=lambda fact: fact.name)
@settings(max_examples=300)
@given(values=columns_of(*VALUES, ODD))
def test_a_column_is_what_its_values_are_one_at_a_time(fact, values):
    """As a list, a tuple, an array of objects and in codes: the same codes, texts and numbers, or the same error."""
    check(fact, values, values)
    check(fact, tuple(values), values)
    check(fact, as_objects(values), values if fact.kind == "categorical" else without_nan(values))


@pytest.mark.parametrize("fact", [SEGMENT, FREE, AMOUNT, LOYAL], ids=lambda fact: fact.name)
@given(values=columns_of(*VALUES), seed=st.integers(0, 9))
def test_a_column_in_codes_is_what_its_rows_are(fact, values, seed):
    """Where the distinct values can be parsed; each row has one of them."""
    codes = np.random.default_rng(seed).integers(0, max(len(values), 1), 12 if values else 0)
    plain = told(fact.parse, values)
    coded = told(fact.parse, CodedColumn(values, codes))
    if isinstance(plain, str):
        assert coded == plain
        return
    np.testing.assert_array_equal(coded[0], plain[0][codes])
    assert (coded[1] is None) == (plain[1] is None)
    assert coded[1] is None or coded[1].tolist() == plain[1][codes].tolist()


@pytest.mark.parametrize("fewest", [1, 1_000], ids=["sorted", "dictionary"])
@pytest.mark.parametrize("fact", [SEGMENT, FREE, AMOUNT, LOYAL], ids=lambda fact: fact.name)
@settings(max_examples=150)
@given(texts=st.lists(st.one_of(TEXTS, NUMBER_TEXTS), max_size=8), swapped=st.booleans())
def test_numpys_own_texts_are_what_its_texts_are_one_at_a_time(fewest, fact, texts, swapped):
    """Of fixed width (which ends a text at its last character that is not zero), of either byte order, and of any."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fact_values, "MIN_SORTED", fewest)
        fixed = np.array(texts, dtype=np.str_)
        fixed = fixed.astype(fixed.dtype.newbyteorder("S")) if swapped else fixed
        check(fact, fixed, fixed.tolist())
        if "\ud800" not in texts:
            varying = np.array(texts, dtype=np.dtypes.StringDType())
            check(fact, varying, varying.tolist())


def test_missing_texts_of_numpys_strings_are_missing():
    """A column of pandas' kind, whose missing values are NaN or None, and one with another sign of them."""
    for sign in (math.nan, None):
        column = np.array(["f", sign, "other"], dtype=np.dtypes.StringDType(na_object=sign))
        codes, texts = SEGMENT.parse(column)
        assert codes.tolist() == [0, MISSING, 5]
        assert texts.tolist() == ["f", None, "other"]
    column = np.array(["f", "m"] * 200, dtype=np.dtypes.StringDType())
    assert SEGMENT.parse(column)[0].tolist() == [0, 1] * 200


@pytest.mark.parametrize("dtype", ["?", "i1", "u8", "f2", "f4", "f8", "c8", "M8[D]", "M8[ns]", "m8[ns]", "S3"])
@pytest.mark.parametrize("fact", [SEGMENT, AMOUNT, LOYAL], ids=lambda fact: fact.name)
def test_numpys_numbers_are_taken_whole_and_other_arrays_refused(fact, dtype):
    """NaN is missing in a column of floats; times, bytes and complex numbers are nobody's numbers."""
    column = np.array([0, 1, 1]).astype(dtype)
    if fact.kind == "categorical":
        check(fact, column, list(column) if column.dtype.kind in "Mm" else column.tolist())
        return
    number = column.dtype.kind in "iuf" or (column.dtype.kind == "b" and fact.kind == "boolean")
    check(fact, column, list(column), array=number)
    if column.dtype.kind == "f":
        check(fact, np.append(column, np.array([np.nan], dtype=dtype)), [0.0, 1.0, 1.0, math.nan], array=True)


def test_a_value_unknown_to_all_is_looked_at_once_however_often_it_comes(monkeypatch):
    """10,000 rows of five texts of a boolean fact: five looks."""
    looks = []
    plain = Fact.number
    monkeypatch.setattr(Fact, "number", lambda fact, value: looks.append(value) or plain(fact, value))
    numbers, _ = LOYAL.parse(["yes", "no", "", None, "1"] * 2_000)
    assert looks == ["yes", "no", "", None, "1"]
    np.testing.assert_array_equal(numbers, [1.0, 0.0, np.nan, np.nan, 1.0] * 2_000)


@given(texts=st.lists(TEXTS, min_size=1))
def test_a_column_in_codes_reads_as_its_texts_and_has_each_of_them_once(texts):
    """Also one that is in codes already and has a text that no row has."""
    for column in (texts, coded(texts), CodedTexts(["unused", *texts], 1 + np.arange(len(texts)))):
        assert list(coded(column)) == texts
    assert sorted(coded(texts).distinct) == sorted(set(texts))
