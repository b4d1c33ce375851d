"""SLOPE: its rule by hand and against a plain loop, its candidates, and its mean squared error."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bandit.errors import InputError
from bandit.ope import ESTIMATORS, Feedback, Tally, estimate, resolve
from bandit.ope.estimator import Selection
from bandit.ope.estimators.clipped_ips import ClippedIps
from bandit.ope.estimators.dm import DirectMethod
from bandit.ope.estimators.slope import SLOPE_MAX_WEIGHTS, Slope
from bandit.ope.feedback import NEED_COLUMNS
from tests.ope.tools import make, rows

SLOPES = ("clipped-ips-slope", "switch-dr-slope", "dr-os-slope")
THREE = Slope("three", tuple(ClippedIps(largest) for largest in (4.0, 2.0, 1.0)))


@pytest.mark.parametrize(
    ("values", "errors", "index"),
    [
        # [0, 4], [1, 3], [2, 3]: 2 to 3 is in all.
        ([2.0, 2.0, 2.5], [1.0, 0.5, 0.25], 2),
        # [0, 4], [3, 5], [4.5, 5.5]: the third meets the second but not the first.
        ([2.0, 4.0, 5.0], [1.0, 0.5, 0.25], 1),
        # [0, 4], [7, 9]: the second is apart; the third, which meets the first, comes too late.
        ([2.0, 8.0, 2.0], [1.0, 0.5, 0.25], 0),
        # Widths out of order: the first is made as wide as the third, [-6, 10], and meets [7, 9] and [-6, 10].
        ([2.0, 8.0, 2.0], [0.1, 0.5, 4.0], 2),
        # Intervals that touch meet.
        ([0.0, 3.0, 3.0], [1.0, 0.5, 0.5], 2),
        # Nothing is known: no reason to accept a bias.
        ([2.0, 1.0, 0.0], [np.inf, np.inf, np.inf], 0),
        ([2.0, 1.0, 0.0], [np.inf, 1.0, 1.0], 2),
        ([2.0, np.nan, 2.0], [1.0, 1.0, 1.0], 0),
        ([np.nan, 2.0, 2.0], [1.0, 1.0, 1.0], 0),
        # All alike and certain, but for the last digit.
        ([0.1 + 0.2, 0.3, 0.3], [0.0, 0.0, 0.0], 2),
    ],
)
def test_the_choice_is_the_one_found_by_hand(values, errors, index):
    assert THREE.choose(np.array(values), np.array(errors)) == index


@settings(max_examples=100, deadline=None)
@given(
    values=arrays(np.float64, 6, elements=st.integers(-8, 8).map(float)),
    errors=arrays(np.float64, 6, elements=st.integers(1, 12).map(lambda quarters: quarters / 4)),
)
def test_the_choice_is_that_of_a_plain_loop(values, errors):
    kept: list[tuple[float, float]] = []
    for place in range(6):
        half = 2 * errors[place:].max()
        now = (values[place] - half, values[place] + half)
        if any(now[0] > other[1] or now[1] < other[0] for other in kept):
            break
        kept.append(now)
    assert THREE.choose(values, errors) == len(kept) - 1


@pytest.mark.parametrize("name", SLOPES)
def test_the_registered_ones_are_selections_with_candidates_in_the_order_of_bias(name):
    slope = ESTIMATORS[name]
    assert isinstance(slope, Selection)
    assert slope.name == name
    assert {each.needs for each in slope.candidates} == {slope.needs}
    assert list(SLOPE_MAX_WEIGHTS) == sorted(SLOPE_MAX_WEIGHTS, reverse=True)
    assert (SLOPE_MAX_WEIGHTS[0], SLOPE_MAX_WEIGHTS[-1]) == (np.inf, 1.0)


def test_candidates_go_from_no_clipping_to_the_direct_method():
    """Weights up to 50, a model that is wrong by 1 everywhere: each candidate is nearer to dm than the one before."""
    rng = np.random.default_rng(1)
    propensity, target = rng.uniform(0.02, 1.0, 500), rng.uniform(0.0, 1.0, 500)
    feedback = Feedback(rng.uniform(1, 2, 500), propensity, target, rng.uniform(0, 1, 500), np.zeros(500))
    ips, dm, dr = (each.value for each in estimate(feedback, ("ips", "dm", "dr")))
    for name, first, last in (("clipped-ips-slope", ips, None), ("switch-dr-slope", dr, dm), ("dr-os-slope", dr, dm)):
        values = [estimate(feedback, (each,))[0].value for each in ESTIMATORS[name].candidates]
        assert values[0] == pytest.approx(first, rel=1e-12)
        assert (np.diff(values) <= 1e-12).all()
        if last is not None:
            assert values[-1] == pytest.approx(last, abs=1e-12)
    kept = estimate(feedback, (ESTIMATORS["clipped-ips-slope"].candidates[-1],))[0].value
    assert kept == pytest.approx(np.mean(np.minimum(target / propensity, 1.0) * feedback.reward), rel=1e-12)


@pytest.mark.parametrize("name", SLOPES)
@pytest.mark.parametrize("groups", [None, 40])
def test_the_answer_is_the_chosen_value_with_the_interval_of_the_least_biased(name, groups):
    rng = np.random.default_rng(5)
    feedback = Feedback(
        reward=rng.exponential(1.0, 300),
        propensity=np.where(rng.random(300) < 0.95, 0.5, 0.002),
        target=rng.uniform(0.0, 1.0, 300),
        predicted_logged=rng.uniform(0.5, 1.5, 300),
        predicted_target=rng.uniform(0.5, 1.5, 300),
        cluster=None if groups is None else rng.integers(0, groups, 300),
    )
    slope = ESTIMATORS[name]
    each = [estimate(feedback, (candidate,))[0] for candidate in slope.candidates]
    chosen = slope.choose(np.array([e.value for e in each]), np.array([e.standard_error for e in each]))
    (answer,) = estimate(feedback, (name,))
    assert chosen > 0
    assert answer.name == name
    assert answer.value == pytest.approx(each[chosen].value, rel=1e-12)
    first = each[0]
    assert answer.standard_error == pytest.approx(first.standard_error, rel=1e-9)
    assert answer.low == pytest.approx(min(first.low, answer.value), rel=1e-9)
    assert answer.high == pytest.approx(max(first.high, answer.value), rel=1e-9)


@pytest.mark.parametrize("name", SLOPES)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), factor=st.sampled_from([-2.0, 0.25, 128.0]))
def test_order_parts_and_the_unit_of_the_reward_do_not_change_the_choice(name, seed, factor):
    rng = np.random.default_rng(seed)
    feedback = make(rng, 90, 30)
    (want,) = estimate(feedback, (name,))
    order = rng.permutation(90)
    merged = Tally(1, resolve((name,), feedback.has))
    for part in (order[:20], order[20:50], order[50:]):
        piece = Tally(1, resolve((name,), feedback.has))
        piece.add(rows(feedback, part))
        merged = merged + piece
    assert merged.estimates()[0].value == pytest.approx(want.value, rel=1e-9, abs=1e-12)
    scaled = {column: factor * getattr(feedback, column) for column in ("reward", *NEED_COLUMNS["predictions"])}
    (other,) = estimate(replace(feedback, **scaled), (name,))
    assert other.value == pytest.approx(factor * want.value, rel=1e-9, abs=1e-12)


def test_neighbours_differ_by_a_bounded_factor():
    """What the grid says of itself: root mean squares at most 2 (clipped) and 4 (shrunk) times those of the next."""
    weight = np.exp(np.random.default_rng(2).normal(0.0, 2.0, 2_000))
    rows = SimpleNamespace(weight=weight, reward=np.ones(2_000), predicted_logged=np.zeros(2_000))
    for name, bound in (("clipped-ips-slope", 2.0), ("dr-os-slope", 4.0)):
        finite = ESTIMATORS[name].candidates[1:]
        sizes = [np.sqrt(np.mean(each.terms[-1](rows) ** 2)) for each in finite if each.name != "dm"]
        steps = np.array(sizes[:-1]) / sizes[1:]
        assert (steps >= 1.0).all()
        assert (steps <= bound).all()


def draw(rng, n, rare):
    """n rows of two offers: the target takes the one that logging takes with probability `rare`; both pay 1 in mean."""
    taken = rng.random(n) < rare
    return Feedback(rng.exponential(1.0, n), np.where(taken, rare, 1 - rare), np.where(taken, 1.0, 0.0))


def runs_of(n, rare, runs):
    """What ips, weights of at most 1 and SLOPE miss of the truth, 1, a run a row; and SLOPE's standard errors."""
    rng = np.random.default_rng(4)
    slope = ESTIMATORS["clipped-ips-slope"]
    off, width = np.empty((runs, 3)), np.empty(runs)
    for run in range(runs):
        rows = draw(rng, n, rare).rows()
        terms = np.stack([each.terms[0](rows) for each in slope.candidates])
        values, errors = terms.mean(axis=1), terms.std(axis=1, ddof=1) / np.sqrt(n)
        chosen = slope.choose(values, errors)
        off[run] = values[0] - 1, values[-1] - 1, values[chosen] - 1
        width[run] = errors[chosen]
    return off, width


def test_slope_does_not_clip_where_the_bias_is_detectable():
    """rare = .2, n = 20,000: ips errs by sqrt((2/.2 - 1)/20000) = .021, weights of at most 1 by .8; SLOPE as ips does.

    To clip 5 at 4 takes away .2, more than 2 (.021 + .017): it is seen.
    """
    ips, clipped, slope = np.sqrt(np.mean(runs_of(20_000, 0.2, 100)[0] ** 2, axis=0))
    assert ips == pytest.approx(0.021, rel=0.25)
    assert clipped == pytest.approx(0.8, rel=0.05)
    assert slope == pytest.approx(ips, rel=1e-12)


def test_slope_clips_where_the_noise_is_larger_than_the_bias():
    """rare = .001, n = 100: one row in ten logs has the weight 1,000, ips errs by sqrt((2000 - 1)/100) = 4.5."""
    ips, clipped, slope = np.sqrt(np.mean(runs_of(100, 0.001, 600)[0] ** 2, axis=0))
    assert ips > 2.5
    assert clipped == pytest.approx(1.0, abs=0.05)
    assert slope < 0.5 * ips


def test_the_selected_candidates_own_interval_does_not_cover_the_accepted_bias():
    """rare = .2, n = 2,000: to clip 5 at 4 takes away .2, less than 2 (.067 + .054), and is four standard errors.

    Its intervals cover the truth in no more than one log of five. They must not be what a verdict rests on.
    """
    off, width = runs_of(2_000, 0.2, 200)
    assert np.mean(np.abs(off[:, 2]) < 1.96 * width) < 0.2
    assert np.sqrt(np.mean(off[:, 2] ** 2)) < 0.35 * np.sqrt(np.mean(off[:, 1] ** 2))


def test_a_selection_needs_candidates_with_the_same_needs():
    with pytest.raises(InputError, match="has no candidates"):
        Slope("empty", ())
    with pytest.raises(InputError, match="need different columns"):
        Slope("mixed", (ClippedIps(2.0), DirectMethod()))
