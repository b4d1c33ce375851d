"""Customers' effects learned jointly with the population's: single, in blocks and all at once."""

import numpy as np
import pytest
from scipy.special import expit

from bandit.models import BayesianLogistic
from bandit.models.customer_effects import CustomerEffects
from bandit.models.joint_customers import CustomerOutcomes, JointCustomerEffects
from bandit.models.joint_fit import JointPass, JointRows, fit_jointly
from bandit.models.prior import Prior, WeightGroup
from bandit.policies.thompson.part_fit import tree_sum

OWNER = np.array([0, 1, 1, 1])


def simulated(rng, customers, visits, deviation):
    """Rows of 6 facts, customers with their own deviations on 4 columns: the base and one of three options."""
    who = rng.permutation(np.repeat(np.arange(customers), visits))
    rows = rng.normal(size=(len(who), 6)) * 0.5
    rows[:, 0] = 1.0
    columns = np.zeros((len(who), 4))
    columns[:, 0] = 1.0
    columns[np.arange(len(who)), 1 + rng.integers(3, size=len(who))] = 1.0
    own = rng.normal(size=(customers, 4)) * deviation
    score = rows @ (rng.normal(size=6) * 0.5) - 0.5 + (columns * own[who]).sum(axis=1)
    y = (rng.random(len(who)) < expit(score)).astype(float)
    return rows, columns, np.array([f"c{each}" for each in who], dtype=object), y


def started(deviation=0.5):
    return BayesianLogistic(np.zeros(6), np.full(6, 0.5)), JointCustomerEffects(OWNER, np.full(2, deviation))


def learn(model, effects, rows, columns, names, y, block):
    own = CustomerOutcomes.of(effects, names, columns)
    for start in range(0, len(y), block):
        stop = min(start + block, len(y))
        there, part = own.block(start, stop), slice(start, stop)
        there.learn(*model.update_shared(rows[part], y[part], np.ones(stop - start), there.offset, there.covariance))


def beliefs(effects, customers):
    return effects.means_and_variances(effects.places(np.array(customers, dtype=object)))


def only_narrow(monkeypatch):
    """A wide prior of no share: one normal prior, of which sums can be done by hand."""
    monkeypatch.setattr("bandit.models.joint_customers._WIDE_LOGIT", -np.inf)


def test_one_outcome_is_shared_by_the_variances_by_hand(monkeypatch):
    """Population's variance 1/2, customer's 1/4, both scores 0, bought. The dual a solves a = 1 - sigmoid(3/4 a):
    .4195 (sigmoid(.3146) = .5780; 1 - .5780 = .4220; one more step ends at .4211). The means move by 1/2 and 1/4 of
    it, and with the curvature w = p (1 - p) the variances fall by 1/4 and 1/16 of w / (1 + 3/4 w)."""
    only_narrow(monkeypatch)
    model, effects = (
        BayesianLogistic(np.zeros(1), np.array([0.5])),
        JointCustomerEffects(np.zeros(1, int), np.array([0.5])),
    )
    one = np.ones((1, 1))
    learn(model, effects, one, one, np.array(["c"], dtype=object), np.ones(1), 1)
    (mean,), (variance,) = beliefs(effects, ["c"])
    dual = model.weights.mean[0] / 0.5
    np.testing.assert_allclose(dual, 1.0 - expit(0.75 * dual), atol=1e-9)
    np.testing.assert_allclose(dual, 0.421, atol=2e-3)
    np.testing.assert_allclose(mean[0], 0.25 * dual, rtol=1e-6)
    curvature = dual * (1.0 - dual)
    fallen = curvature / (1.0 + 0.75 * curvature)
    np.testing.assert_allclose(model.weights.covariance[0, 0], 0.5 - 0.25 * fallen, rtol=1e-9)
    np.testing.assert_allclose(variance[0], 0.25 - fallen / 16.0, rtol=1e-6)


def test_one_block_has_the_exact_joint_mode(monkeypatch):
    """The oracle is one logistic regression over the weights and every customer's four effects, as so many columns:
    the population's belief and the customers' means and variances are those of its marginals."""
    only_narrow(monkeypatch)
    rows, columns, names, y = simulated(np.random.default_rng(1), 10, 8, 0.6)
    model, effects = started()
    learn(model, effects, rows, columns, names, y, 80)
    number = {name: place for place, name in enumerate(dict.fromkeys(names))}
    wide = np.zeros((80, 6 + 40))
    wide[:, :6] = rows
    for row, name in enumerate(names):
        wide[row, 6 + 4 * number[name] : 10 + 4 * number[name]] = columns[row]
    oracle = BayesianLogistic(np.zeros(46), np.concatenate([np.full(6, 0.5), np.full(40, 0.25)]))
    oracle.update(wide, y)
    np.testing.assert_allclose(model.weights.mean, oracle.weights.mean[:6], atol=1e-8)
    np.testing.assert_allclose(model.weights.covariance, oracle.weights.covariance[:6, :6], atol=1e-8)
    mean, variance = beliefs(effects, list(number))
    np.testing.assert_allclose(mean.ravel(), oracle.weights.mean[6:], atol=1e-6)
    np.testing.assert_allclose(variance.ravel(), np.diag(oracle.weights.covariance)[6:], atol=1e-6)


@pytest.mark.parametrize("block", [1, 40, 400])
def test_online_learning_is_near_the_joint_fit(block):
    """400 outcomes of 20 customers: every weight within one of the fit's deviations, the customers' means correlate
    by more than .9 with the fit's. The control is the fit of the first half: its customers correlate by less."""
    rows, columns, names, y = simulated(np.random.default_rng(2), 20, 20, 0.6)
    model, effects = started()
    learn(model, effects, rows, columns, names, y, block)
    fitted, whole = fit(rows, columns, names, y)
    deviation = np.sqrt(np.diag(fitted.weights.covariance))
    assert (np.abs(model.weights.mean - fitted.weights.mean) < deviation).all()
    everybody = list(dict.fromkeys(names))
    expected = beliefs(whole, everybody)[0].ravel()
    assert np.corrcoef(beliefs(effects, everybody)[0].ravel(), expected)[0, 1] > 0.9
    half = fit(rows[:200], columns[:200], names[:200], y[:200])[1]
    assert np.corrcoef(beliefs(half, everybody)[0].ravel(), expected)[0, 1] < 0.85


def joint_rows(rows, columns, places, y):
    """Outcomes by customer, as a part of a log gives them."""
    order = np.argsort(places, kind="stable")
    rows, columns, ones = rows[order], columns[order], np.ones(len(y))
    number = np.unique(places[order], return_inverse=True)[1] if (places >= 0).all() else places[order]
    return JointRows(number, y[order], ones, ones, lambda part: rows[part], lambda part: columns[part])


def fit(rows, columns, names, y, parts=1):
    """The joint fit of the customers dealt to some parts, at fixed variances, so that the mode can be compared."""
    model, effects = started()
    prior = Prior([WeightGroup("all", 0.5**0.5, fixed=True)], np.zeros(6, dtype=np.int64), np.zeros(6))
    places = effects.places_for(names)
    effects.take_variances = lambda _: None
    chosen = [np.flatnonzero(places % parts == part) for part in range(parts)]
    dealt = [joint_rows(rows[own], columns[own], places[own], y[own]) for own in chosen]

    def sums(here):
        return tree_sum(here.sums(own) for own in dealt)

    fit_jointly(model.weights, sums, prior, effects, rounds=30, tolerance=1e-9)
    here = JointPass(model.weights.mean, model.weights.covariance, effects.without_customers(), own=True, apart=False)
    for own, outcomes in zip(chosen, dealt, strict=True):
        found = here.factors(outcomes)
        effects.set_factors(np.unique(places[own]), found.natural, found.precision)
    return model, effects


@pytest.mark.parametrize("parts", [1, 3])
def test_the_fit_ends_at_the_joint_mode_whatever_the_parts_are(monkeypatch, parts):
    """The same oracle as of one block: mode and curvature are exact."""
    only_narrow(monkeypatch)
    rows, columns, names, y = simulated(np.random.default_rng(1), 10, 8, 0.6)
    block, of_block = started()
    learn(block, of_block, rows, columns, names, y, 80)
    model, effects = fit(rows, columns, names, y, parts)
    np.testing.assert_allclose(model.weights.mean, block.weights.mean, atol=1e-6)
    everybody = list(dict.fromkeys(names))
    np.testing.assert_allclose(beliefs(effects, everybody)[0], beliefs(of_block, everybody)[0], atol=1e-5)
    np.testing.assert_allclose(model.weights.covariance, block.weights.covariance, atol=1e-6)


@pytest.mark.parametrize("visits", [1, 2, 3, 4, 6])
def test_the_fit_is_at_the_joint_mode_whether_customers_have_fewer_outcomes_than_columns_or_more(monkeypatch, visits):
    """Four columns: customers of up to three outcomes are solved in the space of the outcomes, others in that of the
    columns. The means are those of one block, which is exact. The variances agree within .01 (the prior's is .25): the
    fit counts the population's uncertainty as independent noise. The control is the fit of the opposite responses."""
    only_narrow(monkeypatch)
    rows, columns, names, y = simulated(np.random.default_rng(7), 60 // visits, visits, 0.6)
    block, of_block = started()
    learn(block, of_block, rows, columns, names, y, 60)
    everybody = list(dict.fromkeys(names))
    expected_mean, expected_variance = beliefs(of_block, everybody)
    model, effects = fit(rows, columns, names, y)
    np.testing.assert_allclose(model.weights.mean, block.weights.mean, atol=1e-6)
    np.testing.assert_allclose(model.weights.covariance, block.weights.covariance, atol=1e-6)
    np.testing.assert_allclose(beliefs(effects, everybody)[0], expected_mean, atol=1e-5)
    np.testing.assert_allclose(beliefs(effects, everybody)[1], expected_variance, atol=0.01)
    other = fit(rows, columns, names, 1.0 - y)[1]
    assert np.abs(beliefs(other, everybody)[0] - expected_mean).max() > 0.01


def test_outcomes_without_a_customer_are_fitted_like_any_other_regression():
    rows, columns, _, y = simulated(np.random.default_rng(3), 10, 20, 0.0)
    plain, effects = started()
    plain.update(rows, y, block=200)
    prior = Prior([WeightGroup("all", 0.5**0.5, fixed=True)], np.zeros(6, dtype=np.int64), np.zeros(6))
    model = started()[0]
    nobody = np.full(200, -1, dtype=np.int64)
    outcomes = joint_rows(rows, columns, nobody, y)
    fit_jointly(model.weights, lambda here: here.sums(outcomes), prior, effects, rounds=20)
    np.testing.assert_allclose(model.weights.mean, plain.weights.mean, atol=1e-4)


def test_who_differs_where_nobody_else_does_is_recognised():
    """The estimated deviation of the options has shrunk to .05; one customer always takes option 1 and never another.
    After 30 visits the wide prior has taken over: the difference of the effects is above 1 logit, where one normal
    prior (the control) leaves it below .1."""
    names = np.full(30, "odd", dtype=object)
    columns = np.tile(np.array([[1.0, 1, 0, 0], [1, 0, 1, 0], [1, 0, 0, 1]]), (10, 1))
    y = columns[:, 1]
    found = []
    for make in (JointCustomerEffects, CustomerEffects):
        effects = make(OWNER, np.full(2, 0.25))
        effects.variances = np.array([0.0025, 0.0025])
        if isinstance(effects, JointCustomerEffects):
            learn(BayesianLogistic(np.zeros(6), np.full(6, 0.01)), effects, np.zeros((30, 6)), columns, names, y, 1)
        else:
            effects.learn(names, columns, np.zeros(30), y, np.ones(30))
        mean = beliefs(effects, ["odd"])[0][0]
        found.append(mean[1] - mean[2:].mean())
    assert found[0] > 1.0
    assert found[1] < 0.1


def test_a_customer_like_the_others_keeps_the_narrow_prior():
    """One in three of the options answered alike: the variance stays within a tenth of what 30 outcomes leave of the
    narrow prior's and the wide prior's first share."""
    effects = started()[1]
    effects.variances = np.array([0.0025, 0.0025])
    columns = np.tile(np.array([[1.0, 1, 0, 0], [1, 0, 1, 0], [1, 0, 0, 1]]), (10, 1))
    y = np.repeat([1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0], 3)
    before = beliefs(effects, ["stranger"])[1][0]
    names = np.full(30, "alike", dtype=object)
    learn(BayesianLogistic(np.zeros(6), np.full(6, 0.01)), effects, np.zeros((30, 6)), columns, names, y, 1)
    mean, variance = beliefs(effects, ["alike"])
    assert np.abs(mean).max() < 0.1
    assert (variance[0] < before).all()


def test_the_variances_are_found_by_dimension():
    """200 customers x 40 visits: the base's grows from .25 towards the true .6, the options' falls towards 0."""
    rows, columns, names, _ = simulated(np.random.default_rng(4), 200, 40, 0.0)
    rng = np.random.default_rng(5)
    who = np.unique(names, return_inverse=True)[1]
    score = -0.5 + 0.6 * rng.normal(size=200)[who]
    y = (rng.random(len(who)) < expit(score)).astype(float)
    model, effects = started(0.25)
    for start in range(0, len(y), 500):
        part = slice(start, start + 500)
        learn(model, effects, rows[part], columns[part], names[part], y[part], 500)
        effects.estimate()
    base, options = np.sqrt(effects.variances)
    assert 0.35 < base < 0.75
    assert options < 0.23
    assert options < 0.5 * base


def test_a_corrected_response_moves_both_parts_towards_the_right_one():
    """To first order what learning the right response would have given: at most a third of the error is left."""
    rows, columns, names, y = simulated(np.random.default_rng(6), 20, 20, 0.6)
    wrong = y.copy()
    wrong[::20] = 1.0 - y[::20]
    right, own_right = started()
    learn(right, own_right, rows, columns, names, y, 40)
    model, effects = started()
    learn(model, effects, rows, columns, names, wrong, 40)
    everybody = list(dict.fromkeys(names))

    def off():
        population = np.abs(model.weights.mean - right.weights.mean).mean()
        return population, np.abs(beliefs(effects, everybody)[0] - beliefs(own_right, everybody)[0]).mean()

    before = off()
    changed = np.flatnonzero(wrong != y)
    score = rows @ model.weights.mean + effects.offset(names, columns)
    curvature = (expit(score) * expit(-score))[changed]
    variance = ((rows @ model.weights.covariance) * rows).sum(axis=1)[changed]
    share, own_share = effects.shares(names[changed], columns[changed], curvature, variance)
    change = (y - wrong)[changed]
    model.restate(rows[changed], share * change)
    effects.restate(names[changed], columns[changed] * own_share, change)
    after = off()
    assert after[0] < before[0] / 3
    assert after[1] < before[1] / 3


def test_a_restored_state_goes_on_with_the_same_bits():
    rows, columns, names, y = simulated(np.random.default_rng(7), 20, 10, 0.4)
    model, effects = started()
    learn(model, effects, rows[:100], columns[:100], names[:100], y[:100], 20)
    other = started()[1]
    other.restore(effects.state())
    twin = BayesianLogistic(np.zeros(6), np.full(6, 0.5))
    twin.weights.assign(model.weights.mean.copy(), model.weights.covariance.copy())
    for each, own in ((model, effects), (twin, other)):
        learn(each, own, rows[100:], columns[100:], names[100:], y[100:], 20)
    assert np.array_equal(model.weights.mean, twin.weights.mean)
    for part, array in effects.state().items():
        assert np.array_equal(array, other.state()[part]), part
