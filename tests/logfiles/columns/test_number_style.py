"""Numbers as people write them: what is read with which style, and which keys are named for a text that is not."""

import math

import numpy as np
import pytest

from bandit.errors import CatalogueError
from bandit.logfiles import LogMapping
from bandit.logfiles.columns.number_style import NumberStyle, guess_number_style, number_cure
from bandit.logfiles.columns.values import INVALID

GERMAN = NumberStyle(decimal=",", thousands=".", signs=("€",))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("36,68", 36.68),
        ("1.144,60", 1144.6),
        ("€ 1.144.000,5", 1144000.5),
        ("-5 €", -5.0),
        ("7", 7.0),
        ("12.21", INVALID),
        ("1.1444,0", INVALID),
        ("1,2,3", INVALID),
        ("x", INVALID),
        ("36.68", INVALID),
    ],
)
def test_a_number_is_read_as_its_file_writes_numbers_or_not_at_all(text, value):
    """A point between groups of other than three digits is no separator of thousands, so the text is no number."""
    assert GERMAN.number(text) == value


def test_blanks_and_declared_words_are_missing():
    style = NumberStyle(missing=("NA",))
    assert math.isnan(style.number(" "))
    assert math.isnan(style.number("NA"))
    assert style.number("N/A") == INVALID
    assert math.isnan(NumberStyle().number(""))


def test_a_column_of_numbers_and_one_of_shares():
    assert GERMAN.numbers(["1,5", "1.000", ""])[:2].tolist() == [1.5, 1000.0]
    assert GERMAN.shares(["0,25", "1/3"]).tolist() == [0.25, 1 / 3]
    assert NumberStyle().numbers(["1.5", "2"]).tolist() == [1.5, 2.0]


@pytest.mark.parametrize(
    ("texts", "decimal", "thousands", "ambiguous"),
    [
        (["1", "2"], ".", "", False),
        (["1.5", "2"], ".", "", False),
        (["36,68", "5"], ",", "", False),
        (["1,144.60", "3.5"], ".", ",", False),
        (["1.144,60"], ",", ".", False),
        (["1,144"], ".", ",", True),
        (["1,144", "1.5"], ".", ",", False),
        (["1,144", "1,5"], ",", "", False),
        (["1.144.000", "5"], ",", ".", False),
        (["1 144,5", "2,25"], ",", " ", False),
        (["1'144.50"], ".", "'", False),
        (["1e-05", "0.5"], ".", "", False),
    ],
)
def test_the_style_of_a_column_is_found_from_all_its_texts(texts, decimal, thousands, ambiguous):
    found = guess_number_style(texts)
    assert (found.style.decimal, found.style.thousands, found.ambiguous) == (decimal, thousands, ambiguous)


@pytest.mark.parametrize(
    "texts", [["a", "1"], ["v0", "v1"], ["T12"], ["1-2"], ["2026-01-01"], ["1.2.3.4", "5,6,7"], []]
)
def test_codes_dates_and_words_are_no_numbers(texts):
    assert guess_number_style(texts) is None


def test_any_number_is_read_back_from_any_style_by_the_style_that_is_found():
    """Written with two decimals, each style is told from the others by its numbers above 1,000."""
    rng = np.random.default_rng(1)
    for decimal, thousands in ((".", ","), (",", "."), (",", " "), (".", "'"), (",", "")):
        numbers = np.round(rng.lognormal(7, 1, 50), 2)
        texts = [
            f"{each:,.2f}".replace(",", "_").replace(".", decimal).replace("_", thousands) for each in numbers.tolist()
        ]
        found = guess_number_style(texts)
        assert found.style.numbers(texts).tolist() == numbers.tolist()


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("36,68", 'put decimal = "," under'),
        ("1,144.60", 'put thousands = "," under'),
        ("1.144,60", 'put decimal = "," and thousands = "." under'),
        ("€36.68", 'put signs = ["€"] under'),
        ("NA", 'put missing = ["NA"] under'),
        ("1,144", 'put thousands = "," (or decimal = ",") under'),
        ("(41.06)", "put brackets = true under"),
        ("($1,144.60)", 'put thousands = "," and signs = ["$"] and brackets = true under'),
        ("41,06- €", 'put decimal = "," and signs = ["€"] and trailing_minus = true under'),
        ("1\u00a0144,60", 'put decimal = "," and thousands = " " under'),
        ("1\u2019144.60", """put thousands = "'" under"""),
    ],
)
def test_the_key_that_cures_a_number_is_named(text, keys):
    cure = number_cure(text, NumberStyle())
    assert keys in cure
    assert cure.endswith("under [numbers] in the mapping")


def test_no_key_is_named_where_none_would_cure():
    assert number_cure("x", NumberStyle()) == ""
    assert number_cure("(41", NumberStyle()) == ""
    assert number_cure("12-5", NumberStyle()) == ""


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ({"decimal": ";"}, 'decimal is one of ".", ","; seen ";"'),
        ({"thousands": "x"}, 'seen "x"'),
        ({"decimal": ",", "thousands": ","}, "they must differ"),
        ({"signs": ["1"]}, 'signs are marks such as "€"'),
        ({"decimals": ","}, "decimals"),
    ],
)
def test_a_section_that_cannot_be_is_refused(numbers, said):
    mapping = {
        "columns": {"row_customer": True, "propensity": 0.5},
        "offer": {"channel": {"column": "c"}},
        "numbers": numbers,
    }
    with pytest.raises(CatalogueError, match=said.replace("[", r"\[")):
        LogMapping.from_dict(mapping)


@pytest.mark.parametrize("when", [{"column": "c"}, {"column": "c", "above": 0, "equals": "x"}])
def test_an_outcome_is_above_a_number_or_equals_a_text(when):
    mapping = {
        "columns": {"row_customer": True, "propensity": 0.5},
        "offer": {"channel": {"column": "c"}},
        "outcomes": [{"event": "purchase", "when": when}],
    }
    with pytest.raises(CatalogueError, match="either above = a number or equals = a text"):
        LogMapping.from_dict(mapping)


@pytest.mark.parametrize(
    ("text", "style", "value"),
    [
        ("(41.06)", NumberStyle(brackets=True), -41.06),
        ("$(1,144.60)", NumberStyle(thousands=",", signs=("$",), brackets=True), -1144.6),
        ("41.06-", NumberStyle(trailing_minus=True), -41.06),
        ("\u22125", NumberStyle(), -5.0),
        ("1,14,460.00", NumberStyle(thousands=","), 114460.0),
        ("R$ 5", NumberStyle(signs=("$", "R$")), 5.0),
        ("(-41.06)", NumberStyle(brackets=True), INVALID),
        ("(41.06)", NumberStyle(), INVALID),
        ("41.06-", NumberStyle(brackets=True), INVALID),
    ],
)
def test_negative_numbers_and_groups_are_read_as_declared(text, style, value):
    """A bracket or a trailing minus is a sign where it is declared, and no number where it is not."""
    assert style.number(text) == value
