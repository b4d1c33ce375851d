"""The samples of a long log, in order of time and for the search of crosses: those of parts are those of all."""

import numpy as np

from bandit.policies.thompson import ordered_sample
from bandit.policies.thompson.drawn_sample import SampleDraw
from bandit.policies.thompson.outcome_sample import OutcomeSample
from bandit.policies.thompson.part_fit import LogParts
from bandit.policies.thompson.training_rows import AgeWeights, ModelColumns, TrainingRecipe
from tests.evaluate.partitioned_log import PicklingRunner, in_parts
from tests.policies.thompson.test_part_fit import CATALOGUE, fitted, made_log


def sampled(log, runner=None):
    return list(ordered_sample.sampled_in_order(LogParts.of_log(log, runner), np.inf))


def test_a_long_log_is_sampled_in_order_of_time_whatever_its_parts_are(monkeypatch):
    """1,500 decisions, of which 400 may be learned in order; the control is the log itself, which has all of them."""
    log = made_log(1, n=1_500, customers=300)
    assert sum(map(len, sampled(log))) == 1_500
    monkeypatch.setattr(ordered_sample, "ORDERED_ROWS", 400)
    whole, parts = sampled(log), sampled(in_parts(log, 5, np.random.default_rng(2)), PicklingRunner())
    times = np.concatenate([batch.time for batch in whole])
    assert len(times) == 400
    assert (np.diff(times) >= 0).all()
    assert np.array_equal(times, np.concatenate([batch.time for batch in parts]))
    assert [batch.contexts.customers.tolist() for batch in whole] == [
        batch.contexts.customers.tolist() for batch in parts
    ]


def drawn(log, size, runner=None):
    policy = fitted(made_log(4, n=600, customers=100), methods=["crosses"], personal=False)
    belief = policy.online.belief
    parts = LogParts.of_log(log, runner).of(TrainingRecipe(belief.encoder, AgeWeights(None, 0)))
    counts = parts.counts()
    share = (counts.responses + 1.0) / (counts.n + 2.0)
    sample = OutcomeSample(belief.encoder.n_context, cases=True)
    sample.size = size
    parts.sample(ModelColumns.of(belief.main), SampleDraw(size, share)).put_into(sample, counts.n, counts.responses)
    return sample


def test_the_outcomes_that_are_drawn_are_the_same_whatever_the_parts_are():
    log = made_log(1, n=3_000, customers=500)
    whole, parts = (
        drawn(each, 700, PicklingRunner()).state() for each in (log, in_parts(log, 6, np.random.default_rng(2)))
    )
    assert all(np.array_equal(whole[name], parts[name]) for name in ("contexts", "values", "counts"))


def test_the_drawn_outcomes_stand_for_all_of_them():
    """The weights of 700 of 3,000 outcomes sum to 3,000 within 4 standard errors (each weight about 4.3 or 1: .04 of
    the sum), and so do those of one offer to its number; of a log that fits, every outcome counts once."""
    log = made_log(1, n=3_000, customers=500)
    found = drawn(log, 700).outcomes()
    assert len(found.y) == 700
    assert abs(found.weight.sum() / 3_000 - 1.0) < 0.16
    first = log.whole.offer == 0
    assert abs(found.weight[found.offer == 0].sum() / first.sum() - 1.0) < 0.4
    assert found.y.mean() > log.whole.converted.mean()  # responses are preferred
    every = drawn(log, 4_000).outcomes()
    assert (every.weight == 1.0).all()
    assert len(every.y) == 3_000
    assert CATALOGUE.n_offers == 6
