"""The funnel of a conversion: stages that lead to it are learned one by one, and their chances multiplied."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bandit import Catalogue, ThompsonSampling
from bandit.domain import Outcomes, Previous
from bandit.errors import InputError, PolicyError
from bandit.policies.state_erasure import remove_customers
from bandit.policies.thompson import funnel as module
from bandit.policies.thompson.funnel import (
    chance_weights,
    joint_logit,
    joint_odds_against,
    stage_steps,
)
from bandit.policies.thompson.offer_model import FIRST_BLOCK
from simulator.simulation.log import MemoryLog


def catalogue_of(kind="conversion", stages=("click",), **objective):
    return Catalogue.from_dict(
        {
            "objective": {"kind": kind, "event": "purchase", "stages": list(stages), **objective},
            "context": {"loyal": {"type": "boolean"}},
            "dimensions": [
                {"name": "theme", "options": [{"name": "plain"}, {"name": "bait"}, {"name": "good"}]},
                {"name": "channel", "options": [{"name": "email"}, {"name": "sms", "contact_cost": 0.01}]},
            ],
        }
    )


def outcomes_of(catalogue, n, seed, click=(0.1, 0.4, 0.2), buy=(0.2, 0.02, 0.3), customers=50):
    """Return outcomes under uniform offers: P(click) and P(purchase | click) by theme."""
    rng = np.random.default_rng(seed)
    offer = rng.integers(0, catalogue.n_offers, n)
    theme = catalogue.options[offer, 0]
    clicked = rng.random(n) < np.array(click)[theme]
    bought = clicked & (rng.random(n) < np.array(buy)[theme])
    facts = {"loyal": rng.random(n) < 0.5}
    names = np.array([f"c{number}" for number in rng.integers(0, customers, n)], dtype=object)
    revenue = np.where(bought, np.exp(rng.normal(3.0, 0.3, n)), 0.0)
    reward = np.where(bought, revenue, 0.0) if catalogue.objective.kind != "conversion" else bought.astype(float)
    eligible = np.ones((n, catalogue.n_offers), dtype=bool)
    chance = np.full(n, 1.0 / catalogue.n_offers)
    times = np.arange(n, dtype=np.int64)
    return Outcomes.new(
        catalogue.contexts(facts, names), offer, eligible, chance, bought, revenue, reward, times, clicked[:, None]
    )


def learned(catalogue, outcomes, size=100, methods=("funnel",), **settings):
    policy = ThompsonSampling(catalogue, methods=methods, **settings)
    for start in range(0, len(outcomes), size):
        policy.update(outcomes.take(slice(start, start + size)))
    return policy


def chances(policy):
    return policy.predict_response(policy.catalogue.contexts({"loyal": np.array([True, False])})).p_convert.value


def test_a_purchase_without_a_click_implies_it_and_so_does_every_later_stage():
    """Rows: nothing; only the second stage; a purchase alone; the first stage alone."""
    stages = np.array([[False, False], [False, True], [False, False], [True, False]])
    bought = np.array([False, False, True, False])
    want = [[False, False, False], [True, True, False], [True, True, True], [True, False, False]]
    assert stage_steps(stages, bought, 2).tolist() == want
    assert stage_steps(np.empty((0, 0), dtype=bool), bought, 1).tolist() == [
        [False] * 2,
        [False] * 2,
        [True] * 2,
        [False] * 2,
    ]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.floats(-25.0, 25.0), min_size=2, max_size=2), min_size=1, max_size=4))
def test_the_joint_logit_and_odds_are_those_of_the_product(pairs):
    """Against the product of 1 / (1 + exp(-s)) in the numbers where that is exact enough."""
    scores = [np.array(pair) for pair in pairs]
    product = np.prod([1.0 / (1.0 + np.exp(-score)) for score in scores], axis=0)
    np.testing.assert_allclose(1.0 / (1.0 + np.exp(-joint_logit(scores))), product, rtol=1e-9)
    odds = joint_odds_against([np.exp(-score).astype(np.float32) for score in scores])
    np.testing.assert_allclose(1.0 / (1.0 + odds.astype(float)), product, rtol=1e-4, atol=1e-20)


def test_the_odds_against_stay_finite_and_in_order_where_a_chance_is_none():
    odds = joint_odds_against(
        [np.array([np.inf, 1e30, 1.0], dtype=np.float32), np.array([np.inf, 5.0, 1.0], np.float32)]
    )
    assert np.isfinite(odds).all()
    assert odds[0] == odds[1] > odds[2] == 3.0


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.lists(st.floats(-8.0, 8.0), min_size=2, max_size=2), min_size=2, max_size=4),
    st.sampled_from([0.0, 1e-9, 1.0]),
)
def test_contributions_to_stages_sum_to_the_difference_of_the_joint_logit(points, spread):
    """sum of weight x (end - start) over stages is the difference, also where a stage or all of them stay."""
    start = [np.array([point[0]]) for point in points]
    end = [one + spread * (point[1] - point[0]) for one, point in zip(start, points, strict=True)]
    weights = chance_weights(start, end)
    total = sum(weight * (after - before) for weight, before, after in zip(weights, start, end, strict=True))
    np.testing.assert_allclose(total, joint_logit(end) - joint_logit(start), rtol=1e-5, atol=1e-9)
    assert all(np.isfinite(weight).all() and (weight > 0.0).all() for weight in weights)


def test_a_stage_that_misleads_is_unlearned():
    """Bait is clicked twice as often as good, and bought 1/7 as often: .008 against .06, and plain .02."""
    catalogue = catalogue_of()
    policy = learned(catalogue, outcomes_of(catalogue, 6_000, 1), personal=False)
    found = chances(policy).mean(axis=0).reshape(3, 2).mean(axis=1)
    np.testing.assert_allclose(found, [0.02, 0.008, 0.06], rtol=0.5)
    clicks = outcomes_of(catalogue, 6_000, 1)
    only = replace(clicks, batch=replace(clicks.batch, converted=clicks.stages[:, 0]))
    misled = chances(learned(catalogue, only, methods=(), personal=False)).mean(axis=0).reshape(3, 2).mean(axis=1)
    assert (found.argmax(), misled.argmax()) == (2, 1)


def test_stages_find_the_best_offers_where_purchases_are_rare():
    """16 logs of 1,500 decisions with some 12 purchases: P(purchase) .004, .008, .012 by theme, a click for each 25th.

    From clicks and purchases the best theme is found in nearly all, from purchases alone in some.
    """
    catalogue, found = catalogue_of(), {"funnel": 0, "": 0}
    for seed in range(16):
        log = outcomes_of(catalogue, 1_500, seed, click=(0.1, 0.2, 0.3), buy=(0.04, 0.04, 0.04))
        for name in found:
            policy = learned(catalogue, log, methods=[name] if name else [], personal=False)
            found[name] += int(chances(policy).mean(axis=0).reshape(3, 2).mean(axis=1).argmax() == 2)
    assert found["funnel"] >= 13 > found[""] + 1


@pytest.mark.parametrize("kind", ["conversion", "revenue", "profit"])
def test_decisions_follow_the_chance_of_all_stages_for_every_kind_of_money(kind):
    """With draws of hardly any width the most probable offer is the one of the highest predicted reward."""
    catalogue = catalogue_of(kind)
    policy = learned(catalogue, outcomes_of(catalogue, 3_000, 2), width=1e-6)
    contexts = catalogue.contexts({"loyal": np.array([True, False])})
    shares = policy.probabilities(contexts, np.ones((2, 6), dtype=bool), np.random.default_rng(1))
    assert (shares.argmax(axis=1) == policy.predict(contexts).argmax(axis=1)).all()
    some = np.array([[True, True, False, False, False, False]] * 2)
    assert (policy.probabilities(contexts, some, np.random.default_rng(1))[:, 2:] == 0.0).all()


def test_the_first_outcomes_learned_online_are_the_fit_to_convergence():
    """A block of FIRST_BLOCK outcomes is learned at its exact mode: as `fit`, before any variance is estimated."""
    catalogue = catalogue_of()
    log = outcomes_of(catalogue, 90, 3)
    assert len(log) < FIRST_BLOCK
    online, fitted = (
        learned(catalogue, log, 90, personal=False),
        ThompsonSampling(catalogue, methods=["funnel"], personal=False),
    )
    fitted.fit(MemoryLog(log.batch))
    for name, model in online.online.belief.models().items():
        other = fitted.online.belief.models()[name]
        assert model.n_learned == other.n_learned
        np.testing.assert_allclose(model.prior.variances, model.prior.given)
    assert online.online.belief.later[0].n_learned == int(log.stages.sum()) < 90


def test_clicks_and_purchases_that_come_later_are_learned_as_if_they_had_been_known():
    """Each decision first open at weight .5 without any event, then closed: near the belief that learned it whole."""
    catalogue = catalogue_of()
    whole = outcomes_of(catalogue, 800, 4)
    policy, at_once = (
        ThompsonSampling(catalogue, methods=["funnel"], personal=False),
        learned(catalogue, whole, 40, personal=False),
    )
    for start in range(0, 800, 40):
        part = whole.take(slice(start, start + 40))
        n = len(part)
        no = np.zeros(n, dtype=bool)
        none = replace(part.batch, converted=no, revenue=np.zeros(n), reward=np.zeros(n), stages=no[:, None])
        policy.update(replace(none.outcomes(), weight=np.full(n, 0.5)))
        zero = np.zeros(n)
        policy.update(Outcomes(part.batch, Previous(~no, no, zero, zero, np.full(n, 0.5), no[:, None])))
    belief = policy.online.belief
    assert belief.later[0].n_learned == int(whole.stages.sum())
    np.testing.assert_allclose(np.log(chances(policy)), np.log(chances(at_once)), atol=0.12)
    forgetful = learned(
        catalogue, replace(whole, batch=replace(whole.batch, stages=whole.converted[:, None])), 40, personal=False
    )
    assert np.abs(np.log(chances(forgetful)) - np.log(chances(at_once))).max() > 0.3


def test_a_returned_purchase_leaves_its_click():
    """Taken back, 30 purchases are clicks without a purchase: P(click) stays to the last bit, P(purchase) falls."""
    catalogue = catalogue_of()
    whole = outcomes_of(catalogue, 1_200, 5, buy=(0.5, 0.5, 0.5))
    policy = learned(catalogue, whole, personal=False)
    first = policy.online.belief.main.model.weights.mean.copy()
    rows = np.flatnonzero(whole.converted)[:30]
    part, before = whole.take(rows), chances(policy).mean()
    no, zero = np.zeros(30, dtype=bool), np.zeros(30)
    previous = Previous(~no, part.converted, part.revenue, part.reward, stages=part.stages)
    policy.update(Outcomes(replace(part.batch, converted=no, revenue=zero, reward=zero), previous))
    assert (policy.online.belief.main.model.weights.mean == first).all()
    bought = whole.converted.sum()
    assert chances(policy).mean() / before == pytest.approx((bought - 30) / bought, abs=0.15)


@pytest.mark.parametrize("n", [60, 900])
def test_a_policy_with_stages_goes_on_from_its_state_to_the_bit(n):
    """Saved within the warm-up and after it, with stages and what was learned before of them."""
    catalogue = catalogue_of("profit")
    whole = outcomes_of(catalogue, n + 200, 6)
    policy, other = learned(catalogue, whole.take(slice(0, n))), ThompsonSampling(catalogue, methods=["funnel"])
    other.loads(policy.dumps())
    for each in (policy, other):
        each.update(whole.take(slice(n, None)))
    assert policy.dumps() == other.dumps()
    assert other.online.belief.later[0].n_learned == int(whole.stages.sum())
    assert b"c1" not in remove_customers(policy.dumps(), {"c1", *(f"c1{digit}" for digit in range(10))})


def test_a_state_of_other_stages_is_refused():
    two, one = catalogue_of(stages=("click", "cart")), catalogue_of()
    policy = learned(one, outcomes_of(one, 200, 7))
    with pytest.raises(PolicyError, match="does not fit"):
        ThompsonSampling(two, methods=["funnel"]).loads(policy.dumps())


def test_stages_stand_aside_without_the_method_and_with_very_many_offers(monkeypatch):
    """The belief is then that of the purchase alone, to the bit."""
    catalogue, plain = catalogue_of(), catalogue_of(stages=())
    log = outcomes_of(catalogue, 300, 8)
    alone = learned(plain, log, methods=()).dumps()
    assert learned(catalogue, log, methods=()).dumps() == alone
    monkeypatch.setattr(module, "MOST_FUNNEL_OFFERS", 5)
    assert learned(catalogue, log).dumps() == alone
    monkeypatch.undo()
    assert learned(catalogue, log).dumps() != alone


def test_a_log_without_its_stages_is_refused_in_words():
    catalogue = catalogue_of()
    log = outcomes_of(catalogue, 20, 9)
    with pytest.raises(InputError, match='the stages "click", and the log says of 0 stages'):
        learned(catalogue, replace(log, batch=replace(log.batch, stages=np.empty((0, 0), dtype=bool))))


def test_a_declared_order_holds_for_the_chance_of_all_stages():
    """Depth 20 was bought less than 10 by chance of the log: under the constraint its chance is not lower."""
    plain = catalogue_of().to_dict()
    options = [{"name": "0"}, {"name": "10", "depth": 10}, {"name": "20", "depth": 20}]
    plain["dimensions"] = [
        {"name": "discount", "options": options, "attributes": {"depth": {"monotone": "increasing"}}},
        plain["dimensions"][1],
    ]
    catalogue = Catalogue.from_dict(plain)
    log = outcomes_of(catalogue, 3_000, 10, click=(0.1, 0.3, 0.2), buy=(0.1, 0.3, 0.2))
    policy = learned(catalogue, log)
    found = chances(policy).reshape(2, 3, 2)
    assert (np.diff(found, axis=1) >= -1e-12).all()
    np.testing.assert_allclose(policy.predict(catalogue.contexts({"loyal": np.array([True, False])})), chances(policy))
    free = Catalogue.from_dict(
        {**plain, "dimensions": [{"name": "discount", "options": options}, plain["dimensions"][1]]}
    )
    assert (np.diff(chances(learned(free, log)).reshape(2, 3, 2), axis=1) < 0.0).any()


def test_intervals_of_a_product_cover_its_mean_and_narrow_with_outcomes():
    catalogue = catalogue_of("profit")
    widths = []
    for n in (500, 8_000):
        found = learned(catalogue, outcomes_of(catalogue, n, 11)).predict_response(
            catalogue.contexts({"loyal": np.array([True])})
        )
        for column in found.columns().values():
            assert (column.low < column.value).all()
            assert (column.value < column.high).all()
        widths.append(np.log(found.p_convert.high / found.p_convert.low).mean())
    assert widths[1] < 0.6 * widths[0]
