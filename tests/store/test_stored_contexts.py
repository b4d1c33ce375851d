"""Contexts as the log stores them, in JSON, and reads them back under another catalogue."""

import json

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import bandit
from bandit.catalogue.context_json import contexts_json
from bandit.errors import ContextError
from bandit.store import ContextDecoder
from tests.conftest import SPRING, draw_contexts


@pytest.mark.parametrize("n", [1, 5, 200])
def test_what_the_log_keeps_reads_back_as_the_same_context(catalogue, n):
    contexts = draw_contexts(catalogue, n, np.random.default_rng(n), missing=0.3)
    texts = np.array(contexts_json(catalogue.facts, contexts), dtype=object)
    again = ContextDecoder(catalogue).read(texts, contexts.customers)
    for name, column in contexts.columns.items():
        np.testing.assert_array_equal(column, again.columns[name])


@given(st.text(max_size=8))
def test_odd_texts_survive_the_log(text):
    catalogue = bandit.Catalogue.from_dict(SPRING)
    contexts = catalogue.contexts([{"gender": text}], ["c"])
    (stored,) = contexts_json(catalogue.facts, contexts)
    again = ContextDecoder(catalogue).read(np.array([stored], dtype=object), contexts.customers)
    assert again.text["gender"][0] == contexts.text["gender"][0]


STORED = st.one_of(
    st.sampled_from(["f", "", "2.5", "yes", "soon"]), st.integers(-2, 2), st.floats(-2.0, 2.0), st.booleans(), st.none()
)


@given(st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(SPRING["context"], STORED)), min_size=1, max_size=6))
@example([{"gender": ["f"]}, {"gender": "f", "recency": {"days": 3}}])
def test_stored_values_that_do_not_fit_are_missing_and_the_others_are_kept(rows):
    """Each value is taken where its fact would take it in a context of its own."""
    catalogue = bandit.Catalogue.from_dict(SPRING)
    texts = np.array([json.dumps(row) for row in rows], dtype=object)
    again = ContextDecoder(catalogue).read(texts, np.array(["c"] * len(rows), dtype=object))
    for name in catalogue.facts:
        for place, row in enumerate(rows):
            try:
                alone = catalogue.contexts([{name: row.get(name)}], exact=True)
            except ContextError:
                alone = catalogue.contexts([{}])
            np.testing.assert_array_equal(again.columns[name][place], alone.columns[name][0])


def test_a_stored_value_of_another_type_is_missing(spring):
    """recency was numeric and is text now; loyal was boolean and is numeric now; gender stays."""
    contexts = bandit.Catalogue.from_dict(spring).contexts([{"gender": "f", "recency": 2.5, "loyal": True}, {}], "ab")
    texts = np.array(contexts_json(bandit.Catalogue.from_dict(spring).facts, contexts), dtype=object)
    spring["context"]["recency"] = {"type": "categorical", "values": ["new"]}
    spring["context"]["loyal"] = {"type": "numeric"}
    del spring["rules"][1]
    again = ContextDecoder(bandit.Catalogue.from_dict(spring)).read(texts, contexts.customers)
    assert again.columns["gender"].tolist() == [0, -1]
    assert again.columns["recency"].tolist() == [-1, -1]
    assert np.isnan(again.columns["loyal"]).all()
