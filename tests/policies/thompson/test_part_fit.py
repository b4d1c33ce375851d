"""A batch fit over a log in parts: the Newton passes add up, and the belief is that of the whole log."""

import numpy as np
import pytest

from bandit import ThompsonSampling
from bandit.analysis.warm_start import warm_start
from bandit.catalogue import Catalogue
from bandit.domain import LoggedBatch
from bandit.models.newton_sums import NewtonSums
from tests.evaluate.memory_log import MemoryLog
from tests.evaluate.partitioned_log import PicklingRunner, in_parts

CATALOGUE = Catalogue.from_dict(
    {
        "name": "funnel",
        "objective": {"kind": "conversion", "stages": ["click"]},
        "context": {"kind": {"type": "categorical", "values": ["a", "b"]}, "age": {"type": "numeric"}},
        "dimensions": [
            {"name": "discount", "options": [{"name": "0"}, {"name": "10"}, {"name": "20"}]},
            {"name": "channel", "options": [{"name": "mail"}, {"name": "sms"}]},
        ],
    }
)
FAST = ["crosses", "shapes", "funnel"]


def made_log(seed, n=4_000, customers=800):
    """A log in which discounts work for one kind of customer, with a click before each purchase."""
    rng = np.random.default_rng(seed)
    kind = np.array(["a", "b"], dtype=object)[rng.integers(0, 2, n)]
    keys = np.array([f"c{number}" for number in rng.integers(0, customers, n)], dtype=object)
    contexts = CATALOGUE.contexts({"kind": kind, "age": rng.lognormal(0.0, 1.0, n)}, keys)
    offer = rng.integers(0, CATALOGUE.n_offers, n)
    chance = 1.0 / (1.0 + np.exp(1.0 - 0.6 * CATALOGUE.options[offer, 0] * (kind == "a")))
    click = rng.random(n) < np.sqrt(chance)
    bought = click & (rng.random(n) < np.sqrt(chance))
    reward, share = bought.astype(float), np.full(n, 1.0 / CATALOGUE.n_offers)
    eligible = CATALOGUE.eligible(contexts)
    times = np.sort(rng.integers(0, 3_600 * 10**6, n))
    return MemoryLog(
        LoggedBatch(contexts, offer, eligible, share, bought, reward, reward, times, stages=click[:, None]), CATALOGUE
    )


def fitted(log, runner=None, **settings):
    policy = ThompsonSampling(CATALOGUE, **settings)
    policy.fit(log, runner=runner)
    return policy


def apart(one, other):
    """The largest difference of two policies: of weights in their deviations, and of customers' effects.

    Infinite for other crosses or customers.
    """
    worst = 0.0
    for name, model in one.online.belief.models().items():
        mine, theirs = model.model.weights, other.online.belief.models()[name].model.weights
        if len(mine.mean) != len(theirs.mean):
            return np.inf
        worst = max(worst, float(np.abs((mine.mean - theirs.mean) / np.sqrt(np.diag(mine.covariance))).max()))
        worst = max(worst, float(np.abs(model.noise - other.online.belief.models()[name].noise)))
    effects, others = one.online.belief.customer_effects, other.online.belief.customer_effects
    if effects is None or others is None:
        return worst
    if list(effects.memory.places) != list(others.memory.places):
        return np.inf
    worst = max(worst, float(np.abs(effects.variances / others.variances - 1.0).max()))
    places = np.arange(len(effects))
    # They are stored in single precision, of which rounding may change the last digit.
    return max(worst, 1e-6 * float(np.abs(effects.means(places) - others.means(places)).max()))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"methods": FAST, "personal": False},
        {"methods": [*FAST, "joint"]},
        {"half_life": "30d", "personal": False},
    ],
)
def test_one_part_seven_parts_and_the_whole_log_give_the_same_belief(settings):
    """To 1e-12: weights, their noise, customers' variances, and the order in which the customers came."""
    log, rng = made_log(1), np.random.default_rng(2)
    whole = fitted(log, **settings)
    assert apart(whole, fitted(in_parts(log, 1, rng), **settings)) <= 1e-12
    assert apart(whole, fitted(in_parts(log, 7, rng), PicklingRunner(), **settings)) <= 1e-12
    assert apart(whole, fitted(made_log(3), **settings)) > 0.01  # another log


def test_a_warm_start_on_parts_predicts_the_same_best_offers():
    log = made_log(1, n=1_500, customers=300)
    whole = warm_start(log, ThompsonSampling(CATALOGUE))
    parts = warm_start(in_parts(log, 5, np.random.default_rng(2)), ThompsonSampling(CATALOGUE), None, PicklingRunner())
    assert (whole.n, whole.conversions) == (parts.n, parts.conversions)
    assert [(each.offer, each.n) for each in whole.best_offers] == [(each.offer, each.n) for each in parts.best_offers]
    assert [each.predicted for each in whole.best_offers] == pytest.approx(
        [each.predicted for each in parts.best_offers], rel=1e-12
    )


def test_the_sums_of_parts_are_those_of_all_rows():
    """Two rows of one column, 1 and 2, at weight 0: p = 1/2, so curvature 1/4 + 4/4 and gradient 1/2 - 2/2."""
    first = (np.array([[1.0]]), np.array([1.0]), np.array([1.0]))
    second = (np.array([[2.0]]), np.array([0.0]), np.array([1.0]))
    both = NewtonSums.of([first], np.zeros(1)) + NewtonSums.of([second], np.zeros(1))
    assert both.curvature.tolist() == [[1.25]]
    assert both.gradient.tolist() == [-0.5]
