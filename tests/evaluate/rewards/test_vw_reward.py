"""The reward model of Vowpal Wabbit."""

import dataclasses

import numpy as np
from scipy.special import expit

from bandit.domain import LoggedBatch
from bandit.encoding.encoder import Encoder
from bandit.encoding.scales import fit_scales
from bandit.evaluate.rewards.vw import VwReward
from tests.conftest import draw_outcomes
from tests.policies.tools import catalogue_for


def logged(catalogue, n, seed):
    seen = draw_outcomes(catalogue, n, np.random.default_rng(seed))
    columns = (seen.contexts, seen.offer, seen.eligible, seen.propensity, seen.converted, seen.revenue, seen.reward)
    return LoggedBatch(*columns, np.arange(n))


def test_it_is_the_objective_of_the_chance_and_the_mean_basket(catalogue):
    """Profit of an offer = p x (basket x (0.35 - rate) - redemption) - contact; 0 before anything is learned."""
    batch = logged(catalogue, 800, 22)
    model = VwReward(Encoder(catalogue, fit_scales(catalogue, batch.contexts)))
    assert not model.predict(batch.contexts).any()
    model.learn(batch.take(slice(0, 300)))
    model.learn(batch.take(slice(300, 800)))
    model.learn(batch.take(slice(0, 0)))
    chance = expit(model._regression.scores(model.encoder.context_matrix(batch.contexts)))
    basket, money = batch.revenue[batch.converted].mean(), catalogue.money
    by_hand = chance * (basket * (0.35 - money.rate) - money.redemption_cost) - money.contact_cost
    np.testing.assert_allclose(model.predict(batch.contexts), by_hand)


def test_rewards_are_learned_in_their_own_unit():
    """Rewards of 1,000, and 1,100 for offer 0: that is what it says of offer 0, within 15, and of no other offer;
    the mean of all rewards, which is the control, is off by more there."""
    catalogue = catalogue_for("reward")
    batch = logged(catalogue, 20_000, 23)
    batch = dataclasses.replace(batch, reward=1_000.0 + 100.0 * (batch.offer == 0))
    model = VwReward(Encoder(catalogue, fit_scales(catalogue, batch.contexts)))
    model.learn(batch)
    said = model.predict(batch.contexts.take(slice(0, 200))).mean(axis=0)
    assert abs(said[0] - 1_100.0) < 15.0 < abs(batch.reward.mean() - 1_100.0)
    assert (said[1:] < 1_050.0).all()
