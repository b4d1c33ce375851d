"""Online learning of Thompson sampling: scales, corrections, partial outcomes, forgetting, and the fit of a log."""

import numpy as np
import pytest

import bandit
from bandit.domain import Contexts
from bandit.errors import InputError, PolicyError
from bandit.policies.thompson.offer_scores import FIRST_ESTIMATE
from bandit.policies.warmup import WARMUP_OUTCOMES
from tests.conftest import SPRING, amended, draw_contexts, draw_outcomes
from tests.policies.tools import (
    DAY,
    OBJECTIVES,
    OutcomesLog,
    catalogue_for,
    conversion,
    other_world,
    outcomes_of,
    prediction_error,
    world,
)


def test_learning_is_the_same_however_the_outcomes_are_split():
    """Kind "reward" is a linear model: exact but for rounding; the scale settles on the same 500 outcomes."""
    catalogue = catalogue_for("reward")
    outcomes = draw_outcomes(catalogue, WARMUP_OUTCOMES + 300, np.random.default_rng(10))
    whole, parts = bandit.ThompsonSampling(catalogue), bandit.ThompsonSampling(catalogue)
    whole.update(outcomes)
    for start in range(0, len(outcomes), 90):
        parts.update(outcomes.take(slice(start, start + 90)))
    contexts = draw_contexts(catalogue, 20, np.random.default_rng(11))
    np.testing.assert_allclose(whole.predict(contexts), parts.predict(contexts), atol=1e-8)


def test_scales_are_frozen_after_the_warm_up(catalogue):
    policy = bandit.ThompsonSampling(catalogue)
    policy.update(draw_outcomes(catalogue, WARMUP_OUTCOMES, np.random.default_rng(12)))
    settled = dict(policy._learning.belief.encoder.scales)
    outcomes = draw_outcomes(catalogue, 400, np.random.default_rng(13))
    far = {**outcomes.contexts.columns, "recency": outcomes.contexts.columns["recency"] + 1000.0}
    policy.update(amended(outcomes, contexts=Contexts(400, far, outcomes.contexts.text)))
    assert policy._learning.belief.encoder.scales == settled


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("n", [80, 200, 900], ids=["at the start", "in the warm-up", "after it"])
def test_a_restated_outcome_leaves_the_belief_of_the_right_outcome(objective, n):
    """5 purchases are returned. Raw rewards are learned by a linear model, where taking back is exact but for the
    prior's variances, estimated from 100 outcomes on with what was wrong; responses by Laplace steps, where it is
    right to first order: at least three quarters of what was off is gone."""
    catalogue = catalogue_for(objective)
    wrong = draw_outcomes(catalogue, n, np.random.default_rng(14))
    returned = np.flatnonzero(wrong.converted)[:5]
    converted, revenue, reward = wrong.converted.copy(), wrong.revenue.copy(), wrong.reward.copy()
    converted[returned], revenue[returned] = False, 0.0
    reward = catalogue.objective.reward(catalogue.money, wrong.offer, converted, revenue, revenue)
    right = amended(wrong, converted=converted, revenue=revenue, reward=reward)
    again = amended(
        right,
        is_update=np.ones(n, dtype=bool),
        previous_converted=wrong.converted,
        previous_revenue=wrong.revenue,
        previous_reward=wrong.reward,
    ).take(returned)
    restated, other = bandit.ThompsonSampling(catalogue), bandit.ThompsonSampling(catalogue)
    restated.update(wrong)
    other.update(right)
    contexts = draw_contexts(catalogue, 50, np.random.default_rng(15))
    off = np.abs(restated.predict(contexts) - other.predict(contexts)).mean()
    restated.update(again)
    assert (
        np.abs(restated.predict(contexts) - other.predict(contexts)).mean()
        < (0.01 if objective == "reward" and n < FIRST_ESTIMATE else 0.25) * off
    )


def test_partial_silences_and_late_purchases_are_learned_as_the_whole_outcome():
    """Learned as 0.3 and then 0.7 of a silence, or as 0.4 of a silence that then became a purchase: within a tenth of
    the difference that the outcomes make of the belief that learned them whole."""
    catalogue = conversion()
    rng = np.random.default_rng(10)
    before = outcomes_of(catalogue, world, 2_000, rng)
    late = outcomes_of(catalogue, lambda _, options: np.full(len(options), 0.5), 40, rng)
    whole, parts, without = (bandit.ThompsonSampling(catalogue, personal=False) for _ in range(3))
    for policy in (whole, parts, without):
        policy.update(before)
    whole.update(late)
    first = np.where(late.converted, 0.4, 0.3)
    silent = np.zeros(40, dtype=bool)
    parts.update(amended(late, converted=silent, reward=np.zeros(40), weight=first, previous_weight=np.zeros(40)))
    again = amended(late, is_update=np.ones(40, dtype=bool), previous_converted=silent)
    parts.update(amended(again, weight=np.ones(40), previous_weight=first))
    contexts = before.contexts.take(slice(0, 300))
    made = np.abs(whole.predict(contexts) - without.predict(contexts)).mean()
    assert np.abs(parts.predict(contexts) - whole.predict(contexts)).mean() < 0.1 * made


def test_a_half_life_follows_a_change_of_the_world_that_full_memory_averages():
    """1,500 outcomes of one world, 60 days later 1,500 of another in which channels have changed places: a half-life of
    ten days predicts the new world better than remembering everything (the control)."""
    catalogue = conversion()
    errors = []
    for half_life in ("10d", None):
        policy = bandit.ThompsonSampling(catalogue, half_life=half_life)
        for truth, day, seed in ((world, 0, 6), (other_world, 60, 7)):
            time = np.full(1_500, day * DAY, dtype=np.int64)
            outcomes = outcomes_of(catalogue, truth, 1_500, np.random.default_rng(seed), time=time)
            for start in range(0, 1_500, 100):
                policy.update(outcomes.take(slice(start, start + 100)))
        errors.append(prediction_error(policy, catalogue, other_world, np.random.default_rng(8)))
    assert errors[0] < 0.7 * errors[1]


@pytest.mark.parametrize("half_life", ["soon", "0d", "-3d"])
def test_an_invalid_half_life_is_refused(half_life):
    with pytest.raises(PolicyError, match="half_life"):
        bandit.ThompsonSampling(conversion(), half_life=half_life)


def test_online_learning_approximates_the_fit_of_the_same_log():
    """Online, in batches of 50, and fitted at once: predictions within a hundredth of each other in the mean, both
    nearer to the truth than an unlearned policy (the control) by a factor of 3."""
    catalogue = conversion()
    outcomes = outcomes_of(catalogue, world, 6_000, np.random.default_rng(2))
    online, fitted, unlearned = (bandit.ThompsonSampling(catalogue) for _ in range(3))
    for start in range(0, 6_000, 50):
        online.update(outcomes.take(slice(start, start + 50)))
    steps = []
    fitted.fit(OutcomesLog(outcomes), progress=lambda done, total: steps.append((done, total)))
    assert steps[-1][0] == steps[-1][1]
    contexts = outcomes.contexts.take(slice(0, 500))
    assert np.abs(online.predict(contexts) - fitted.predict(contexts)).mean() < 0.01
    errors = [
        prediction_error(policy, catalogue, world, np.random.default_rng(3)) for policy in (online, fitted, unlearned)
    ]
    assert max(errors[:2]) < errors[2] / 3


def test_a_fit_needs_a_log_and_may_be_learned_on_from():
    catalogue = conversion()
    outcomes = outcomes_of(catalogue, world, 900, np.random.default_rng(4))
    policy, copy_ = bandit.ThompsonSampling(catalogue), bandit.ThompsonSampling(catalogue)
    with pytest.raises(InputError, match="no decisions"):
        policy.fit(OutcomesLog(outcomes.take(slice(0, 0))))
    policy.fit(OutcomesLog(outcomes))
    copy_.loads(policy.dumps())
    for each in (policy, copy_):
        each.update(outcomes_of(catalogue, world, 700, np.random.default_rng(5)))
    assert policy.dumps() == copy_.dumps()


def test_a_log_in_which_nobody_bought_can_be_fitted():
    catalogue = bandit.Catalogue.from_dict(SPRING)
    outcomes = outcomes_of(catalogue, lambda _, options: np.zeros(len(options)), 300, np.random.default_rng(13))
    policy = bandit.ThompsonSampling(catalogue)
    policy.fit(OutcomesLog(outcomes))
    assert np.isfinite(policy.predict(outcomes.contexts)).all()
