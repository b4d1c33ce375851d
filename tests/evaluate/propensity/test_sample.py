"""The sample that propensities are estimated from, and its columns."""

import numpy as np

from bandit.encoding.encoder import Encoder
from bandit.evaluate.propensity.sample import ChoiceSample, FactColumns
from tests.evaluate.propensity.choice_market import CATALOGUE, N, facts, log_by, soft


def test_a_sample_is_even_over_the_log_and_no_larger_than_asked():
    """Of 20 batches of 500, 1,000 rows: 50 +- 7 of each batch; 5 sigma is 34."""
    rng = np.random.default_rng(9)
    contexts = facts(rng, 10_000)
    whole = log_by(contexts, soft(contexts), rng).whole
    sample = ChoiceSample(1_000, rng)
    for start in range(0, 10_000, 500):
        sample.add(whole.take(slice(start, start + 500)), np.full(500, start / 10_000))
    rows = sample.result()
    assert (rows.contexts.n, len(rows), sample.n_seen, rows.masks.shape) == (1_000, 1_000, 10_000, (1, N))
    assert (rows.which == 0).all()
    assert np.abs(np.unique(rows.shares, return_counts=True)[1] - 50).max() < 34


def test_missing_numbers_are_above_no_step():
    contexts = CATALOGUE.contexts({"age": [10.0, None, 30.0, 20.0], "kind": ["a", None, "c", "b"]})
    columns = FactColumns(CATALOGUE, contexts).of(contexts)
    assert np.isfinite(columns).all()
    plain = Encoder(CATALOGUE).n_context - 1
    assert columns[:, plain:].tolist() == [[0.0, 0.0], [0.0, 0.0], [1.0, 1.0], [1.0, 0.0]]
