"""What Thompson sampling promises beyond the contract of every policy: how it explores."""

import numpy as np
import pytest

import bandit
from bandit.errors import PolicyError
from bandit.policies.probabilities import uniform_over
from tests.conftest import SPRING, amended, draw_contexts, draw_outcomes
from tests.policies.tools import OBJECTIVES, catalogue_for, outcomes_of, probabilities, world


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_floor_is_under_every_eligible_offer(objective):
    catalogue = catalogue_for(objective)
    policy = bandit.ThompsonSampling(catalogue, floor=0.2)
    policy.update(draw_outcomes(catalogue, 600, np.random.default_rng(1)))
    contexts = draw_contexts(catalogue, 50, np.random.default_rng(2))
    eligible = catalogue.eligible(contexts)
    chosen = probabilities(policy, contexts, eligible)
    least = 0.2 / eligible.sum(axis=1, keepdims=True)
    assert (chosen >= least - 1e-12)[eligible].all()


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_it_finds_what_earns_most(objective):
    """Response is .1 + .1 x discount step: without costs that matter the deepest discount wins; with profit at
    margin .35 the expected profits are .1 x .35, .2 x .25, .3 x .15 of a basket: 10 % wins."""
    catalogue = catalogue_for(objective)
    policy = bandit.ThompsonSampling(catalogue)
    policy.update(draw_outcomes(catalogue, 6000, np.random.default_rng(3)))
    contexts = draw_contexts(catalogue, 300, np.random.default_rng(4))
    chosen = probabilities(policy, contexts, catalogue.eligible(contexts)).mean(axis=0)
    share = np.bincount(catalogue.options[:, 0], weights=chosen)
    # The raw reward of the contract's outcomes is the revenue less nothing: the deepest discount again.
    assert share.argmax() == (1 if objective == "profit" else 2)


def test_shares_of_wins_are_the_probability_to_win(catalogue):
    """One vector of 20,000 draws against the mean of the sixteen sets of 1,250: equal within 5 standard errors."""
    many, few = (bandit.ThompsonSampling(catalogue, draws=draws, floor=0.0) for draws in (20_000, 1_250))
    outcomes = draw_outcomes(catalogue, 500, np.random.default_rng(5))
    for policy in (many, few):
        policy.update(outcomes)
    context = draw_contexts(catalogue, 1, np.random.default_rng(6), missing=0.0)
    eligible = catalogue.eligible(context)
    one = probabilities(many, context, eligible)
    block = {int(np.random.default_rng(seed).integers(16)): seed for seed in range(200)}
    assert len(block) == 16
    mean = np.mean([probabilities(few, context, eligible, seed) for seed in block.values()], axis=0)
    error = np.sqrt(2 * np.maximum(one * (1 - one), 1e-4) / 20_000)
    assert (np.abs(one - mean) < 5 * error).all()


def test_another_state_of_the_generator_gives_other_probabilities(catalogue):
    policy = bandit.ThompsonSampling(catalogue)
    context = draw_contexts(catalogue, 1, np.random.default_rng(7))
    eligible = catalogue.eligible(context)
    assert len(np.unique([probabilities(policy, context, eligible, seed) for seed in range(40)], axis=0)) > 1


def test_an_update_renews_the_draws_and_a_reloaded_copy_has_the_same(catalogue):
    policy, copy = (bandit.ThompsonSampling(catalogue, width=1.0) for _ in range(2))
    outcomes = draw_outcomes(catalogue, 600, np.random.default_rng(23))
    contexts = draw_contexts(catalogue, 20, np.random.default_rng(24))
    eligible = catalogue.eligible(contexts)
    policy.update(outcomes)
    before = probabilities(policy, contexts, eligible)
    copy.loads(policy.dumps())
    assert np.array_equal(probabilities(copy, contexts, eligible), before)
    policy.update(draw_outcomes(catalogue, 1, np.random.default_rng(25)))
    assert (probabilities(policy, contexts, eligible) != before).any()


def test_width_0_chooses_the_best_offer_at_the_mean(catalogue):
    policy = bandit.ThompsonSampling(catalogue, width=0.0, floor=0.0)
    policy.update(draw_outcomes(catalogue, 900, np.random.default_rng(8)))
    contexts = draw_contexts(catalogue, 40, np.random.default_rng(9))
    eligible = catalogue.eligible(contexts)
    best = np.where(eligible, policy.predict(contexts), -np.inf).argmax(axis=1)
    chosen = probabilities(policy, contexts, eligible)
    assert (chosen[np.arange(40), best] == 1.0).all()


def test_before_anything_is_known_every_option_is_tried(catalogue):
    """Beyond the floor, which gives each option 1 % x its share of the eligible offers: the deepest discount leaves
    less than half of the margin, and still it wins some draws."""
    contexts = draw_contexts(catalogue, 200, np.random.default_rng(16))
    policy, eligible = bandit.ThompsonSampling(catalogue), catalogue.eligible(contexts)
    chosen = np.mean([probabilities(policy, contexts, eligible, seed) for seed in range(50)], axis=0)
    for place, dimension in enumerate(catalogue.dimensions):
        shares, floor = (
            np.bincount(catalogue.options[:, place], weights=each.mean(axis=0))
            for each in (chosen, 0.01 * uniform_over(eligible))
        )
        assert (shares > 1.5 * floor).all(), dimension.name


@pytest.mark.parametrize("settings", [{"draws": 0}, {"width": -1.0}, {"width": np.inf}, {"floor": 1.5}])
def test_invalid_settings_are_refused(catalogue, settings):
    with pytest.raises(PolicyError):
        bandit.ThompsonSampling(catalogue, **settings)


def test_a_state_of_other_offers_is_refused(catalogue, spring):
    spring["dimensions"][0]["options"].append({"name": "30", "rate": 0.3})
    other = bandit.ThompsonSampling(bandit.Catalogue.from_dict(spring))
    with pytest.raises(PolicyError, match="weights"):
        bandit.ThompsonSampling(catalogue).loads(other.dumps())


def test_a_large_batch_on_all_cores_is_the_same_as_in_pieces(monkeypatch):
    catalogue = bandit.Catalogue.from_dict(SPRING)
    policy = bandit.ThompsonSampling(catalogue)
    contexts = outcomes_of(catalogue, world, 700, np.random.default_rng(11)).contexts
    eligible = catalogue.eligible(contexts)
    whole = policy.probabilities(contexts, eligible, np.random.default_rng(12))
    monkeypatch.setattr("bandit.policies.thompson.policy.SCORE_CELLS", 10_000)
    assert np.array_equal(policy.probabilities(contexts, eligible, np.random.default_rng(12)), whole)


def test_draws_permute_with_the_offers_in_the_mean():
    """The same market with dimensions and options turned round, learned alike, gives each offer the same probability
    within 5 standard errors (sixteen sets of 1,000 draws)."""
    turned = {
        **SPRING,
        "dimensions": [{**d, "options": d["options"][::-1]} for d in SPRING["dimensions"]][::-1],
    }
    one, other = bandit.Catalogue.from_dict(SPRING), bandit.Catalogue.from_dict(turned)
    place = other.offer_indices(one.offers(np.arange(one.n_offers)))
    outcomes = draw_outcomes(one, 800, np.random.default_rng(9))
    order = np.argsort(place)
    moved = amended(outcomes, offer=place[outcomes.offer], eligible=outcomes.eligible[:, order])
    policies = bandit.ThompsonSampling(one, draws=1_000), bandit.ThompsonSampling(other, draws=1_000)
    for policy, seen in zip(policies, (outcomes, moved), strict=True):
        policy.update(seen)
    contexts = draw_contexts(one, 3, np.random.default_rng(10))
    eligible = one.eligible(contexts)
    sets = [
        {each.tobytes(): each for seed in range(200) for each in [probabilities(policy, contexts, seen, seed)]}
        for policy, seen in zip(policies, (eligible, eligible[:, order]), strict=True)
    ]
    assert [len(found) for found in sets] == [16, 16]
    a, b = (np.mean(list(found.values()), axis=0) for found in sets)
    error = np.sqrt(2 * np.maximum(a * (1 - a), 1e-3) / 16_000)
    assert (np.abs(a - b[:, place]) < 5 * error).all()
