"""The importance of facts and options: exact shares, worths against a plain computation, and a planted world."""

import numpy as np
import pytest

import bandit
from bandit.errors import InputError
from bandit.explain import importance_of
from bandit.explain.contributions import OWN_HISTORY
from tests.conftest import draw_outcomes
from tests.policies.tools import OBJECTIVES, OutcomesLog, catalogue_for, conversion, outcomes_of, world


def fitted(catalogue, outcomes, **settings):
    policy = bandit.ThompsonSampling(catalogue, **settings)
    policy.update(outcomes)
    return policy


@pytest.fixture(scope="module")
def planted():
    """30,000 visits of a world in which loyalty decides the channel, women want discounts, and recency is noise."""
    catalogue = conversion()
    outcomes = outcomes_of(catalogue, world, 30_000, np.random.default_rng(1))
    policy = bandit.ThompsonSampling(catalogue, personal=False)
    log = OutcomesLog(outcomes)
    policy.fit(log)
    return policy, log, importance_of(log, policy)


def test_what_decides_is_worth_something_and_noise_is_not(planted):
    """Loyalty decides the channel. Women want the deepest discount and men do not mind it: gender decides nothing."""
    _, _, found = planted
    by_name = {each.fact: each for each in found.facts}
    assert found.facts[0].fact == "loyal"
    assert by_name["loyal"].worth.low > 0.0
    assert found.all_facts.low > 0.0
    for name in ("gender", "recency"):
        assert by_name[name].worth.low <= 0.0 <= by_name[name].worth.value < 0.1 * by_name["loyal"].worth.value
    assert by_name["loyal"].choice > 0.5 > by_name["gender"].choice > 3.0 * by_name["recency"].choice


def test_the_worth_of_the_fact_that_decides_is_about_the_true_one(planted):
    """True: the loyal get sms, others e-mail; who does not see it sends one of both to everybody.

    Log-odds with the right channel are -1.5 + .8, with the wrong one -1.5 - .8 (and .6 a step of discount for women):
    the worth is half of the mean difference of the response, within a quarter of itself.
    """
    _, log, found = planted
    columns = log.outcomes.contexts.columns
    woman = columns["gender"] == 0
    best = np.where(woman, 1.2, 0.0)
    chance = lambda score: 1.0 / (1.0 + np.exp(-score))  # noqa: E731
    true = 0.5 * (chance(-0.7 + best) - chance(-2.3 + best)).mean()
    worth = next(each.worth for each in found.facts if each.fact == "loyal")
    assert worth.value == pytest.approx(true, rel=0.25)
    assert worth.low < true < worth.high or abs(worth.value - true) < 0.15 * true


@pytest.mark.parametrize("kind", OBJECTIVES)
def test_the_shares_of_all_sources_sum_to_1(kind):
    catalogue = catalogue_for(kind)
    outcomes = draw_outcomes(catalogue, 500, np.random.default_rng(2))
    outcomes.contexts.customers[:] = [f"c{row % 40}" for row in range(500)]
    found = importance_of(OutcomesLog(outcomes), fitted(catalogue, outcomes))
    assert sum(each.choice for each in found.facts) == pytest.approx(1.0, abs=1e-9)
    assert sum(each.variation for each in found.facts) == pytest.approx(1.0, abs=1e-9)
    assert (OWN_HISTORY in {each.fact for each in found.facts}) == (kind != "reward")


def test_a_worth_is_what_a_plain_computation_gives():
    """The boolean fact: the mean of both predictions, weighed by their shares in the log, chooses for each customer."""
    catalogue = catalogue_for("profit")
    outcomes = draw_outcomes(catalogue, 400, np.random.default_rng(3))
    policy = fitted(catalogue, outcomes, personal=False)
    found = importance_of(OutcomesLog(outcomes), policy)
    columns, eligible = outcomes.contexts.columns, outcomes.eligible
    loyal = columns["loyal"]
    rewards = policy.predict(outcomes.contexts)
    blind = np.zeros_like(rewards)
    for value in (0.0, 1.0, np.nan):
        same = np.isnan(loyal) if np.isnan(value) else loyal == value
        other = type(outcomes.contexts)(400, {**columns, "loyal": np.full(400, value)}, {})
        blind += same.mean() * policy.predict(other)
    rows = np.arange(400)
    best, chosen = (np.where(eligible, each, -np.inf).argmax(axis=1) for each in (rewards, blind))
    expected = (rewards[rows, best] - rewards[rows, chosen]).mean()
    worth = next(each.worth for each in found.facts if each.fact == "loyal")
    assert worth.value == pytest.approx(expected, abs=1e-12)
    email = next(each for each in found.options if each.option == "email")
    without = eligible & (catalogue.options[:, 1] != 0)
    lost = rewards[rows, best] - np.where(without, rewards, -np.inf).max(axis=1)
    assert email.worth.value == pytest.approx(lost.mean(), abs=1e-12)
    assert email.best_share == pytest.approx((catalogue.options[best, 1] == 0).mean())
    assert found.value.value == pytest.approx(rewards[rows, best].mean())


def test_the_same_log_gives_the_same_report_and_every_kth_decision_of_a_longer_one_is_used(monkeypatch):
    monkeypatch.setattr("bandit.explain.importance.IMPORTANCE_ROWS", 60)
    catalogue = catalogue_for("profit")
    outcomes = draw_outcomes(catalogue, 500, np.random.default_rng(4))
    policy, log = fitted(catalogue, outcomes), OutcomesLog(outcomes)
    one, other = importance_of(log, policy), importance_of(log, policy)
    assert one.to_dict() == other.to_dict()
    assert (one.n, one.n_log) == (56, 500)  # every 9th
    assert len(one.to_rows()) == len(one.facts) + 7


def test_of_very_many_offers_those_that_are_served_are_compared(monkeypatch):
    monkeypatch.setattr("bandit.explain.importance.IMPORTANCE_OFFERS", 6)
    catalogue = catalogue_for("profit")
    outcomes = draw_outcomes(catalogue, 300, np.random.default_rng(5))
    found = importance_of(OutcomesLog(outcomes), fitted(catalogue, outcomes))
    assert found.n_offers == 6
    assert found.notes == ("Of 10 offers the 6 that were served most often are compared.",)


def test_what_has_learned_nothing_is_refused():
    catalogue = catalogue_for("profit")
    outcomes = draw_outcomes(catalogue, 20, np.random.default_rng(5))
    with pytest.raises(InputError, match="has learned nothing yet"):
        importance_of(OutcomesLog(outcomes), bandit.ThompsonSampling(catalogue))
    with pytest.raises(InputError, match="has no decisions"):
        importance_of(OutcomesLog(outcomes.take(slice(0, 0))), bandit.ThompsonSampling(catalogue))
