"""The sample that propensities are estimated from, and its columns."""

from dataclasses import replace
from functools import reduce
from operator import add

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bandit.encoding.encoder import Encoder
from bandit.errors import InputError
from bandit.evaluate.propensity.sample import ChoiceSample, FactColumns
from bandit.evaluate.saved_sums import dump_sums, merge_sums
from bandit.ope.clusters import ClusterIndex
from tests.evaluate.additive_market import CATALOGUE as MARKET
from tests.evaluate.additive_market import draw
from tests.evaluate.memory_log import MemoryLog
from tests.evaluate.partitioned_log import LogInParts, in_parts
from tests.evaluate.propensity.choice_market import CATALOGUE, N, facts, log_by, soft


def test_a_sample_is_even_over_the_log_and_no_larger_than_asked():
    """Of 20 batches of 500, 1,000 rows: 50 +- 7 of each batch; 5 sigma is 34."""
    rng = np.random.default_rng(9)
    contexts = facts(rng, 10_000)
    whole = log_by(contexts, soft(contexts), rng).whole
    shares = ClusterIndex().read(np.arange(10_000).astype(object), 10_000)[1]
    sample = ChoiceSample(1_000, 5)
    for start in range(0, 10_000, 500):
        rows = slice(start, start + 500)
        sample.add(whole.take(rows), np.arange(start, start + 500), shares[rows])
    rows = sample.result()
    assert (rows.contexts.n, len(rows), sample.n_seen, rows.masks.shape) == (1_000, 1_000, 10_000, (1, N))
    assert (rows.which == 0).all()
    order = np.argsort(shares)
    kept = order[np.searchsorted(shares[order], rows.shares)]
    assert np.abs(np.bincount(kept // 500, minlength=20) - 50).max() < 34


def sampled(log, most=400, seed=5):
    """The sample of some decisions, whose customers are known."""
    sample, keys = ChoiceSample(most, seed), ClusterIndex("fold")
    for batch in log.batches(300):
        sample.add(batch, *keys.read_batch(batch.contexts))
    return sample


def columns_of(sample):
    rows = sample.result()
    facts = rows.contexts.columns
    return [rows.offer, rows.masks[rows.which], rows.shares, rows.weight, *(facts[name] for name in sorted(facts))]


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), parts=st.integers(1, 7), unknown=st.sampled_from([0.0, 0.3, 1.0]))
def test_samples_of_parts_merge_in_any_order_to_the_sample_of_the_log(seed, parts, unknown):
    rng = np.random.default_rng(seed)
    whole = draw(rng, 1_500, customers=300).whole
    propensity = np.where(rng.random(1_500) < unknown, np.nan, whole.propensity)
    log = MemoryLog(replace(whole, propensity=propensity), MARKET)
    found = [sampled(part.open()) for part in in_parts(log, parts, rng).parts]
    rng.shuffle(found)
    by_bytes = merge_sums([dump_sums(each) for each in found])
    for merged in (reduce(add, found), by_bytes):
        assert merged.n_seen == sampled(log).n_seen
        for one, other in zip(columns_of(merged), columns_of(sampled(log)), strict=True):
            assert np.array_equal(one, other, equal_nan=True)


def test_the_sample_of_parts_that_share_customers_is_another_one():
    """Negative control: a customer's second decision is taken for a first one, and has another random number."""
    rng = np.random.default_rng(3)
    log = draw(rng, 1_500, customers=300)
    broken = LogInParts(log.whole, log.catalogue, np.arange(1_500) % 2)
    merged = reduce(add, [sampled(part.open()) for part in broken.parts])
    assert not np.array_equal(merged.result().shares, sampled(log).result().shares)


def test_samples_of_other_sizes_and_closed_ones_are_refused_in_a_sentence():
    log = draw(np.random.default_rng(3), 100, customers=30)
    one = sampled(log)
    with pytest.raises(InputError, match="these samples have other sizes or seeds; merge only parts of one log"):
        one + sampled(log, seed=6)
    with pytest.raises(InputError, match="this sample is closed"):
        (one + one).add(log.whole, None, np.zeros(100))


def test_missing_numbers_are_above_no_step():
    contexts = CATALOGUE.contexts({"age": [10.0, None, 30.0, 20.0], "kind": ["a", None, "c", "b"]})
    columns = FactColumns(CATALOGUE, contexts).of(contexts)
    assert np.isfinite(columns).all()
    plain = Encoder(CATALOGUE).n_context - 1
    assert columns[:, plain:].tolist() == [[0.0, 0.0], [0.0, 0.0], [1.0, 1.0], [1.0, 0.0]]
