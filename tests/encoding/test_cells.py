"""Cells of facts: whom they hold for, by hand, and what they are called."""

import numpy as np
import pytest

import bandit
from bandit.encoding.cells import MAX_CHECKS, CellColumns, Cells, cell_words, propose_cells
from bandit.encoding.encoder import Encoder
from bandit.encoding.scales import FactScale
from tests.conftest import SPRING, draw_contexts


@pytest.fixture
def encoder(catalogue):
    """Columns: 0 intercept, 1-4 gender f, m, other, missing, 5-6 recency, missing, 7-8 loyal, missing."""
    return Encoder(catalogue, {"recency": FactScale(30.0, 10.0)})


def contexts_of(catalogue, *rows):
    return catalogue.contexts([dict(row) for row in rows])


FEMALE = Cells.of_one_check([1], [0.5], [True])
RECENT = Cells.of_one_check([5], [0.5], [False])
LOYAL = Cells.of_one_check([7], [0.0], [True])


def test_a_cell_holds_where_all_checks_hold(catalogue, encoder):
    """Recency 20, 34 and 36 are -1, 0.4 and 0.6: below 0.5 are the first two; f are the first and the last."""
    matrix = encoder.context_matrix(
        contexts_of(
            catalogue,
            {"gender": "f", "recency": 20.0},
            {"gender": "m", "recency": 34.0},
            {"gender": "f", "recency": 36.0},
        )
    )
    both = FEMALE.crossed(RECENT)
    assert CellColumns(both, encoder).values(matrix)[:, 0].tolist() == [1.0, 0.0, 0.0]


def test_a_signed_cell_counts_1_for_both_or_neither_and_0_where_a_fact_is_missing(catalogue, encoder):
    matrix = encoder.context_matrix(
        contexts_of(
            catalogue,
            {"gender": "f", "loyal": True},
            {"gender": "f", "loyal": False},
            {"gender": "m", "loyal": False},
            {"gender": "f"},
        )
    )
    signed = FEMALE.crossed(LOYAL, signed=True)
    assert CellColumns(signed, encoder).values(matrix)[:, 0].tolist() == [1.0, -1.0, 1.0, 0.0]


def test_no_check_of_a_value_holds_where_the_fact_is_missing(catalogue, encoder):
    """A missing recency is encoded as 0, which is below 0.5: the check does not hold all the same."""
    matrix = encoder.context_matrix(contexts_of(catalogue, {"gender": "f"}))
    cells = RECENT.joined(LOYAL).joined(Cells.of_one_check([6], [0.5], [True]))
    assert matrix[0, 5] == 0.0
    assert CellColumns(cells, encoder).values(matrix)[0].tolist() == [0.0, 0.0, 1.0]


def test_one_context_gives_what_it_gives_in_a_batch(catalogue, encoder):
    matrix = encoder.context_matrix(draw_contexts(catalogue, 200, np.random.default_rng(1)))
    single, _ = propose_cells(encoder, matrix)
    cells = single.joined(single.take(np.zeros(len(single), dtype=int)).crossed(single, signed=True))
    columns = CellColumns(cells, encoder)
    rows = np.concatenate([columns.values(matrix[row : row + 1]) for row in range(len(matrix))])
    np.testing.assert_array_equal(rows, columns.values(matrix))


def test_proposed_checks_hold_for_a_part_of_the_customers_only(catalogue, encoder):
    """No customer has another gender than f and m here, none is missing: "other" and "missing" are not proposed."""
    rng = np.random.default_rng(2)
    rows = [{"gender": str(rng.choice(["f", "m"])), "recency": float(rng.exponential(30.0))} for _ in range(500)]
    matrix = encoder.context_matrix(catalogue.contexts([row | {"loyal": True} for row in rows]))
    cells, fact = propose_cells(encoder, matrix)
    share = CellColumns(cells, encoder).values(matrix).mean(axis=0)
    assert (share > 0.0).all()
    assert (share < 1.0).all()
    assert set(cells.column[:, 0].tolist()) == {1, 2, 5}  # everybody is loyal: nothing to check
    assert set(fact.tolist()) == {0, 1}
    assert np.isclose(share[cells.column[:, 0] == 5], np.repeat([1, 2, 3, 4, 5, 6, 7], 2) / 8, atol=0.01).sum() >= 2


def test_checks_in_another_order_are_the_same_cell():
    assert FEMALE.crossed(LOYAL).is_same(LOYAL.crossed(FEMALE))
    assert not FEMALE.crossed(LOYAL).is_same(FEMALE.crossed(RECENT))


def test_more_checks_than_three_are_refused():
    three = FEMALE.crossed(LOYAL).crossed(RECENT)
    assert three.n_checks.tolist() == [MAX_CHECKS]
    with pytest.raises(ValueError, match="at most 3 checks"):
        three.crossed(Cells.of_one_check([2], [0.5], [True]))


def test_a_cell_in_words_has_the_values_of_the_facts(encoder):
    """A standardised recency of 0.5 is 30 + 0.5 x 10 = 35."""
    cells = FEMALE.crossed(RECENT).joined(FEMALE.crossed(LOYAL, signed=True))
    cells = cells.joined(Cells.of_one_check([7], [0.0], [False])).joined(Cells.of_one_check([6], [0.5], [True]))
    words = ("gender f and recency < 35", "both or neither of gender f and loyal", "not loyal", "recency missing")
    assert cell_words(cells, encoder) == words


def test_a_catalogue_without_facts_has_no_cells():
    alone = bandit.Catalogue.from_dict({"dimensions": SPRING["dimensions"]})
    cells, fact = propose_cells(Encoder(alone), np.ones((10, 1)))
    assert len(cells) == len(fact) == 0
