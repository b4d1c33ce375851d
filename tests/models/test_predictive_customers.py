"""Variances of customers' effects, judged by what the effects predict."""

import numpy as np
import pytest
from scipy.special import expit

from bandit.models import BayesianLogistic
from bandit.models.joint_customers import CustomerOutcomes, JointCustomerEffects
from bandit.models.predictive_customers import LOG_DEVIATION, PredictiveCustomerEffects

OWNER = np.array([0, 1, 1, 2, 2])
"""The base, and two dimensions of two options each."""


def learn(model, effects, rows, columns, names, y, block):
    own = CustomerOutcomes.of(effects, names, columns)
    for start in range(0, len(y), block):
        stop = min(start + block, len(y))
        there, part = own.block(start, stop), slice(start, stop)
        chance = expit(rows[part] @ model.weights.mean + there.offset)
        there.judge(y[part] - chance, chance * (1.0 - chance))
        there.learn(*model.update_shared(rows[part], y[part], np.ones(stop - start), there.offset, there.covariance))


def simulated(rng, deviation, customers=300, visits=40, same=0.9):
    """Customers with own deviations of the base and the options; each nearly always gets one combination of options."""
    own = rng.normal(size=(customers, 5)) * np.asarray(deviation)[OWNER]
    who = rng.permutation(np.repeat(np.arange(customers), visits))
    usual = rng.integers(2, size=(customers, 2))
    shown = np.where(rng.random((len(who), 1)) < same, usual[who], rng.integers(2, size=(len(who), 2)))
    columns = np.zeros((len(who), 5))
    columns[:, 0] = 1.0
    for place in (0, 1):
        columns[np.arange(len(who)), 1 + 2 * place + shown[:, place]] = 1.0
    score = (columns * own[who]).sum(axis=1)
    y = (rng.random(len(who)) < expit(score)).astype(float)
    return columns, np.array([f"c{each}" for each in who], dtype=object), y


def estimated(make, deviation, seed, given=0.25):
    columns, names, y = simulated(np.random.default_rng(seed), deviation)
    rows = np.eye(5)[0] * np.ones((len(y), 1))
    model, effects = BayesianLogistic(np.zeros(5), np.full(5, 0.1)), make(OWNER, np.full(3, given))
    for start in range(0, len(y), 500):
        part = slice(start, start + 500)
        learn(model, effects, rows[part], columns[part], names[part], y[part], 100)
        effects.estimate()
    return np.sqrt(effects.variances)


def test_one_judged_outcome_moves_the_variance_by_hand():
    """The variance is 1/4; a customer's history has natural mean 2 and precision 4: mean 2 / (4 + 4) = 1/4 and variance
    1/8, half of the prior's, so that x = 1/4 x 1/2 = 1/8. A residual of 1/2 at the curvature 1/4 has the gradient 1/16
    and the information 1/256: log v moves by (1/16) / (1 + 1/256) = .0623."""
    effects = PredictiveCustomerEffects(np.zeros(1, dtype=np.int64), np.array([0.5]))
    one = np.ones((1, 1))
    effects.judge(one, 0.25 * one, 0.125 * one, np.array([0.5]), np.array([0.25]))
    effects.estimate()
    expected = (1 / 16) / (LOG_DEVIATION**-2 + 1 / 256)
    np.testing.assert_allclose(np.log(effects.variances / 0.25), expected, rtol=1e-12)
    effects.estimate()  # nothing was judged since
    np.testing.assert_allclose(np.log(effects.variances / 0.25), expected, rtol=1e-12)


def test_the_derivative_is_that_of_the_prediction():
    """The mean of a customer under the variances times e^h, less that at e^-h, over 2 h, is what `judge` takes as x."""
    effects = PredictiveCustomerEffects(OWNER, np.array([0.3, 0.5, 0.2]))
    place = effects.places_for(np.array(["c"], dtype=object))
    natural, precision = np.array([[1.0, 2, -1, 0.5, 0]]), np.array([[5.0, 3, 2, 4, 0]])
    effects.set_factors(place, natural, precision)
    column, step = np.array([[1.0, 1, 0, 0, 1]]), 1e-4

    def mean(factor):
        variance = effects.variances[OWNER] * factor[OWNER]
        return (column * natural / (1.0 / variance + precision)).sum()

    variance = 1.0 / (1.0 / effects.variances[OWNER] + precision)
    found = effects._longer(column, natural * variance, variance)[0]
    for dimension in range(3):
        up, down = np.ones(3), np.ones(3)
        up[dimension], down[dimension] = np.exp(step), np.exp(-step)
        np.testing.assert_allclose(found[dimension], (mean(up) - mean(down)) / (2 * step), atol=1e-6)


@pytest.mark.parametrize("seed", [1, 2])
def test_customers_who_differ_are_found_where_their_offers_hardly_change(seed):
    """300 customers x 40 visits, nine in ten of the same offer; true deviations .3, .8 and .1 where .25 is given. The
    options of the second dimension are found to differ most, by .5 at least. The control takes the variances from the
    effects themselves: it finds them smaller."""
    found = estimated(PredictiveCustomerEffects, (0.3, 0.8, 0.1), seed)
    control = estimated(JointCustomerEffects, (0.3, 0.8, 0.1), seed)
    assert found.argmax() == 1
    assert found[1] > 0.5
    assert found[1] > control[1] + 0.05
    assert found[2] < found[1] / 2


def test_the_variances_fall_where_all_are_alike():
    """Nobody differs: every deviation ends below the .5 that was given, the base's and the options' of the most seen
    below half of it."""
    found = estimated(PredictiveCustomerEffects, (0.0, 0.0, 0.0), 3, given=0.5)
    assert (found < 0.25).all()


def test_a_corrected_response_is_judged_anew():
    """An outcome judged as 0 and corrected to 1 leaves the gradient of one judged as 1, where no mean moved between."""
    effects, right = (PredictiveCustomerEffects(OWNER, np.full(3, 0.5)) for _ in range(2))
    columns = np.array([[1.0, 1, 0, 0, 1]])
    for each, y in ((effects, 0.0), (right, 1.0)):
        place = each.places_for(np.array(["c"], dtype=object))
        each.set_factors(place, np.array([[1.0, 1, 0, 0, 1]]), np.ones((1, 5)))
        mean, variance = each.means_and_variances(place)
        each.judge(columns, mean, variance, np.array([y - 0.6]), np.array([0.24]))
    effects.correct_judgement(place, columns, np.array([1.0]))
    np.testing.assert_allclose(effects.state()["gradient"], right.state()["gradient"], rtol=1e-12)


def test_a_restored_state_goes_on_with_the_same_bits_and_one_without_judgement_begins_anew():
    columns, names, y = simulated(np.random.default_rng(4), (0.5, 0.5, 0.5), 20, 10)
    rows = np.ones((len(y), 1))
    model, effects = (
        BayesianLogistic(np.zeros(1), np.ones(1)),
        PredictiveCustomerEffects(OWNER, np.full(3, 0.25)),
    )
    learn(model, effects, rows, columns, names, y, 20)
    state = effects.state()
    other, anew = (PredictiveCustomerEffects(OWNER, np.full(3, 0.25)) for _ in range(2))
    other.restore(state)
    effects.estimate()
    other.estimate()
    for part, array in effects.state().items():
        assert np.array_equal(array, other.state()[part]), part
    anew.restore({name: array for name, array in state.items() if name not in {"gradient", "information"}})
    assert not anew.state()["gradient"].any()
    with pytest.raises(ValueError, match="of other offers"):
        anew.restore({**state, "gradient": np.zeros(2)})
    with pytest.raises(ValueError, match="not finite"):
        anew.restore({**state, "gradient": np.full(3, np.nan)})


def test_what_was_judged_is_forgotten_at_the_half_life():
    """Half of the information beyond the prior's is left."""
    effects = PredictiveCustomerEffects(np.zeros(1, dtype=np.int64), np.array([0.5]))
    one = np.ones((1, 1))
    effects.judge(one, 8.0 * one, 0.25 * one, np.array([0.5]), np.array([0.25]))
    before = effects.state()["information"].copy()
    effects.decay(0.5)
    np.testing.assert_allclose(effects.state()["information"] - 1.0, 0.5 * (before - 1.0))
