"""Replay of learning policies: unbiased with rejection by propensity, biased without."""

import json
from dataclasses import dataclass, field

import numpy as np
import pytest

from bandit.analysis.replay import replay
from bandit.catalogue import Catalogue
from bandit.domain import LoggedBatch
from bandit.errors import InputError, PolicyError
from tests.analysis.memory import MemoryLog

CATALOGUE = Catalogue.from_dict(
    {
        "name": "tiny",
        "objective": {"kind": "reward"},
        "context": {"kind": {"type": "categorical", "values": ["a", "b"]}},
        "dimensions": [
            {"name": "discount", "options": [{"name": "0"}, {"name": "10"}]},
            {"name": "channel", "options": [{"name": "mail"}, {"name": "sms"}]},
        ],
        "rules": [{"when": 'kind == "b"', "forbid": {"channel": ["sms"]}, "reason": "no number"}],
    }
)
N = 4
CHANCE = np.array([[0.1, 0.3, 0.5, 0.7], [0.4, 0.0, 0.9, 0.0]])
UNEVEN = np.array([6.0, 1.0, 2.0, 3.0])


def masked(preferences, eligible):
    table = eligible * preferences
    return table / table.sum(axis=1, keepdims=True)


@dataclass
class Fixed:
    """A policy that has the same preferences for everyone."""

    preferences: np.ndarray
    name: str = "fixed"
    learns: bool = False

    def probabilities(self, contexts, eligible, rng):
        del contexts, rng
        return masked(self.preferences, eligible)

    def update(self, outcomes):
        raise AssertionError(f"a policy that does not learn was given {len(outcomes)} outcomes")


@dataclass
class Counting:
    """Learns the mean reward of each offer, and prefers offers in proportion to it."""

    name: str = "counting"
    learns: bool = True
    shown: np.ndarray = field(default_factory=lambda: np.ones(N))
    earned: np.ndarray = field(default_factory=lambda: np.full(N, 0.5))
    seen: list = field(default_factory=list)

    def probabilities(self, contexts, eligible, rng):
        del contexts, rng
        return masked(self.earned / self.shown, eligible)

    def update(self, outcomes):
        np.add.at(self.shown, outcomes.offer, 1.0)
        np.add.at(self.earned, outcomes.offer, outcomes.reward)
        self.seen.append(outcomes)


def market(rng, n, preferences=None, customers=False):
    preferences = np.ones(N) if preferences is None else preferences
    x = rng.integers(0, 2, n)
    keys = np.array([f"c{i // 4}" for i in range(n)], dtype=object) if customers else None
    contexts = CATALOGUE.contexts({"kind": np.array(["a", "b"], dtype=object)[x]}, keys)
    eligible = CATALOGUE.eligible(contexts)
    table = masked(preferences, eligible)
    offer = (table.cumsum(axis=1) < rng.random(n)[:, None]).sum(axis=1)
    reward = (rng.random(n) < CHANCE[x, offer]).astype(float)
    return MemoryLog(
        LoggedBatch(contexts, offer, eligible, table[np.arange(n), offer], reward > 0, reward, reward, np.arange(n))
    )


def truth(preferences):
    eligible = np.array([[True] * 4, [True, False, True, False]])
    return float((masked(preferences, eligible) * CHANCE).sum(axis=1).mean())


def run(log, policy, seed=0, **named):
    return replay(log, policy, rng=np.random.default_rng(seed), **named)


def test_frozen_uniform_policy_on_a_uniform_log_accepts_one_in_n_and_earns_the_logs_mean():
    """All four offers are eligible for kind a: each row is accepted with probability (1/4) / (4 x 1/4) = 1/4."""
    log = market(np.random.default_rng(1), 8_000)
    log = MemoryLog(log.rows.take(log.rows.contexts.columns["kind"] == 0))
    answer = run(log, Fixed(np.ones(N), "uniform"))
    assert answer.bound == 4.0
    assert answer.share_accepted == pytest.approx(1 / 4, abs=3 * np.sqrt(3 / 16 / log.n))
    assert answer.value.value == pytest.approx(log.rows.reward.mean(), abs=3 * 0.5 / np.sqrt(log.n / 4))
    assert answer.realised_mean == pytest.approx(log.rows.reward.mean())
    assert answer.clipped == 0


@pytest.mark.parametrize("logging", [None, UNEVEN], ids=["uniform", "uneven"])
def test_mean_over_many_tiny_logs_is_the_truth_but_not_when_the_propensity_is_left_out(logging):
    """Contexts differ in how many offers are eligible; one bound for all keeps their mix.

    The negative control accepts whatever offer the policy would draw, as on a log that is uniform over all offers.
    """
    rng = np.random.default_rng(2)
    target = np.array([1.0, 2.0, 1.0, 4.0])
    accepted = earned = naive_accepted = naive_earned = 0.0
    for seed in range(150):
        log = market(rng, 400, logging)
        answer = run(log, Fixed(target), seed)
        accepted += answer.accepted
        earned += answer.accepted * answer.value.value
        table = masked(target, log.rows.eligible)
        naive = rng.random(400) < table[np.arange(400), log.rows.offer]
        naive_accepted += naive.sum()
        naive_earned += log.rows.reward[naive].sum()
    error = 3 * 0.5 / np.sqrt(accepted)
    assert earned / accepted == pytest.approx(truth(target), abs=error)
    assert abs(naive_earned / naive_accepted - truth(target)) > 2 * error


@pytest.mark.slow
def test_learning_policy_earns_in_replay_what_it_earns_when_it_really_runs():
    """About 200 accepted decisions each: the mean of the replays is that of live runs of the same learner."""
    rng = np.random.default_rng(3)
    replayed, live, late = [], [], []
    for seed in range(40):
        log = market(rng, 2_500, UNEVEN)
        replayed_once = run(log, Counting(), seed, block=1, bins=10)
        point = replayed_once.curve[-1]
        replayed.append(point.mean)
        late.append(replayed_once.curve[-1].mean_since - replayed_once.curve[0].mean_since)
        learner, rewards = Counting(), []
        count = replayed_once.accepted
        kinds = np.array(["a", "b"], dtype=object)[rng.integers(0, 2, count)]
        contexts = CATALOGUE.contexts({"kind": kinds})
        eligible = CATALOGUE.eligible(contexts)
        for row in range(count):
            table = learner.probabilities(None, eligible[row : row + 1], rng)[0]
            offer = rng.choice(N, p=table)
            rewards.append(float(rng.random() < CHANCE[int(kinds[row] == "b"), offer]))
            learner.shown[offer] += 1
            learner.earned[offer] += rewards[-1]
        live.append(np.mean(rewards))
    spread = np.sqrt((np.var(replayed, ddof=1) + np.var(live, ddof=1)) / 40)
    assert np.mean(replayed) == pytest.approx(np.mean(live), abs=3 * spread)
    assert np.mean(late) > 0.0
    assert abs(np.mean(replayed) - truth(UNEVEN)) > 3 * spread


def test_policy_learns_the_accepted_rows_once_in_order_with_its_own_probabilities():
    log = market(np.random.default_rng(4), 1_000, UNEVEN)
    policy = Counting()
    answer = run(log, policy, block=50)
    assert sum(len(each) for each in policy.seen) == answer.accepted
    assert len(policy.seen) <= 20
    first = policy.seen[0]
    belief = masked(np.full(N, 0.5), first.eligible)
    assert first.propensity == pytest.approx(belief[np.arange(len(first)), first.offer])
    assert policy.earned.sum() - 2.0 == pytest.approx(answer.accepted * answer.value.value)


def test_block_of_one_learns_before_the_next_decision():
    policy = Counting()
    run(market(np.random.default_rng(5), 200), policy, block=1)
    assert all(len(each) == 1 for each in policy.seen)


def test_a_bound_that_is_too_small_is_counted_weighted_and_reported():
    log = market(np.random.default_rng(6), 20_000, UNEVEN)
    target = np.array([1.0, 4.0, 1.0, 1.0])
    exact, quick = run(log, Fixed(target)), run(log, Fixed(target), bound=1.5)
    assert exact.clipped == 0
    assert exact.warning is None
    assert quick.accepted > 2 * exact.accepted
    assert quick.clipped > 0
    assert quick.warning.startswith("approximate")
    assert quick.value.low < truth(target) < quick.value.high
    unweighted = quick.curve[-1].accepted
    assert unweighted == quick.accepted
    assert quick.value.max_weight > 1.0


def test_interval_is_clustered_by_customer():
    log = market(np.random.default_rng(7), 2_000, customers=True)
    one = run(log, Fixed(np.ones(N)))
    assert one.value.n == one.accepted
    assert one.value.clusters < one.accepted


def test_curve_ends_at_the_answer_and_its_parts_add_up():
    log = market(np.random.default_rng(8), 1_003)
    answer = run(log, Counting(), bins=7)
    last = answer.curve[-1]
    assert len(answer.curve) == 7
    assert (last.rows, last.accepted) == (1_003, answer.accepted)
    assert last.mean == pytest.approx(answer.value.value)
    counts = np.diff([0, *(point.accepted for point in answer.curve)])
    total = sum(count * point.mean_since for count, point in zip(counts, answer.curve, strict=True))
    assert total / answer.accepted == pytest.approx(answer.value.value)


def test_nothing_accepted_is_cannot_tell_and_plain_json():
    log = market(np.random.default_rng(9), 40)
    log = MemoryLog(log.rows.take(log.rows.offer == 0))
    answer = run(log, Fixed(np.array([0.0, 1.0, 1.0, 1.0])))
    assert (answer.accepted, answer.value) == (0, None)
    assert answer.warning.startswith("cannot tell: only 0 of")
    plain = json.loads(json.dumps(answer.to_dict(), allow_nan=False))
    assert plain["curve"][0]["mean"] is None


def test_same_generator_gives_the_same_replay_and_progress_ends_at_the_total():
    log, steps = market(np.random.default_rng(10), 300), []
    one = run(log, Counting(), progress=lambda *step: steps.append(step))
    assert one.to_dict() == run(log, Counting()).to_dict()
    assert steps[-1] == (600, 600)


@pytest.mark.parametrize("named", [{"bound": 0.5}, {"bound": np.nan}, {"block": 0}, {"bins": 0}, {"level": 1.0}])
def test_numbers_out_of_range_are_rejected(named):
    with pytest.raises(InputError):
        run(market(np.random.default_rng(11), 50), Fixed(np.ones(N)), **named)


def test_empty_log_and_a_policy_that_ignores_the_mask_are_rejected():
    log = market(np.random.default_rng(12), 50)
    with pytest.raises(InputError, match="no decisions"):
        run(MemoryLog(log.rows.take(slice(0, 0))), Fixed(np.ones(N)))

    class Blind(Fixed):
        def probabilities(self, contexts, eligible, rng):
            return super().probabilities(contexts, np.ones_like(eligible), rng)

    with pytest.raises(PolicyError, match="not eligible"):
        run(log, Blind(np.ones(N)))
