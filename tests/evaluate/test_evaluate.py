"""Values, differences and intervals of frozen policies, compared with the truth of small markets."""

from dataclasses import replace

import numpy as np
import pytest

from bandit.domain import Contexts
from bandit.evaluate import LOGGED, RidgeReward
from tests.evaluate.kinked_market import GREEDY, LOGGING, NEAR, FixedPreferences, N, judge, market, truth_of
from tests.evaluate.memory_log import MemoryLog


class Flat:
    """A reward model that knows nothing."""

    def __init__(self, encoder):
        del encoder

    def learn(self, batch):
        pass

    def predict(self, contexts):
        return np.full((contexts.n, N), 2.0)


@pytest.mark.parametrize("model", [pytest.param(RidgeReward, marks=pytest.mark.slow), Flat])
def test_values_and_differences_cover_the_truth_whatever_the_model(model):
    """The negative control: the direct method covers it with no model that is wrong."""
    rng = np.random.default_rng(1)
    greedy, near = FixedPreferences(GREEDY, "greedy"), FixedPreferences(NEAR, "near")
    truth, gain = truth_of(greedy), truth_of(greedy) - truth_of(near)
    runs, value, difference, direct = 150, 0, 0, 0
    for _ in range(runs):
        answer = judge(market(rng, 400), [greedy, near], "near", reward_model=model)
        dr, paired = answer.row("greedy").estimate("dr"), answer.row("greedy").against_baseline("dr")
        dm = answer.row("greedy").estimate("dm")
        value += dr.low <= truth <= dr.high
        direct += dm.low <= truth <= dm.high
        difference += paired.low <= gain <= paired.high
    slack = 3 * np.sqrt(0.95 * 0.05 / runs)
    assert value / runs > 0.95 - slack
    assert difference / runs > 0.95 - slack
    assert direct / runs < 0.8


def test_model_that_has_learned_makes_dr_narrower_than_ips_and_a_paired_difference_narrower_still():
    answer = judge(
        market(np.random.default_rng(2), 4_000),
        [FixedPreferences(GREEDY, "greedy"), FixedPreferences(NEAR, "near")],
        "near",
    )
    row = answer.row("greedy")
    width = {each.name: each.high - each.low for each in row.estimates}
    assert width["dr"] < 0.6 * width["ips"]
    paired = row.against_baseline("dr")
    assert paired.high - paired.low < 0.3 * width["dr"]
    assert answer.row("near").difference is None


def test_policy_that_wrote_the_log_gets_weight_one_and_the_realised_mean():
    log = market(np.random.default_rng(3), 1_000, customers=200)
    answer = judge(log, [FixedPreferences(LOGGING, "same")], LOGGED)
    row = answer.row("same")
    assert row.mean_weight.value == pytest.approx(1.0)
    assert row.max_weight == pytest.approx(1.0)
    assert answer.realised_mean == pytest.approx(log.whole.reward.mean())
    assert row.estimate("ips").value == pytest.approx(answer.realised_mean)
    assert row.estimate("snips").value == pytest.approx(answer.realised_mean)
    assert row.against_baseline("ips").value == pytest.approx(0.0, abs=1e-12)
    assert row.estimate("ips").high == pytest.approx(answer.realised.high)
    assert row.warning is None


def test_intervals_are_clustered_by_customer_and_wider_for_it():
    log = market(np.random.default_rng(4), 4_000, customers=100)
    contexts = log.whole.contexts
    nameless = MemoryLog(replace(log.whole, contexts=Contexts(contexts.n, contexts.columns, contexts.text)))
    clustered, single = judge(log, [FixedPreferences(GREEDY)]), judge(nameless, [FixedPreferences(GREEDY)])
    assert (clustered.customers, single.customers) == (100, None)
    assert clustered.row("fixed").estimate("dr").clusters == 100
    assert clustered.realised.standard_error > 3 * single.realised.standard_error
    assert clustered.row("fixed").estimate("ips").value == pytest.approx(single.row("fixed").estimate("ips").value)


def test_size_of_batches_changes_nothing_but_rounding():
    log = market(np.random.default_rng(5), 1_500, customers=300)

    class Small(MemoryLog):
        def batches(self, size=65_536):
            yield from super().batches(min(size, 217))

    one, other = judge(log, [FixedPreferences(GREEDY)]), judge(Small(log.whole), [FixedPreferences(GREEDY)])
    for mine, yours in zip(one.row("fixed").estimates, other.row("fixed").estimates, strict=True):
        # The scales of numeric facts are those of the first batch, which the model hardly feels.
        assert mine.value == pytest.approx(yours.value, abs=1e-3)
    ips = [each.row("fixed").estimate("ips") for each in (one, other)]
    assert (ips[0].value, ips[0].low) == pytest.approx((ips[1].value, ips[1].low), rel=1e-12)


def test_estimators_without_a_model_need_one_pass_and_no_model():
    def never(encoder):
        raise AssertionError(encoder)

    steps = []
    answer = judge(
        market(np.random.default_rng(13), 300),
        [FixedPreferences(GREEDY)],
        estimators=("snips",),
        reward_model=never,
        progress=lambda done, total: steps.append((done, total)),
    )
    assert [each.name for each in answer.rows[0].estimates] == ["snips"]
    assert answer.default == "snips"
    assert steps == [(300, 300)]


def test_progress_counts_two_passes_and_ends_at_the_total():
    steps = []
    judge(market(np.random.default_rng(14), 300), [FixedPreferences(GREEDY)], progress=lambda *step: steps.append(step))
    assert steps[0][1] == 600
    assert steps[-1] == (600, 600)


def test_leaving_a_policy_out_changes_nothing_for_the_others():
    class Noisy(FixedPreferences):
        def probabilities(self, contexts, eligible, rng):
            del contexts
            table = eligible * rng.random(eligible.shape)
            return table / table.sum(axis=1, keepdims=True)

    log = market(np.random.default_rng(15), 300)
    alone = judge(log, {"one": Noisy(GREEDY)}).row("one")
    beside = judge(log, {"one": Noisy(GREEDY), "two": Noisy(GREEDY)}).row("one")
    values = [[(each.value, each.low) for each in row.estimates] for row in (alone, beside)]
    assert np.array(values[0]) == pytest.approx(np.array(values[1]), rel=1e-12)


def test_ridge_is_the_default_model():
    log = market(np.random.default_rng(21), 300)
    assert judge(log, [FixedPreferences(GREEDY)]) == judge(log, [FixedPreferences(GREEDY)], reward_model=RidgeReward)
