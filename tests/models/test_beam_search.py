from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bandit.models.beam_search import best_offers
from bandit.models.rule_bits import RuleBits
from bandit.models.search_bounds import DimensionScores

MARGIN = 0.35
COSTS = ((0.25, 0.0, 0.0), (0.0, 0.0, 0.15), (0.0, 2.0, 0.0))
"""Largest rate, redemption cost and contact cost of the first, second and third dimension, and so on in turn."""


def market(sizes, rng, *, n=1, draws=16, rules=3, costly=3):
    """Random effects of the size that beliefs have; the first dimensions give money away, and what does is liked."""
    dimensions = []
    for place, size in enumerate(sizes):
        steps = np.linspace(0.0, 1.0, size) * (place < costly)
        score = rng.normal(0.0, 0.3, (n, 1, size)) + rng.normal(0.0, 0.15, (n, draws, size)) + 0.5 * steps
        parts = (score, rng.normal(0.0, 0.08, (n, size)), *(largest * steps for largest in COSTS[place % 3]))
        dimensions.append(DimensionScores(*(part.astype(np.float32) for part in parts)))
    forbidden = []
    for _ in range(rules):
        looks = rng.choice(len(sizes), min(2, len(sizes)), replace=False)
        forbidden.append([rng.random(size) < 0.4 if place in looks else None for place, size in enumerate(sizes)])
    base = rng.normal(-2.0, 0.3, (n, draws)).astype(np.float32)
    return base, np.full(n, np.log(60.0), dtype=np.float32), dimensions, forbidden


def every_offer(sizes):
    return np.stack(np.unravel_index(np.arange(np.prod(sizes)), sizes), axis=1)


def legal(offers, forbidden):
    free = np.ones(len(offers), dtype=bool)
    for rule in forbidden:
        hit = np.ones(len(offers), dtype=bool)
        for place, options in enumerate(rule):
            if options is not None:
                hit &= options[offers[:, place]]
        free &= ~hit
    return free


def brute_force(base, log_revenue, dimensions, forbidden, margin):
    """The value of every offer under every draw in float64, (n, M, N); -inf where a rule forbids it."""
    offers = every_offer([len(dimension.rate) for dimension in dimensions])

    def total(name):
        return sum(
            getattr(dimension, name).astype(np.float64)[..., offers[:, at]] for at, dimension in enumerate(dimensions)
        )

    value = base[:, :, None].astype(np.float64) + total("score")
    if margin is not None:
        worth = np.exp(log_revenue[:, None] + total("log_revenue")) * (margin - total("rate")) - total(
            "redemption_cost"
        )
        value = worth[:, None, :] / (1.0 + np.exp(-value)) - total("contact_cost")
    return offers, np.where(legal(offers, forbidden), value, -np.inf)


def search(base, log_revenue, dimensions, forbidden, margin, holds=None, **settings):
    rule_bits = RuleBits.of([len(dimension.rate) for dimension in dimensions], forbidden)
    given_rules = np.ones((len(base), len(forbidden)), dtype=bool) if holds is None else holds
    return best_offers(base, log_revenue, dimensions, rule_bits, rule_bits.in_force(given_rules), margin, **settings)


SIZES = [(12, 12, 7), (10, 10, 10, 10), (22, 22, 20), (3,) * 8, (2,) * 13, (5, 1, 4, 6, 3, 5, 5), (100, 100), (9_000,)]


@pytest.mark.parametrize("margin", [MARGIN, 1.0, None], ids=["profit", "revenue", "score"])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_the_best_of_ten_thousand_offers_is_found_and_proven(sizes, margin):
    """Against every offer, one by one: of 64 draws all are proven, and what is found earns what the best one earns."""
    given_market = market(sizes, np.random.default_rng(len(sizes)), draws=64, costly=0 if margin != MARGIN else 3)
    _, value = brute_force(*given_market, margin)
    found = search(*given_market, margin)
    best = value.max(axis=2)
    np.testing.assert_allclose(found.value, best, rtol=2e-6, atol=2e-6)
    assert found.proven.mean() >= 0.98
    chosen = np.ravel_multi_index(tuple(np.moveaxis(found.options, -1, 0)), sizes)
    np.testing.assert_allclose(np.take_along_axis(value, chosen[..., None], axis=2)[..., 0], best, rtol=2e-6, atol=2e-6)


def test_proven_offers_are_the_best_and_a_narrow_beam_misses_some():
    """Two kept of 3^8, over 40 markets: proven is the best up to 2 in 100,000; of others (the control) some are not."""
    missed = 0
    for seed in range(40):
        given_market = market((3,) * 8, np.random.default_rng(seed), costly=6)
        best = brute_force(*given_market, MARGIN)[1].max(axis=2)
        found = search(*given_market, MARGIN, widths=(2,))
        short = best - found.value > 2e-5 * np.abs(best)
        assert not (short & found.proven).any()
        missed += int(short.sum())
    assert missed > 0


@given(st.lists(st.integers(1, 5), min_size=1, max_size=5), st.integers(0, 6), st.integers(0, 2**32))
def test_no_offer_that_a_rule_forbids_is_found_and_one_is_found_if_there_is_one(sizes, rules, seed):
    given_market = market(sizes, np.random.default_rng(seed), draws=4, rules=rules)
    offers, value = brute_force(*given_market, MARGIN)
    found = search(*given_market, MARGIN)
    if legal(offers, given_market[3]).any():
        assert legal(found.options.reshape(-1, len(sizes)), given_market[3]).all()
        np.testing.assert_allclose(found.value, value.max(axis=2), rtol=2e-6, atol=2e-6)
    else:
        assert (found.options == -1).all()


def test_each_context_is_searched_under_its_own_rules():
    """Of three contexts one has no rule, one the first of two, one both: as if each had been searched alone."""
    base, revenue, dimensions, forbidden = market((6, 5, 7), np.random.default_rng(3), n=3, rules=2)
    holds = np.array([[False, False], [True, False], [True, True]])
    together = search(base, revenue, dimensions, forbidden, MARGIN, holds)
    for row in range(3):
        rules = [rule for rule, held in zip(forbidden, holds[row], strict=True) if held]
        at = slice(row, row + 1)
        own = [
            replace(dimension, score=dimension.score[at], log_revenue=dimension.log_revenue[at])
            for dimension in dimensions
        ]
        value = brute_force(base[row : row + 1], revenue[row : row + 1], own, rules, MARGIN)[1]
        np.testing.assert_allclose(together.value[row], value.max(axis=2)[0], rtol=2e-6, atol=2e-6)


def test_a_hundred_rules_are_as_good_as_one():
    """Each of 100 rules takes one pair of options away: as many bits as two words have, and none is mixed up."""
    rng = np.random.default_rng(4)
    base, revenue, dimensions, _ = market((11, 11, 6), rng, rules=0)
    pairs = rng.choice(121, 100, replace=False)
    rules = [[np.arange(11) == pair // 11, np.arange(11) == pair % 11, None] for pair in pairs]
    found = search(base, revenue, dimensions, rules, MARGIN)
    taken = found.options[0, :, 0] * 11 + found.options[0, :, 1]
    assert not np.isin(taken, pairs).any()
    value = brute_force(base, revenue, dimensions, rules, MARGIN)[1]
    np.testing.assert_allclose(found.value, value.max(axis=2), rtol=2e-6, atol=2e-6)


def test_a_loss_on_every_offer_is_the_smallest_loss():
    """Where a conversion costs more than it earns, the best offer loses least: costs of 200 against a revenue of 60."""
    base, revenue, dimensions, forbidden = market((6, 5, 7), np.random.default_rng(5))
    dimensions[0].redemption_cost[:] = 200.0
    value = brute_force(base, revenue, dimensions, forbidden, MARGIN)[1]
    found = search(base, revenue, dimensions, forbidden, MARGIN)
    assert (found.value < 0).all()
    np.testing.assert_allclose(found.value, value.max(axis=2), rtol=2e-6)


def test_a_batch_is_searched_in_pieces_with_the_same_result(monkeypatch):
    given_market = market((6, 5, 7, 4), np.random.default_rng(6), n=20)
    whole = search(*given_market, MARGIN)
    monkeypatch.setattr("bandit.models.beam_search.BEAM_CELLS", 500)
    pieces = search(*given_market, MARGIN)
    np.testing.assert_array_equal(whole.options, pieces.options)
    np.testing.assert_array_equal(whole.proven, pieces.proven)


@pytest.mark.slow
def test_the_best_of_a_million_offers_is_proven_for_nearly_every_draw():
    """10^6 offers, 64 draws, five costly dimensions: at least 95 % proven, and against all offers for four draws."""
    base, revenue, dimensions, forbidden = market((10,) * 6, np.random.default_rng(7), draws=64, costly=5)
    found = search(base, revenue, dimensions, forbidden, MARGIN)
    assert found.proven.mean() >= 0.95
    few = [replace(dimension, score=dimension.score[:, :4]) for dimension in dimensions]
    value = brute_force(base[:, :4], revenue, few, forbidden, MARGIN)[1]
    np.testing.assert_allclose(found.value[:, :4], value.max(axis=2), rtol=2e-6, atol=2e-6)
