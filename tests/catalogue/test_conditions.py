import numpy as np
import rule_engine
from hypothesis import given
from hypothesis import strategies as st

import bandit
from bandit.catalogue.conditions import compile_condition
from tests.conftest import SPRING

CATALOGUE = bandit.Catalogue.from_dict(SPRING)

comparisons = st.one_of(
    st.builds("recency {} {}".format, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), st.integers(-2, 4).map(str)),
    st.builds('gender {} "{}"'.format, st.sampled_from(["==", "!="]), st.sampled_from(["f", "m"])),
    st.sampled_from(["loyal", "loyal == false", 'gender in ["f", "m"]', 'gender not in ["m"]', "recency in [1, 2]"]),
    st.sampled_from(["recency + 1 > 2 * recency", "-recency < 1", "recency - 1 == 1", "true", "false"]),
)
conditions = st.recursive(
    comparisons,
    lambda inner: st.one_of(
        st.builds("({} and {})".format, inner, inner),
        st.builds("({} or {})".format, inner, inner),
        st.builds("not ({})".format, inner),
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


@given(conditions, st.lists(contexts, min_size=1, max_size=5))
def test_columns_give_what_the_librarys_own_evaluation_gives_row_by_row(text, rows):
    """The library evaluates one mapping at a time: slow, and the oracle of the compiled columns."""
    mask = compile_condition(text, CATALOGUE.facts, "here")(CATALOGUE.contexts(rows))
    rule = rule_engine.Rule(text)
    assert mask.tolist() == [rule.matches(row) for row in rows]


def test_a_missing_fact_equals_null_and_nothing_else():
    batch = CATALOGUE.contexts([{}])
    for text, met in {
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
        assert compile_condition(text, CATALOGUE.facts, "here")(batch).tolist() == [met], text


def test_a_value_unseen_is_neither_declared_value_nor_missing():
    batch = CATALOGUE.contexts([{"gender": "x"}])
    for text, met in {'gender in ["f", "m"]': False, "gender == null": False, 'gender != "f"': True}.items():
        assert compile_condition(text, CATALOGUE.facts, "here")(batch).tolist() == [met], text


def test_a_condition_gives_one_answer_a_row():
    batch = CATALOGUE.contexts({"recency": np.arange(1000.0)})
    assert compile_condition("recency >= 400 or false", CATALOGUE.facts, "here")(batch).sum() == 600
