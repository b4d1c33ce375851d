import json

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import bandit
from bandit.catalogue.context_json import contexts_json
from bandit.encoding.encoder import CLIP, Encoder, Scale, settle_scales
from bandit.errors import ContextError
from bandit.store import ContextDecoder
from tests.conftest import SPRING, draw_contexts


def test_context_columns_are_what_their_names_say(catalogue):
    """recency (3 - 1) / 2 = 1; loyal false = -1; gender x is the bucket "other"."""
    encoder = Encoder(catalogue, {"recency": Scale(1.0, 2.0)})
    rows = [{"gender": "m", "recency": 3.0, "loyal": False}, {"gender": "x"}]
    matrix = encoder.context_matrix(catalogue.contexts(rows))
    first, second = (dict(zip(encoder.context_names, row, strict=True)) for row in matrix.tolist())
    assert first == {
        "intercept": 1,
        "gender=f": 0,
        "gender=m": 1,
        "gender=other": 0,
        "gender=missing": 0,
        "recency": 1,
        "recency=missing": 0,
        "loyal": -1,
        "loyal=missing": 0,
    }
    assert second["gender=other"] == second["recency=missing"] == second["loyal=missing"] == 1
    assert second["recency"] == second["loyal"] == 0


def test_numeric_facts_are_kept_within_the_clip(catalogue):
    matrix = Encoder(catalogue, {"recency": Scale(0.0, 1.0)}).context_matrix(
        catalogue.contexts({"recency": np.array([1e9, -1e9])})
    )
    assert matrix.max() == CLIP
    assert matrix.min() == -CLIP


def test_scales_are_declared_or_settled_on_what_is_known(spring):
    """Of 1, 3 and a missing value: mean 2, deviation 1."""
    catalogue = bandit.Catalogue.from_dict(spring)
    contexts = catalogue.contexts({"recency": np.array([1.0, 3.0, np.nan])})
    assert settle_scales(catalogue, contexts) == {"recency": Scale(2.0, 1.0)}
    spring["context"]["recency"] |= {"center": 10.0, "scale": 5.0}
    declared = bandit.Catalogue.from_dict(spring)
    assert settle_scales(declared, contexts) == {"recency": Scale(10.0, 5.0)}
    assert Encoder(declared).settled
    assert not Encoder(catalogue).settled


def test_offer_columns_hold_one_option_a_dimension_and_one_pair_a_pair_of_dimensions(catalogue):
    offers = Encoder(catalogue).offers
    options = [place for place, name in enumerate(offers.main_names) if "=" in name]
    assert (offers.main[:, options].sum(axis=1) == 3).all()
    assert (offers.pairs.sum(axis=1) == 3).all()  # 3 dimensions make 3 pairs
    depth = offers.main[:, offers.main_names.index("discount.depth")]
    assert sorted(set(depth.tolist())) == [0.0, 0.5, 1.0]
    assert "discount=20&gift=tote" not in offers.pair_names  # no legal offer has it


def test_pairs_can_be_chosen_or_left_out(catalogue):
    assert Encoder(catalogue, pairs=False).offers.pairs.shape == (10, 0)
    chosen = Encoder(catalogue, pairs=[("discount", "channel")]).offers
    assert chosen.pairs.shape == (10, 6)


def test_a_batch_is_encoded_as_its_rows(catalogue):
    contexts = draw_contexts(catalogue, 40, np.random.default_rng(3))
    encoder = Encoder(catalogue, settle_scales(catalogue, contexts))
    together = encoder.context_matrix(contexts)
    apart = np.concatenate([encoder.context_matrix(contexts.take(slice(row, row + 1))) for row in range(40)])
    np.testing.assert_array_equal(together, apart)


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
    assert again.text["gender"][0] == (text or None)


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
                alone = catalogue.contexts([{name: row.get(name)}])
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
