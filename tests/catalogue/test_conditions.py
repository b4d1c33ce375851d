import operator
import time
from decimal import getcontext, localcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bandit
from bandit.catalogue.conditions import compile_condition
from bandit.errors import CatalogueError
from tests.conftest import SPRING

CATALOGUE = bandit.Catalogue.from_dict(SPRING)
SIGNS = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
ROWS = [
    {"gender": "f", "recency": 1.0, "loyal": True},
    {"gender": "m", "recency": 3.0, "loyal": False},
    {"gender": "x", "recency": 15.0},
    {},
]

# A condition's text, and what it means for one customer with all facts known.
comparisons = st.one_of(
    st.builds(
        lambda sign, number: (f"recency {sign} {number}", lambda row: SIGNS[sign](row["recency"], number)),
        st.sampled_from(sorted(SIGNS)),
        st.integers(-2, 4),
    ),
    st.builds(
        lambda sign, value: (f'gender {sign} "{value}"', lambda row: SIGNS[sign](row["gender"], value)),
        st.sampled_from(["==", "!="]),
        st.sampled_from(["f", "m"]),
    ),
    st.sampled_from(
        [
            ("loyal", lambda row: row["loyal"]),
            ("loyal == false", lambda row: not row["loyal"]),
            ('gender in ["f", "m"]', lambda row: True),
            ('gender not in ["m"]', lambda row: row["gender"] != "m"),
            ("recency in [1, 2]", lambda row: row["recency"] in {1, 2}),
            ("recency + 1 > 2 * recency", lambda row: row["recency"] < 1),
            ("-recency < 1", lambda row: row["recency"] > -1),
            ("recency - 1 == 1", lambda row: row["recency"] == 2),
            ("true", lambda row: True),
            ("false", lambda row: False),
        ]
    ),
)
conditions = st.recursive(
    comparisons,
    lambda inner: st.one_of(
        st.builds(lambda a, b: (f"({a[0]} and {b[0]})", lambda row: a[1](row) and b[1](row)), inner, inner),
        st.builds(lambda a, b: (f"({a[0]} or {b[0]})", lambda row: a[1](row) or b[1](row)), inner, inner),
        st.builds(lambda a: (f"not ({a[0]})", lambda row: not a[1](row)), inner),
    ),
    max_leaves=6,
)
contexts = st.fixed_dictionaries(
    {
        "gender": st.sampled_from(["f", "m"]),
        "recency": st.integers(-2, 4).map(float),
        "loyal": st.booleans(),
    }
)


def met(text, rows, catalogue=CATALOGUE):
    return compile_condition(text, catalogue.facts, "here")(catalogue.contexts(rows)).tolist()


def refused(text, catalogue=CATALOGUE):
    with pytest.raises(CatalogueError) as fault:
        compile_condition(text, catalogue.facts, "here")
    return str(fault.value)


def with_facts(**facts):
    return bandit.Catalogue.from_dict(SPRING | {"context": facts, "rules": []})


@given(conditions, st.lists(contexts, min_size=1, max_size=5))
def test_columns_give_what_the_condition_means_row_by_row(condition, rows):
    text, meaning = condition
    assert met(text, rows) == [meaning(row) for row in rows]


def test_a_missing_fact_equals_null_and_nothing_else():
    batch = CATALOGUE.contexts([{}])
    for text, expected in {
        "recency == null": True,
        "recency != null": False,
        "gender == null": True,
        "loyal == null": True,
        "recency > 0": False,
        "recency <= 0": False,
        'gender == "f"': False,
        'gender != "f"': True,
        "loyal": False,
        "not loyal": True,
        "loyal == false": False,
    }.items():
        assert compile_condition(text, CATALOGUE.facts, "here")(batch).tolist() == [expected], text


def test_a_value_unseen_is_neither_declared_value_nor_missing():
    batch = CATALOGUE.contexts([{"gender": "x"}])
    for text, expected in {'gender in ["f", "m"]': False, "gender == null": False, 'gender != "f"': True}.items():
        assert compile_condition(text, CATALOGUE.facts, "here")(batch).tolist() == [expected], text


def test_a_condition_gives_one_answer_a_row():
    batch = CATALOGUE.contexts({"recency": np.arange(1000.0)})
    assert compile_condition("recency >= 400 or false", CATALOGUE.facts, "here")(batch).sum() == 600


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # and binds more tightly than or, not more tightly than and, less than any comparison
        ("loyal or loyal and false", "1000"),
        ("not loyal and recency > 2", "0110"),
        ("not recency == 1", "0111"),
        ("not not loyal", "1000"),
        # arithmetic
        ("2 + 3 * recency == 5", "1000"),
        ("recency - 1 - 1 == 1", "0100"),
        ("-recency * 2 < -2", "0110"),
        ("recency - -1 == 2", "1000"),
        ("- - recency == 1", "1000"),
        # numbers
        ("recency == 0xF", "0010"),
        ("recency == 0b1 or recency == 0o3", "1100"),
        ("recency == 1. or recency == 30e-1", "1100"),
        ("recency >= .5 and recency < 1.5E+1", "1100"),
        ("recency < 5and loyal", "1000"),
        ("recency > 1e-400", "1110"),
        # texts
        ("gender == 'f'", "1000"),
        ("'f' == gender", "1000"),
        (r"gender == '\x66'", "1000"),
        (r"gender == '\146' or gender == '\u006d'", "1100"),
        ("gender == r'f' or gender == s'm'", "1100"),
        ("gender == 'f' + ''", "1000"),
        # lists
        ("gender in ['f', 'm',]", "1100"),
        ("gender in []", "0000"),
        ("gender not in []", "1111"),
        ("gender in ['f', null]", "1001"),
        ("loyal not in [true, null]", "0100"),
        ("recency in [recency]", "1110"),
        ("1 in [recency, 2]", "1000"),
        ("recency + 1 in [2, 4]", "1100"),
        ("not recency in [1]", "0111"),
        # equality binds less tightly than order
        ("1 < 2 == true and loyal", "1000"),
        ("true == 1 < 2 and loyal", "1000"),
        ("1 in [1] == true and loyal", "1000"),
        # `not` right of a comparison takes the comparisons to its right
        ("loyal == not false", "1000"),
        ("loyal == (not false)", "1000"),
        ("loyal == not 1 == 2 and recency < 5", "1000"),
        ("loyal != not false or gender == 'f'", "1111"),
        # `not in` takes the comparisons to its left
        ("1 == 2 not in [true] and loyal", "1000"),
        ("1 == 2 not in [false] or loyal", "1000"),
        ("1 not in [2] not in [false] and loyal", "1000"),
        ("1 not in [2] == true and loyal", "1000"),
        # null
        ("null == recency", "0001"),
        ("loyal != null", "1100"),
        # constants are decimals; kinds are kept apart, but `in` compares as Python does
        ("0.1 + 0.2 == 0.3 and loyal", "1000"),
        ("recency == 0.1 + 0.2 + 0.7", "1000"),
        ("1 == true or loyal", "1000"),
        ("1 in [true] and loyal", "1000"),
        ("'a' in 'abc' and loyal", "1000"),
        ("'1' == 1 or loyal", "1000"),
        ("null <= null and loyal", "1000"),
        ("not 0 and loyal", "1000"),
        ("1 and 2 and loyal", "1000"),
        ("inf > 1e300 and loyal", "1000"),
        ("nan == nan or loyal", "1000"),
        ("1e400 > 1 and loyal", "1000"),
        ("[1, 'a'] == [1, 'a'] and loyal", "1000"),
        # spaces and line ends
        ("\n loyal\n\tor gender\nnot \t in ['m']\n", "1011"),
        ("gender in['f']or(loyal)", "1000"),
        ('gender=="f"and loyal', "1000"),
    ],
)
def test_the_language_of_conditions(text, expected):
    """Each digit is one row of ROWS."""
    assert met(text, ROWS) == [digit == "1" for digit in expected]


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "loyal and", "and loyal", "loyal loyal", "(loyal", "loyal)", "()", "(loyal,)", "loyal, loyal",
        "recency < recency < 3", "1 < 2 < 3", "1 == 1 == 1", "recency in [1] in [2]", "1 < 2 in [true]",
        "recency == +1", "+recency > 1", "recency / 2 > 1", "recency // 2 > 1", "recency % 2 == 1", "recency ** 2 > 1",
        "recency * * 2 > 1", "[*recency] == 1", "recency in [* 1]", "~loyal", "recency | 1 == 1", "recency <> 1",
        "recency = 1", "(recency := 1) == 1", "recency === 1", "!loyal", "loyal && loyal", "loyal || loyal",
        "loyal if loyal else loyal", "lambda: loyal", "[recency for recency in [1]] == null", "recency is 1",
        "recency is not null", "recency is null", "await loyal", "loyal AND loyal", "NOT loyal", "loyal == True",
        "recency == None", "recency == Null", "recency == 1j", "recency == 1_0", "recency == 01", "recency == 00",
        "recency == 0X1F", "recency == 0b2", "recency == 1e", "recency == 1L", "recency < inf", "recency == nan",
        "nan < 1", "inf - inf == 0", "1e999999 * 10 > 1", "recency < 1e99999999999999999999", "gender == b'f'",
        "gender == f'f'", "gender == u'f'", "gender == R'f'", "gender == rb'f'", "gender == 'f' 'm'", "gender == 'f",
        "gender == '''f'''", "gender == '\n'", r"gender == '\d'", r"gender == '\x4'", r"gender == '\N{NO SUCH}'",
        r"gender == '\U00110000'", "gender == 'z'", "gender == 1", "gender < 'm'", "gender == gender", "gender",
        "recency", "5", "null", "'f'", "recency == '1'", "recency == true", "loyal == 1", "loyal > false",
        "recency + 'a' == 1", "-gender == 1", "-true == 1", "'a' * 3 == 'aaa'", "1 + true == 2", "'a' < 1",
        "[1] < [2]", "loyal == loyal", "loyal == (recency < 1)", "recency + 1 == null", "gender in 'fm'",
        "gender in ['f', 1]", "recency in 1", "age in []", "(gender + 1) in []", "(recency == 1) in []", "age > 3",
        "gender.length == 1", "gender[0] == 'f'", "'abc'[0] == 'a'", "gender() == 'f'", "gender == d'2026-01-01'",
        "t'P1D' < t'P2D'", "loyal # all", "loyal\r\n", "loyal\x00", "\x00", "loyal;", "loyal\\", "loyal\xa0",
        "größe > 1", "\ufb01 > 1", "recency == \u0663", "recency == 1²", "loyal ? true : false", "recency ?? 1 == 1",
        "{1: 2} == null", "{1} == null", "recency == $pi", "`loyal`", "@loyal", "...", "_0", "loyal == _0",
        "for == 1", "while", "else", "elif == 1", "loyal and 1 and 2", "1 and loyal", "loyal == true == false",
        "loyal in not loyal", "[loyal", "recency + not loyal == 1",
    ],
)  # fmt: skip
def test_what_is_not_of_the_language_is_refused_in_a_sentence(text):
    message = refused(text)
    assert message.startswith("here: the condition ")
    assert "<unknown>" not in message
    assert len(message) < 300


def test_a_word_of_python_names_a_fact():
    """The parser is Python's, but what is a word or a placeholder to it is a plain name in a condition."""
    names = ["class", "lambda", "is", "None", "True", "await", "b", "d", "r", "_0", "_1", "e5", "inn", "null_"]
    catalogue = with_facts(**{name: {"type": "numeric"} for name in names})
    for name in names:
        rows = [{name: 5.0}, {other: 5.0 for other in names if other != name}]
        assert met(f"{name} == 5 and not {name} in [4]", rows, catalogue) == [True, False], name
    assert met("class + is == lambda", [{"class": 1, "is": 2, "lambda": 3}], catalogue) == [True]


def test_a_word_of_the_language_is_never_a_fact():
    for name in ("true", "false", "null", "nan", "inf"):
        assert met(f"{name} == 5", [{name: 5.0}], with_facts(**{name: {"type": "numeric"}})) == [False], name
    for name in ("for", "if", "while", "elif", "else", "and", "in"):
        refused(f"{name} == 5", with_facts(**{name: {"type": "numeric"}}))


@pytest.mark.parametrize("name", ["größe", "\ufb01"])
def test_a_fact_named_beyond_ascii_cannot_be_asked_for(name):
    """Python takes the ligature U+FB01 for the name "fi"; a condition with it must not ask for that other fact."""
    facts = {each: {"type": "numeric"} for each in (name, "fi")}
    refused(f"{name} == 5", bandit.Catalogue.from_stored(SPRING | {"context": facts, "rules": []}))


def test_escapes_in_texts_are_those_of_python_and_others_keep_their_backslash():
    values = ["it's", 'say "no"', r"a\d", "tab\t", "é", "a\\"]
    catalogue = with_facts(word={"type": "categorical", "values": values})
    for literal, value in {
        r"'it\'s'": values[0],
        '"it\'s"': values[0],
        r'"say \"no\""': values[1],
        r"'a\d'": values[2],
        r"'a\\d'": values[2],
        r"r'a\d'": values[2],
        r"'tab\t'": values[3],
        "'tab\t'": values[3],
        "'é'": values[4],
        r"'\xe9'": values[4],
        r"'\N{LATIN SMALL LETTER E WITH ACUTE}'": values[4],
        r"'a\\'": values[5],
    }.items():
        expected = [each == value for each in values]
        assert met(f"word == {literal}", [{"word": each} for each in values], catalogue) == expected, literal


def test_constants_do_not_depend_on_the_decimal_context_of_the_caller():
    """To two digits, 1.5 + 0.25 would be 1.8."""
    with localcontext() as changed:
        changed.prec = 2
        assert met("recency == 1.5 + 0.25", [{"recency": 1.75}]) == [True]
        assert getcontext().prec == 2


def test_conditions_may_be_deep_up_to_their_limit():
    """199 times `not` and one fact are 200 parts, and so are 200 facts joined by `or`, two at a time."""
    assert met("not " * 199 + "loyal", [{"loyal": True}]) == [False]
    assert "parts within one another" in refused("not " * 200 + "loyal")
    assert met(" or ".join(["loyal"] * 200), [{"loyal": True}]) == [True]
    assert "parts within one another" in refused(" or ".join(["loyal"] * 201))
    assert met("(" * 200 + "loyal" + ")" * 200, [{"loyal": True}]) == [True]
    assert "nested too deep" in refused("(" * 201 + "loyal" + ")" * 201)
    assert "at most 2000" in refused("loyal" + " " * 1_996)


@pytest.mark.parametrize(
    "text",
    [
        "-" * 1_980 + "recency < 1", "not " * 490 + "gender", "1+" * 990 + "'a' < recency", "[" * 999 + "]" * 999,
        "(" * 1_999, "[" * 199 + "1" + "]" * 199 + " == loyal", "loyal == not (" * 130 + "1" + ")" * 130, "'" * 1_999,
        "recency in [" + "1," * 990 + "'a']", "\\" * 1_999, "'" + "\\" * 1_980 + "' == gender", "(1 in [" * 250,
        "9" * 1_900 + "*" + "9" * 80 + " == gender", "recency == 0x" + "f" * 1_900, "not(" * 400, ")" * 1_999,
        "a not in [" * 180 + "]" * 180,
    ],
)  # fmt: skip
def test_long_and_deep_conditions_are_answered_at_once(text):
    begun = time.process_time()
    refused(text)
    assert time.process_time() - begun < 1.0
