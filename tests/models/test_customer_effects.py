import numpy as np
import pytest
from scipy.special import expit

from bandit.models.customer_effects import CustomerEffects


def simulated(rng, customers, visits, deviation):
    """Customers with their own deviations on 4 columns, of which each offer has the base and one more."""
    own = rng.normal(size=(customers, 4)) * deviation
    who = rng.permutation(np.repeat(np.arange(customers), visits))
    columns = np.zeros((len(who), 4))
    columns[:, 0] = 1.0
    columns[np.arange(len(who)), 1 + rng.integers(3, size=len(who))] = 1.0
    score = np.full(len(who), -1.0)
    y = (rng.random(len(who)) < expit(score + (columns * own[who]).sum(axis=1))).astype(float)
    names = np.array([f"c{each}" for each in who], dtype=object)
    return own, who, names, columns, score, y


def test_one_outcome_of_one_customer_by_hand():
    """Variance 1/4 on one column, score 0, bought: p = 1/2, w = 1/4; the mean moves by
    (1/4)(1/2) / (1 + 1/16) = 2/17, and the precision from 4 to 4 + 1/4."""
    effects = CustomerEffects(np.zeros(1, dtype=np.int64), np.array([0.5]))
    one = np.ones(1)
    effects.learn(np.array(["c"], dtype=object), np.ones((1, 1)), np.zeros(1), one, one)
    mean, variance = effects.means_and_variances(effects.places(np.array(["c", "stranger"], dtype=object)))
    np.testing.assert_allclose(mean[:, 0], [2 / 17, 0.0], atol=1e-6)
    np.testing.assert_allclose(1.0 / variance[:, 0], [4.25, 4.0], rtol=1e-6)


@pytest.mark.parametrize("visits", [1, 5, 50])
def test_history_never_predicts_worse_than_no_history(visits):
    """Mean squared error of each customer's own deviation, against 0 (what leaving it out says)."""
    rng = np.random.default_rng(19)
    own, _, names, columns, score, y = simulated(rng, 4000 // visits, visits, 0.4)
    effects = CustomerEffects(np.array([0, 1, 1, 1]), np.array([0.25, 0.25]))
    for start in range(0, len(y), 500):
        part = slice(start, start + 500)
        effects.learn(names[part], columns[part], score[part], y[part], np.ones(len(y[part])))
        effects.estimate()
    everybody = np.array([f"c{each}" for each in range(len(own))], dtype=object)
    mean, _ = effects.means_and_variances(effects.places(everybody))
    assert ((mean - own) ** 2).mean() < (own**2).mean()


def test_how_much_customers_differ_is_found_in_their_histories():
    """All start from 0.25: where nobody differs it shrinks, where customers differ by 0.4 it grows."""
    found = []
    for deviation in (0.0, 0.4):
        _, _, names, columns, score, y = simulated(np.random.default_rng(20), 200, 40, deviation)
        effects = CustomerEffects(np.array([0, 1, 1, 1]), np.array([0.25, 0.25]))
        for start in range(0, len(y), 500):
            part = slice(start, start + 500)
            effects.learn(names[part], columns[part], score[part], y[part], np.ones(len(y[part])))
            effects.estimate()
        found.append(np.sqrt(effects.variances))
    assert (found[0] < 0.23).all()
    assert (found[1] > 0.30).all()


def test_a_customer_twice_in_a_batch_is_learned_in_turn():
    rng = np.random.default_rng(21)
    _, _, names, columns, score, y = simulated(rng, 7, 6, 0.4)
    whole, parts = (CustomerEffects(np.array([0, 1, 1, 1]), np.array([0.3, 0.3])) for _ in range(2))
    ones = np.ones(len(y))
    whole.learn(names, columns, score, y, ones)
    for row in range(len(y)):
        part = slice(row, row + 1)
        parts.learn(names[part], columns[part], score[part], y[part], ones[part])
    everybody = np.array([f"c{each}" for each in range(7)], dtype=object)
    for one, other in zip(*(each.means_and_variances(each.places(everybody)) for each in (whole, parts)), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_a_restored_state_has_the_same_effects():
    rng = np.random.default_rng(22)
    _, _, names, columns, score, y = simulated(rng, 20, 3, 0.4)
    effects, other = (CustomerEffects(np.array([0, 1, 1, 1]), np.array([0.3, 0.3])) for _ in range(2))
    effects.learn(names, columns, score, y, np.ones(len(y)))
    other.restore(effects.state())
    for one, same in zip(*(each.means_and_variances(each.places(names)) for each in (effects, other)), strict=True):
        assert np.array_equal(one, same)
