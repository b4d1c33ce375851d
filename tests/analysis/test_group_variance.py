"""Variances between and within customers: by hand, from simulated customers, and from a stored log against lift."""

import numpy as np
import pytest

import bandit
from bandit.analysis.group_timing import clustered_variance
from bandit.analysis.group_variance import group_reward, measure_groups
from bandit.errors import InputError
from bandit.store import Store, Where
from tests.evaluate.test_lift_log import DAY, NOW, catalogue_with, compare, write

WHERE = Where(settled_before=NOW - 7 * DAY)


def test_two_customers_by_hand():
    """0, 2 and 4, 6 with mean 3: B = 2 (4 + 4) / 1 = 16, W = (1 + 1 + 1 + 1) / 2 = 2, so (16 - 2) / 2 = 7 and 2.

    An earning share of a half counts; of conversions the rarer kind.
    """
    reward, customer = np.array([0.0, 2.0, 4.0, 6.0]), np.array([5, 5, 9, 9])
    found = group_reward(reward, customer, reward > 0.0)
    assert (found.variance, found.correlation, found.rate) == (9.0, pytest.approx(7 / 9), 0.75)
    assert group_reward(reward, customer, reward > 0.0, binary=True).rate == 0.25


def test_one_decision_each_has_the_plain_variance():
    found = group_reward(np.array([1.0, 3.0, 5.0]), np.array([0, 1, 2]), np.ones(3, dtype=bool))
    assert (found.variance, found.correlation) == (4.0, 0.0)


def test_simulated_customers_have_the_components_that_were_drawn():
    """4 between, 12 within, 1 to 7 decisions of 4,000 customers: the correlation 0.25 is known to about 0.01.

    Negative control: with the customers mixed up there is none.
    """
    rng = np.random.default_rng(3)
    customer = np.repeat(np.arange(4_000), rng.integers(1, 8, 4_000))
    reward = 2.0 * rng.standard_normal(4_000)[customer] + np.sqrt(12.0) * rng.standard_normal(len(customer))
    everyone = np.ones(len(customer), dtype=bool)
    found = group_reward(reward, customer, everyone)
    assert found.variance == pytest.approx(16.0, rel=0.05)
    assert found.correlation == pytest.approx(0.25, abs=0.04)
    assert group_reward(reward, rng.permutation(customer), everyone).correlation < 0.04


def log_of(rng, customers=600):
    """Four decisions of each customer in two groups; a third of the customers buy far more often."""
    rows = []
    for number in range(customers):
        label, keen = ("policy" if number % 2 else "rules"), number % 3 == 0
        for visit in range(4):
            bought = rng.random() < (0.7 if keen else 0.1)
            rows.append((f"c{number}", label, int(rng.integers(5, 30)) if bought else 0, 5 * visit, "f"))
    return rows


def test_the_error_planned_is_the_one_that_lift_finds(tmp_path):
    """The mean of a group of n decisions has the clustered variance / n; lift estimates it without components: 10 %."""
    path = tmp_path / "offers.db"
    write(path, catalogue_with(), log_of(np.random.default_rng(6)))
    with Store.open(path, customer_key=b"a key for our tests", read_only=True) as store:
        found = measure_groups(store, catalogue_with(), WHERE)
    assert (found.decisions, found.customers) == (2_400, 600)
    assert (found.traffic.visits, found.traffic.spread) == (4.0, 1.0)
    assert found.weeks == pytest.approx(15 / 7)
    assert found.traffic.decisions_per_week == pytest.approx(2_400 / (15 / 7))
    for each in compare(path, catalogue_with()).lift.groups:
        estimate = each.values["means"]["decision"]
        assert found.values[each.name] == pytest.approx(estimate.value)
        variance = clustered_variance(found.rewards[each.name], 2_400.0, found.traffic)
        assert (variance / 1_200) ** 0.5 == pytest.approx(estimate.standard_error, rel=0.1)
        # The plain variance of independent decisions is not enough.
        assert (found.rewards[each.name].variance / 1_200) ** 0.5 < 0.8 * estimate.standard_error


def test_a_log_that_says_nothing_about_variance_is_refused(tmp_path):
    path, catalogue = tmp_path / "offers.db", catalogue_with()
    with bandit.Engine.open(path, catalogue, bandit.Uniform(catalogue), seed=1, customer_key=b"a key for our tests"):
        pass
    with (
        Store.open(path, customer_key=b"a key for our tests", read_only=True) as store,
        pytest.raises(InputError, match="no settled"),
    ):
        measure_groups(store, catalogue, WHERE)
    write(path, catalogue, [(f"c{row}", None, 0, 0, "f") for row in range(40)])
    with (
        Store.open(path, customer_key=b"a key for our tests", read_only=True) as store,
        pytest.raises(InputError, match="all 40 settled"),
    ):
        measure_groups(store, catalogue, WHERE)
