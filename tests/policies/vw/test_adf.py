import numpy as np

import bandit
from tests.conftest import draw_contexts, draw_outcomes
from tests.policies.tools import catalogue_for, probabilities


def test_it_finds_what_earns_most():
    catalogue = catalogue_for("conversion")
    policy = bandit.VowpalWabbit(catalogue)
    policy.update(draw_outcomes(catalogue, 4000, np.random.default_rng(3)))
    contexts = draw_contexts(catalogue, 200, np.random.default_rng(4))
    chosen = probabilities(policy, contexts, catalogue.eligible(contexts)).mean(axis=0)
    assert np.bincount(catalogue.options[:, 0], weights=chosen).argmax() == 2


def test_probabilities_are_above_0_even_under_bags(catalogue):
    policy = bandit.VowpalWabbit(catalogue, args="--bag 3 -q ca")
    policy.update(draw_outcomes(catalogue, 50, np.random.default_rng(4)))
    contexts = draw_contexts(catalogue, 20, np.random.default_rng(5))
    eligible = catalogue.eligible(contexts)
    assert (probabilities(policy, contexts, eligible)[eligible] >= 0.01 / 10 - 1e-12).all()
