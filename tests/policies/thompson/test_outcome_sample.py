"""The sample of outcomes: bounded, unbiased, the same however the outcomes were batched."""

from itertools import pairwise

import numpy as np
import pytest

from bandit.policies.thompson.outcome_sample import OutcomeSample, _uniform, uniforms

D = 3


def outcomes(n, seed=1, rate=0.1):
    rng = np.random.default_rng(seed)
    contexts = np.column_stack([np.ones(n), rng.integers(0, 2, n), rng.normal(size=n)])
    y = (rng.random(n) < rate * (1.0 + contexts[:, 1])).astype(float)
    return contexts, rng.integers(0, 5, n), y, np.ones(n), np.zeros(n)


def sample_of(parts, size=500, cases=True):
    sample = OutcomeSample(D, cases)
    sample.size = size
    for part in parts:
        sample.add(*part)
    return sample


def split(columns, cuts):
    return [tuple(column[start:stop] for column in columns) for start, stop in pairwise(cuts)]


def test_a_number_mixed_alone_is_that_of_the_batch():
    numbers = np.array([0, 1, 2, 10**6, 2**40], dtype=np.uint64)
    assert uniforms(numbers).tolist() == [_uniform(int(number)) for number in numbers]


def test_the_numbers_are_uniform():
    """The mean of 100,000 uniform numbers is 1/2 with deviation 1 / sqrt(12 x 100,000) = 0.0009: within four of it."""
    found = uniforms(np.arange(100_000, dtype=np.uint64))
    assert abs(found.mean() - 0.5) < 0.0037
    assert abs((found < 0.1).mean() - 0.1) < 4 * np.sqrt(0.09 / 100_000)
    assert abs(np.corrcoef(found[1:], found[:-1])[0, 1]) < 4 / np.sqrt(100_000)


@pytest.mark.parametrize("cuts", [(0, 3_000), (0, 1, 2, 700, 3_000), (0, 499, 500, 501, 2_999, 3_000)])
def test_the_sample_does_not_depend_on_the_batches(cuts):
    columns = outcomes(3_000)
    one, other = (sample_of(parts).state() for parts in (split(columns, cuts), split(columns, range(0, 3_001, 60))))
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name])


def test_few_outcomes_are_all_kept_and_count_once():
    columns = outcomes(400)
    kept = sample_of([columns]).outcomes()
    np.testing.assert_array_equal(kept.y, columns[2])
    assert (kept.weight == 1.0).all()


def test_sums_over_the_sample_are_those_over_all_in_the_mean():
    """10,000 outcomes, 1,500 or so with a response, 500 kept, 60 times.

    The number of outcomes, of responses and of outcomes with the second column are found within four standard errors.
    """
    found = []
    for seed in range(60):
        columns = outcomes(10_000, seed)
        sample = sample_of([])
        sample._number = 10_000 * seed  # else all samples would have the same uniform numbers
        sample.add(*columns)
        kept = sample.outcomes()
        assert len(kept.y) == 500
        ones = columns[0][:, 1]
        exact = np.array([10_000, columns[2].sum(), ones.sum()])
        sums = np.array([kept.weight.sum(), kept.weight @ kept.y, kept.weight @ kept.contexts[:, 1]])
        found.append(sums / exact - 1.0)
    off, error = np.mean(found, axis=0), np.std(found, axis=0) / np.sqrt(len(found))
    assert (np.abs(off) < 4.0 * error).all()
    # The negative control: without their weights, the responses are far too many.
    assert kept.y.mean() > 2.0 * columns[2].mean()


def test_a_correction_replaces_one_outcome_that_is_kept():
    contexts, offer, y, weight, offset = outcomes(300)
    sample = sample_of([(contexts, offer, y, weight, offset)])
    row = int(np.flatnonzero(y == 0.0)[7])
    sample.replace(contexts[row : row + 1], offer[row : row + 1], y[row : row + 1], np.array([1.0]))
    assert sample.outcomes().y.sum() == y.sum() + 1.0
    sample.replace(contexts[row : row + 1], offer[row : row + 1], np.array([7.0]), np.array([0.0]))
    assert sample.outcomes().y.sum() == y.sum() + 1.0  # no such outcome is there: nothing changes


def test_corrections_at_once_are_corrections_one_by_one():
    """500 corrections of 300 outcomes of only two contexts and two offers, so that each finds several and some none."""
    contexts, offer, y, weight, offset = outcomes(300)
    contexts, offer = np.repeat(contexts[:, 1:2] > 0.0, contexts.shape[1], axis=1).astype(float), offer % 2
    rng = np.random.default_rng(4)
    rows, before = rng.integers(0, 300, 500), rng.integers(0, 3, 500).astype(float)
    after = rng.integers(0, 3, 500).astype(float)
    once, single = (sample_of([(contexts, offer, y, weight, offset)]) for _ in range(2))
    once.replace(contexts[rows], offer[rows], before, after)
    for place, row in enumerate(rows):
        one = slice(place, place + 1)
        single.replace(contexts[row : row + 1], offer[row : row + 1], before[one], after[one])
    np.testing.assert_array_equal(once.outcomes().y, single.outcomes().y)
    assert (once.outcomes().y != y).sum() > 20


def test_what_is_kept_fades():
    sample = sample_of([outcomes(300)])
    sample.decay(0.5)
    assert sample.outcomes().weight.sum() == 150.0


def test_a_restored_sample_goes_on_as_the_first():
    columns = outcomes(2_000)
    first = sample_of(split(columns, (0, 1_200)))
    second = sample_of([])
    second.restore(first.state(), 5)
    for sample in (first, second):
        sample.add(*(column[1_200:] for column in columns))
    for name, array in first.state().items():
        np.testing.assert_array_equal(array, second.state()[name])


@pytest.mark.parametrize("at_once", [True, False])
def test_a_correction_changes_the_same_outcome_in_a_restored_sample(at_once):
    """6,000 outcomes of two contexts and five offers, 500 kept, corrected as they come, stored and loaded in between.

    Some 50 kept outcomes have the same context, offer and response, so that a correction may change any of them; a
    sample that was trimmed has them in another order in memory than one that was loaded.
    """
    contexts, offer, y, weight, offset = outcomes(6_000)
    contexts[:, 2] = 0.0
    amounts = 1.0 + y
    never, often = (sample_of([], cases=False) for _ in range(2))
    for start in range(0, 6_000, 300):
        part = slice(start, start + 300)
        rows = np.arange(start, start + 300, 7)
        if start % 900 == 300:
            stored, often = often.state(), sample_of([], cases=False)
            often.restore(stored, 5)
        for sample in (never, often):
            sample.add(contexts[part], offer[part], amounts[part], weight[part], offset[part])
            for some in [rows] if at_once else rows[:, None]:
                sample.replace(contexts[some], offer[some], amounts[some], amounts[some] + 3.0)
    assert (never.outcomes().y > 2.5).sum() > 20
    for name, array in never.state().items():
        np.testing.assert_array_equal(array, often.state()[name])


@pytest.mark.parametrize("change", ["offer", "weight", "shape"])
def test_a_state_that_does_not_fit_is_refused(change):
    state = sample_of([outcomes(100)]).state()
    values = state["values"].copy()
    if change == "offer":
        values[0, 0] = 5
    elif change == "weight":
        values[0, 3] = -1.0
    else:
        values = values[:, :4]
    with pytest.raises(ValueError, match="its sample of outcomes"):
        sample_of([]).restore(state | {"values": values}, 5)
