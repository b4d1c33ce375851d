"""Every kind of interval against sums by hand and its definition by loops; batches and merges leave no trace."""

from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import stdtrit

from bandit.errors import InputError
from bandit.ope import Feedback, IntervalKind, Tally, compare, estimate, resolve
from bandit.ope.estimators.snips import Snips
from bandit.ope.intervals.bootstrap import REPLICATES, replicates, resamples
from bandit.ope.intervals.skew import Transformation, transformation
from bandit.ope.sums import SUM_BLOCKS, ClusterSums, RowSums

KINDS = get_args(IntervalKind)
NAMES = ("ips", "snips", "dm", "dr", "sndr", "switch-dr", "dr-os")
FEW = ("ips", "sndr")
THREE = Feedback([1, 0, 2], [0.5, 0.25, 0.5], [0.5, 0.5, 1.0])
POLICY = ((1.0, 0),)
PAIR = ((1.0, 0), (-1.0, 1))


def make(rng, n=60, groups=None):
    """Two policies' feedback on the same n rows with rewards in [0, 1]."""
    propensity, cluster = rng.uniform(0.1, 1.0, n), None if groups is None else rng.integers(0, groups, n)
    reward, logged = rng.uniform(0, 1, n) ** 3, rng.uniform(0, 1, n)
    return [Feedback(reward, propensity, rng.uniform(0, 1, n), logged, rng.uniform(0, 1, n), cluster) for _ in range(2)]


def part_of(feedback, chosen):
    names = ("reward", "propensity", "target", "predicted_logged", "predicted_target", "cluster")
    columns = {name: getattr(feedback, name) for name in names}
    return Feedback(**{name: None if column is None else column[chosen] for name, column in columns.items()})


def tally_of(feedback, names=NAMES):
    tally = Tally(len(feedback), resolve(names, feedback[0].has))
    tally.add(*feedback)
    return tally


def ends(estimates):
    return np.array([[each.value, each.low, each.high] for each in estimates])


def test_normal_interval_of_three_rows_is_the_sum_done_by_hand():
    """w r = 1, 0, 4 about 5/3: squares 4/9 + 25/9 + 49/9 = 78/9; variance of the mean 78/9 / 2 / 3 = 13/9."""
    (answer,) = estimate(THREE, ("ips",), interval="normal")
    half = stdtrit(2, 0.975) * np.sqrt(13 / 9)
    assert [answer.low, answer.high] == pytest.approx([5 / 3 - half, 5 / 3 + half], rel=1e-12)
    assert answer.interval == "normal"


def test_anytime_interval_of_three_rows_is_the_sum_done_by_hand():
    """rho^2 = (2 log 20 + log(1 + 2 log 20)) / 1000 = (5.991465 + 1.944690) / 1000, x = 3 rho^2 = .0238085."""
    (answer,) = estimate(THREE, ("ips",), interval="anytime")
    factor = np.sqrt(2 * (1 + 1 / 0.0238085) * (np.log(1.0238085) / 2 + np.log(20)))
    assert answer.high - answer.value == pytest.approx(factor * np.sqrt(13 / 9), rel=1e-5)


def test_bernstein_interval_of_three_rows_is_the_sum_done_by_hand():
    """Variance 13/3, L = log 80, w r in [0, 4 x 2] since the least propensity is 1/4 and the largest reward 2."""
    (answer,) = estimate(THREE, ("ips",), interval="bernstein")
    off = np.sqrt(2 * 13 / 3 * np.log(80) / 3) + 7 * 8 * np.log(80) / (3 * 2)
    assert [answer.low, answer.high] == pytest.approx([5 / 3 - off, 5 / 3 + off], rel=1e-12)
    (wider,) = estimate(THREE, ("ips",), interval="bernstein", reward_range=(0, 3))
    off += 7 * 4 * np.log(80) / (3 * 2)
    assert [wider.low, wider.high] == pytest.approx([5 / 3 - off, 5 / 3 + off], rel=1e-12)


@pytest.mark.parametrize("groups", [None, 900])
def test_bernstein_ends_of_snips_are_the_values_that_the_bound_just_does_not_refute(groups):
    """At an end v, |mean of the groups' sums of w (r - v)| is sqrt(2 V L / G) + 7 R L / (3 (G - 1))."""
    rng = np.random.default_rng(1)
    n = 3_000
    cluster = None if groups is None else rng.integers(0, groups, n)
    feedback = Feedback(rng.uniform(0, 1, n), rng.uniform(0.5, 1.0, n), rng.uniform(0, 1, n), cluster=cluster)
    (answer,) = estimate(feedback, (Snips(),), interval="bernstein", reward_range=(0.0, 1.0))
    assert 0 < answer.low < answer.value < answer.high < 1
    weight, label = feedback.target / feedback.propensity, np.arange(n) if cluster is None else cluster
    for end in (answer.low, answer.high):
        sums = np.bincount(label, weights=weight * (feedback.reward - end))
        sums, rows = sums[np.bincount(label) > 0], np.bincount(label).max()
        number, log = len(sums), np.log(80)
        spread = np.sqrt(2 * sums.var(ddof=1) * log / number)
        assert abs(sums.mean()) == pytest.approx(
            spread + 7 * rows * log / feedback.propensity.min() / (3 * (number - 1)), rel=1e-9
        )


def test_bernstein_has_no_bounds_where_weights_have_none():
    rng = np.random.default_rng(2)
    slate = Feedback(rng.uniform(0, 1, 50), np.full(50, 0.5), np.full(50, 0.5), slate_weight=rng.normal(1, 1, 50))
    (answer,) = estimate(slate, ("pi",), interval="bernstein")
    assert (answer.low, answer.high) == (-np.inf, np.inf)


@pytest.mark.parametrize("given", [(0.0, 1.0), (2.0, 0.0), (0.0, np.inf)])
def test_a_reward_range_that_cannot_be_is_refused(given):
    with pytest.raises(InputError, match="reward_range is"):
        estimate(THREE, ("ips",), interval="bernstein", reward_range=given)


def test_an_unknown_interval_is_refused():
    with pytest.raises(InputError, match='there is no interval "wald"; choose from skew, normal'):
        estimate(THREE, ("ips",), interval="wald")


@given(a=st.floats(-0.5, 0.5), b=st.floats(-0.3, 0.3), t=st.floats(-6, 6))
def test_halls_transformation_is_undone_by_its_inverse(a, b, t):
    g = Transformation(a, b, 10.0)
    # The slope (1 + a t)^2 may be 0, where a cube root keeps a third of the digits.
    assert g.invert(g.apply(t)) == pytest.approx(t, abs=2e-4)
    assert g.apply(t + 0.1) >= g.apply(t)


def test_skew_interval_of_a_mean_is_the_sum_done_by_hand():
    """Rewards 0 x 90 and 1 x 10: l = -.1 or .9 over sqrt(9); s = (10 .729 - 90 .001) / 27 = .2667.

    sum l^6 = (10 .531441 + 90 .000001) / 729 = .00729; s shrinks by 1 - .00729 / .07111 = .8975 to .23933. sum l^4 =
    (10 .6561 + 90 .0001) / 81 = .081111, so there are 2 / (.081111 - .01) = 28.125 degrees of freedom.
    """
    one = np.ones(100)
    (answer,) = estimate(Feedback(np.repeat([1.0, 0.0], [10, 90]), one, one), ("ips",), interval="skew")
    s = 0.8 / 3 * (1 - 0.0072900 / (0.8 / 3) ** 2)
    x, error = stdtrit(28.125, 0.975), np.sqrt(0.09 / 99)
    for end, quantile in ((answer.low, x), (answer.high, -x)):
        t = (np.cbrt(1 + s * (quantile - s / 6)) - 1) / (s / 3)
        assert end == pytest.approx(0.1 - error * t, rel=1e-5)


@pytest.mark.parametrize("name", ["ips", "snips", "sndr"])
def test_skew_terms_are_the_derivatives_by_the_weights_of_groups(name):
    """k and d of `transformation` from first and second differences of the value in every group's weight."""
    rng = np.random.default_rng(3)
    (feedback, _) = make(rng, 40, 12)
    ids, label = np.unique(feedback.cluster, return_inverse=True)
    (only,) = resolve((name,), feedback.has)
    w, r = feedback.target / feedback.propensity, feedback.reward
    q, m = feedback.predicted_logged, feedback.predicted_target
    columns = {"ips": (w * r,), "snips": (w * r, w), "sndr": (m, w * (r - q), w)}[name]

    def value(step):
        weights = (1.0 + step)[label]
        return only.at(np.array([weights @ column for column in columns]) / weights.sum())[0]

    size, groups = 1e-4, len(ids)
    step = size * np.eye(groups)
    first = np.array([value(e) - value(-e) for e in step]) / (2 * size)
    second = np.array([[value(e + f) - value(e - f) - value(f - e) + value(-e - f) for f in step] for e in step])
    second /= 4 * size**2
    error = np.sqrt(first @ first)
    k, d = first @ second @ first / error**3, np.trace(second) / 2 / error
    got = transformation(tally_of([feedback], (name,))._statistic(POLICY, only))
    s = np.sum(first**3) / error**3
    s *= max(0.0, 1.0 - np.sum(first**6) / error**6 / s**2)
    assert [got.a, got.b] == pytest.approx([s / 3 + k / 2, s / 6 + k / 2 - d], abs=1e-5)


@pytest.mark.parametrize("groups", [None, 8])
@pytest.mark.parametrize("signed", [POLICY, PAIR])
def test_bootstrap_replicates_are_the_estimates_of_the_rows_drawn(groups, signed):
    rng = np.random.default_rng(4)
    feedback = make(rng, 24, groups)
    label = np.arange(24) if groups is None else np.unique(feedback[0].cluster, return_inverse=True)[1]
    number = label.max() + 1
    times = rng.multinomial(number, np.full(number, 1 / number), size=5).astype(np.uint16)
    tally = tally_of(feedback)
    for estimator in tally.estimators:
        values, errors = replicates(tally._statistic(signed, estimator), times)
        for place, drawn in enumerate(times):
            # Every time a group is drawn it is a group of its own.
            copies = [(group, np.flatnonzero(label == group)) for group in np.repeat(np.arange(number), drawn)]
            rows = np.concatenate([its for _, its in copies])
            cluster = np.repeat(np.arange(len(copies)), [len(its) for _, its in copies])
            again = [part_of(each, rows) for each in feedback]
            again = [
                Feedback(
                    each.reward, each.propensity, each.target, each.predicted_logged, each.predicted_target, cluster
                )
                for each in again
            ]
            if signed is POLICY:
                (want,) = estimate(again[0], (estimator,))
            else:
                (want,) = compare(*again, (estimator,))
            assert [values[place], errors[place]] == pytest.approx([want.value, want.standard_error], abs=1e-12)


def test_bootstrap_takes_the_quantiles_of_the_studentised_replicates():
    rng = np.random.default_rng(5)
    tally = tally_of(make(rng, 80)[:1], ("snips",))
    (answer,) = tally.estimates(0, 0.9, "bootstrap", rng=np.random.default_rng(6))
    statistic = tally._statistic(POLICY, tally.estimators[0])
    values, errors = replicates(statistic, resamples(80, np.random.default_rng(6)))
    t = np.sort((values - answer.value) / errors)
    assert REPLICATES == 1_999
    assert answer.low == pytest.approx(answer.value - answer.standard_error * t[1_899], rel=1e-12)
    assert answer.high == pytest.approx(answer.value - answer.standard_error * t[99], rel=1e-12)


def test_bootstrap_answers_the_same_question_with_the_same_numbers():
    (feedback, _) = make(np.random.default_rng(7), 50)
    assert (ends(estimate(feedback, interval="bootstrap")) == ends(estimate(feedback, interval="bootstrap"))).all()
    times = resamples(50)
    assert (times.sum(axis=1) == 50).all()
    # A block occurs 1,999 times on average, with variance 1,999 (1 - 1/50): six standard errors.
    assert np.abs(times.sum(axis=0) - 1_999.0).max() < 6 * np.sqrt(1_999)


@pytest.mark.parametrize("groups", [None, 12])
@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), parts=st.integers(1, 4))
def test_every_kind_of_interval_is_that_of_all_rows_after_a_merge_of_parts(groups, seed, parts):
    rng = np.random.default_rng(seed)
    feedback = make(rng, 40, groups)
    whole, merged = tally_of(feedback, FEW), Tally(2, resolve(FEW, feedback[0].has))
    cuts = np.sort(rng.integers(0, 41, parts - 1))
    for rows in np.split(np.arange(40), cuts):
        piece = Tally(2, merged.estimators)
        piece.add(*(part_of(each, rows) for each in feedback))
        merged = merged + piece
    for kind in KINDS:
        got = np.vstack([ends(merged.estimates(0, 0.9, kind)), ends(merged.difference(0, 1, 0.9, kind))])
        want = np.vstack([ends(whole.estimates(0, 0.9, kind)), ends(whole.difference(0, 1, 0.9, kind))])
        assert got == pytest.approx(want, rel=1e-8, abs=1e-9), kind


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_a_cluster_is_no_clusters_whatever_the_interval(kind):
    (feedback, _) = make(np.random.default_rng(8), 100)
    own = Feedback(
        feedback.reward,
        feedback.propensity,
        feedback.target,
        feedback.predicted_logged,
        feedback.predicted_target,
        np.arange(100),
    )
    got, want = ends(estimate(own, interval=kind)), ends(estimate(feedback, interval=kind))
    assert got == pytest.approx(want, rel=1e-9)


def test_blocks_of_rows_are_every_blocks_th_row_in_any_batches_and_after_a_merge():
    rng = np.random.default_rng(9)
    terms = rng.normal(5.0, 1.0, (2, 3 * SUM_BLOCKS + 100))
    want = np.zeros((2, SUM_BLOCKS))
    np.add.at(want, (slice(None), np.arange(terms.shape[1]) % SUM_BLOCKS), terms)
    whole, pieces, left, right = (RowSums(2) for _ in range(4))
    whole.add(terms)
    for start in range(0, terms.shape[1], 1_000):
        pieces.add(terms[:, start : start + 1_000])
    left.add(terms[:, :9_999])
    right.add(terms[:, 9_999:])
    for each in (whole, pieces, left + right):
        summary = each.summary()
        assert summary.deviations + summary.mean[:, None] * summary.counts == pytest.approx(want, rel=1e-11)
        assert summary.counts.sum() == summary.n


@pytest.mark.parametrize("scatter", [RowSums, ClusterSums])
def test_skewness_from_blocks_is_that_of_all_groups_up_to_its_noise(scatter):
    """The total's skewness is 2 / sqrt(n) for exponential rows; blocks add noise of sqrt(15) / SUM_BLOCKS = .0005."""
    rng = np.random.default_rng(10)
    rows = rng.exponential(1.0, 3 * SUM_BLOCKS)
    seen = scatter(1)
    seen.add(rows[None], np.arange(len(rows)))
    summary = seen.summary()
    centred = rows - rows.mean()
    exact = np.sum(centred**3) / np.sum(centred**2) ** 1.5
    blocks = np.sum(summary.deviations[0] ** 3) / summary.scatter[0, 0] ** 1.5
    assert summary.deviations.shape == (1, SUM_BLOCKS)
    assert blocks == pytest.approx(exact, abs=4 * np.sqrt(15) / SUM_BLOCKS)
    assert exact > 6 * np.sqrt(15) / SUM_BLOCKS


def test_a_selection_answers_with_the_value_it_chooses_and_the_interval_of_its_first_candidate():
    class Second:
        name, needs = "second", "predictions"
        candidates = resolve(("ips", "dr"), predictions=True)

        def choose(self, values, errors):
            assert np.isfinite(errors).all()
            return 1

    feedback = make(np.random.default_rng(11), 50)
    for kind in KINDS:
        got, first, second = (compare(*feedback, (each,), interval=kind)[0] for each in (Second(), "ips", "dr"))
        assert got.name == "second"
        assert got.value == second.value
        assert (got.low, got.high) == (min(first.low, second.value), max(first.high, second.value))
