"""Searching for the best offer of a draw gives what scoring every offer gives."""

import numpy as np
import pytest

import bandit
from bandit.domain import SparseProbabilities
from bandit.encoding.offer_columns import offer_columns
from bandit.errors import PolicyError
from bandit.policies.thompson import policy
from bandit.policies.thompson.offer_search import option_table
from tests.conftest import draw_contexts, draw_outcomes


@pytest.fixture
def search_all(monkeypatch):
    """Thompson sampling searches, however few the offers are."""
    monkeypatch.setattr(policy, "SEARCH_ABOVE", 0)


def pair_of(catalogue, monkeypatch, n=400, **settings):
    """The same belief twice: in a policy that scores every offer, and in one that searches."""
    outcomes = draw_outcomes(catalogue, n, np.random.default_rng(1))
    scored = bandit.ThompsonSampling(catalogue, pairs=False, **settings)
    scored.update(outcomes)
    monkeypatch.setattr(policy, "SEARCH_ABOVE", 0)
    searching = bandit.ThompsonSampling(catalogue, pairs=False, **settings)
    searching.loads(scored.dumps())
    assert searching.sparse
    assert not scored.sparse
    return scored, searching


@pytest.mark.parametrize("kind", ["profit", "revenue", "conversion", "reward"])
@pytest.mark.parametrize("personal", [False, True])
@pytest.mark.parametrize("monotone", [False, True])
def test_searching_gives_the_probabilities_that_scoring_every_offer_gives(
    spring, monkeypatch, kind, personal, monotone
):
    """200 customers, 64 draws each; a tie in float32 may go either way: 1 draw of 64 in at most 1 row of 50."""
    spring["objective"]["kind"] = kind
    if monotone:
        spring["dimensions"][0]["attributes"] = {"depth": {"monotone": "increasing"}}
        spring["rules"].pop(0)  # a sequence of offers with a gap is constrained differently from its options
    catalogue = bandit.Catalogue.from_dict(spring)
    scored, searching = pair_of(catalogue, monkeypatch, personal=personal, width=1.0)
    contexts = draw_contexts(catalogue, 200, np.random.default_rng(2))
    eligible = catalogue.eligible(contexts)
    one = scored.probabilities(contexts, eligible, np.random.default_rng(3))
    other = searching.probabilities(contexts, eligible, np.random.default_rng(3))
    differing = np.abs(one - other).max(axis=1) > 1e-9
    assert differing.mean() <= 0.02
    assert np.abs(one - other).max() < 2.0 / 64
    assert (np.abs(one - searching.probabilities(contexts, eligible, np.random.default_rng(4))) > 1e-9).any()  # control


def test_shares_are_the_probabilities_row_by_row_and_sum_to_1(catalogue, search_all):
    policy = bandit.ThompsonSampling(catalogue, pairs=False)
    contexts = draw_contexts(catalogue, 50, np.random.default_rng(2))
    fired, eligible = catalogue.fired(contexts), catalogue.eligible(contexts)
    sets = catalogue.eligible_sets(fired)
    np.testing.assert_array_equal(sets.dense(), eligible)
    shares = policy.shares(contexts, fired, sets, np.random.default_rng(3))
    dense = policy.probabilities(contexts, eligible, np.random.default_rng(3))
    np.testing.assert_allclose(dense.sum(axis=1), 1.0, atol=1e-12)
    np.testing.assert_allclose(shares.dense(eligible), dense, atol=1e-15)
    for offer in range(catalogue.n_offers):
        rows = np.flatnonzero(eligible[:, offer])
        part = SparseProbabilities(shares.offers[rows], shares.share[rows], shares.floor[rows], shares.n_eligible[rows])
        np.testing.assert_allclose(part.of(np.full(len(rows), offer)), dense[rows, offer], atol=1e-15)


def test_the_columns_of_an_offer_are_the_sums_over_its_options(catalogue):
    offers = offer_columns(catalogue)
    table, at = option_table(catalogue), np.cumsum([0, 3, 2])
    sums = sum(table[:, at[place] + catalogue.options[:, place]] for place in range(3))
    np.testing.assert_allclose(sums[1:].T, offers.main)
    assert not table[0].any()


def test_a_winner_that_is_not_eligible_has_no_probability(catalogue, search_all):
    """Caps may take away what the rules do not: of ten offers two are left, and all probability is theirs."""
    policy = bandit.ThompsonSampling(catalogue, pairs=False)
    contexts = draw_contexts(catalogue, 20, np.random.default_rng(2))
    eligible = np.zeros((20, 10), dtype=bool)
    eligible[:, [0, 4]] = True
    table = policy.probabilities(contexts, eligible, np.random.default_rng(3))
    assert not table[~eligible].any()
    np.testing.assert_allclose(table.sum(axis=1), 1.0, atol=1e-12)


def test_pairs_of_options_are_scored_and_not_searched(catalogue, search_all):
    assert not bandit.ThompsonSampling(catalogue).sparse  # 16 pairs: each has a weight of its own
    assert bandit.ThompsonSampling(catalogue, pairs=False).sparse


def test_shares_of_few_offers_are_refused(catalogue):
    policy = bandit.ThompsonSampling(catalogue, pairs=False)
    contexts = catalogue.contexts([{}])
    fired = catalogue.fired(contexts)
    with pytest.raises(PolicyError, match="ask for probabilities"):
        policy.shares(contexts, fired, catalogue.eligible_sets(fired), np.random.default_rng(1))
