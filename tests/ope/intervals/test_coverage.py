"""Coverage of intervals at their nominal level, with negative controls that must undercover."""

import numpy as np
import pytest

from bandit.ope import Feedback, compare, estimate

RUNS = 600
# Three standard errors of a share of 95 % seen in RUNS runs, and half a point for the linearisation.
SLACK = 3 * np.sqrt(0.95 * 0.05 / RUNS) + 0.005
LOGGING = np.array([0.6, 0.3, 0.1])
TARGET = np.array([[0.1, 0.2, 0.7], [0.5, 0.3, 0.2]])
NEAR = np.array([[0.1, 0.2, 0.7], [0.5, 0.25, 0.25]])
CHANCE = np.array([[0.1, 0.3, 0.4], [0.2, 0.1, 0.6]])
MODEL = 0.4 * CHANCE + 0.2
UNBIASED = ("ips", "snips", "dr", "sndr", "switch-dr", "dr-os")


def draw(rng, n, cluster_size=1, effect=0.0):
    """n rows of a Bernoulli market; a customer's rows share context, offer and a random effect of this deviation."""
    groups = n // cluster_size
    x = np.repeat(rng.integers(0, 2, groups), cluster_size)
    a = np.repeat(rng.choice(3, size=groups, p=LOGGING), cluster_size)
    swing = np.repeat(rng.normal(0.0, effect, groups), cluster_size) if effect else 0.0
    return x, a, (rng.random(n) < CHANCE[x, a]) + swing, np.repeat(np.arange(groups), cluster_size)


def feedback_of(market, target):
    """The feedback of a market on a target policy."""
    x, a, reward, cluster = market
    return Feedback(reward, LOGGING[a], target[x, a], MODEL[x, a], (target * MODEL).sum(axis=1)[x], cluster)


def without_clusters(feedback):
    return Feedback(
        feedback.reward,
        feedback.propensity,
        feedback.target,
        feedback.predicted_logged,
        feedback.predicted_target,
    )


TRUTH = 0.5 * float((TARGET * CHANCE).sum())
GAIN = 0.5 * float(((TARGET - NEAR) * CHANCE).sum())


def covers(answer, truth):
    return answer.low <= truth <= answer.high


def test_intervals_cover_at_their_level_except_dm_with_a_biased_model():
    rng = np.random.default_rng(20)
    hits = dict.fromkeys((*UNBIASED, "dm"), 0)
    for _ in range(RUNS):
        for answer in estimate(without_clusters(feedback_of(draw(rng, 500), TARGET))):
            hits[answer.name] += covers(answer, TRUTH)
    for name in UNBIASED:
        assert hits[name] / RUNS == pytest.approx(0.95, abs=SLACK), name
    assert hits["dm"] / RUNS < 0.5


@pytest.mark.slow
def test_clustered_intervals_cover_where_rows_are_dependent_and_unclustered_ones_do_not():
    rng = np.random.default_rng(21)
    clustered, single = dict.fromkeys(UNBIASED, 0), dict.fromkeys(UNBIASED, 0)
    for _ in range(RUNS):
        feedback = feedback_of(draw(rng, 1_200, cluster_size=6, effect=0.5), TARGET)
        for answer in estimate(feedback, UNBIASED):
            clustered[answer.name] += covers(answer, TRUTH)
        for answer in estimate(without_clusters(feedback), UNBIASED):
            single[answer.name] += covers(answer, TRUTH)
    for name in UNBIASED:
        assert clustered[name] / RUNS == pytest.approx(0.95, abs=SLACK + 0.01), name
        assert single[name] / RUNS < 0.8, name


@pytest.mark.slow
def test_paired_intervals_cover_the_difference_and_are_narrower_than_two_apart():
    rng = np.random.default_rng(22)
    hits = dict.fromkeys(UNBIASED, 0)
    for _ in range(RUNS):
        market = draw(rng, 500)
        one, other = feedback_of(market, TARGET), feedback_of(market, NEAR)
        apart = {each.name: each.standard_error for each in estimate(one, UNBIASED)}
        for answer in compare(one, other, UNBIASED):
            hits[answer.name] += covers(answer, GAIN)
            assert answer.standard_error < 0.5 * apart[answer.name] * np.sqrt(2)
    for name in UNBIASED:
        assert hits[name] / RUNS == pytest.approx(0.95, abs=SLACK + 0.01), name


def test_skew_intervals_miss_as_often_above_as_below_where_normal_ones_miss_the_truth_above():
    """One buyer in six, weights up to 7, 505 rows: an effective size of 100. A side may miss 2.5 % of the time.

    Three standard errors of 2.5 % seen in RUNS runs are .019. Normal intervals are the negative control: their upper
    end must lie below the truth more often.
    """
    rng = np.random.default_rng(23)
    share, chance = np.array([0.1, 0.2, 0.7]), np.array([0.05, 0.12, 0.17])
    missed = {kind: np.zeros(2) for kind in ("skew", "normal")}
    for _ in range(RUNS):
        a = rng.choice(3, size=505, p=LOGGING)
        feedback = Feedback(rng.random(505) < chance[a], LOGGING[a], share[a])
        for kind, sides in missed.items():
            (answer,) = estimate(feedback, ("snips",), interval=kind)
            sides += [answer.high < share @ chance, answer.low > share @ chance]
    limit = 0.025 + 3 * np.sqrt(0.025 * 0.975 / RUNS)
    assert (missed["skew"] / RUNS <= limit).all()
    assert missed["normal"][0] / RUNS > limit
