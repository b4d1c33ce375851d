"""A log thinned by its outcomes and weighted is judged as the whole one by everything that reads it."""

from dataclasses import replace

import numpy as np
import pytest

from bandit.evaluate import evaluate
from bandit.evaluate.diagnostics.propensities import InversePropensitySums
from bandit.evaluate.propensity.estimated import EstimatedPropensities
from tests.evaluate.additive_market import CATALOGUE, GOOD, WARM, draw, truth
from tests.evaluate.memory_log import MemoryLog

ESTIMATORS = ["snips", "sndr", "dr", "dm", "mrdr", "switch-dr", "mips", "pi"]

BOTH = ["discount", "channel"]


def thinned(log, rng, share=0.1):
    """The log without nine in ten of the decisions that earned less than 2, the kept ones with weight 10."""
    low = log.whole.reward < 2.0
    kept = np.flatnonzero(~low | (rng.random(log.n) < share))
    part = log.whole.take(kept)
    return MemoryLog(replace(part, weight=np.where(low[kept], 1.0 / share, 1.0)), CATALOGUE)


def unweighted(log):
    return MemoryLog(replace(log.whole, weight=np.empty(0)), CATALOGUE)


@pytest.fixture(scope="module")
def logs():
    rng = np.random.default_rng(31)
    whole = draw(rng, 20_000, customers=5_000)
    part = thinned(whole, rng)
    return whole, part, unweighted(part)


def test_every_estimator_gives_the_value_of_the_whole_log(logs):
    """Values are 1.2 to 2.3; four errors of the weighted estimate, and without weights off by more than that."""
    whole, part, plain = logs
    found = evaluate(part, [GOOD, WARM], "logged", estimators=ESTIMATORS, dimensions=BOTH)
    bare = evaluate(plain, [GOOD, WARM], "logged", estimators=ESTIMATORS, dimensions=BOTH)
    assert (found.n, found.stands_for) == (part.n, pytest.approx(20_000, rel=0.05))
    for policy in (GOOD, WARM):
        exact = truth(policy, whole.whole.contexts)
        for name in ESTIMATORS:
            each = found.row(policy.name).estimate(name)
            assert abs(each.value - exact) < 4.0 * each.standard_error + 0.05, name
    assert abs(bare.realised_mean - found.realised_mean) > 20 * found.realised.standard_error
    assert abs(found.realised_mean - whole.whole.reward.mean()) < 4 * found.realised.standard_error


def test_right_propensities_are_not_called_wrong(logs):
    """Offers that earn more are kept more often: without weights they seem to be chosen too often."""
    _, part, plain = logs
    found, bare = (evaluate(each, [WARM], "logged", estimators=["snips"]) for each in (part, plain))
    assert not [each for each in found.findings if each.severity == "fatal"]
    assert [each.check for each in bare.findings if each.severity == "fatal"] == ["propensities"]
    wrong = MemoryLog(replace(part.whole, propensity=part.whole.propensity * 0.8), CATALOGUE)
    again = evaluate(wrong, [WARM], "logged", estimators=["snips"])
    assert [each.check for each in again.findings if each.severity == "fatal"] == ["propensities"]


def test_the_sums_of_the_check_are_those_of_repeated_rows(logs):
    """A customer's row of weight 3 adds to both sides of each ratio what three of its rows do."""
    batch = logs[0].whole.take(slice(0, 3_000))
    times = np.random.default_rng(32).integers(1, 4, 3_000)
    again, customer = np.repeat(np.arange(3_000), times), np.arange(3_000) % 500
    one, many = InversePropensitySums(CATALOGUE), InversePropensitySums(CATALOGUE)
    one.add(batch.offer, batch.propensity, batch.eligible, customer, times.astype(float))
    rows = batch.take(again)
    many.add(rows.offer, rows.propensity, rows.eligible, customer[again])
    for a, b in zip(one.result().counted, many.result().counted, strict=False):
        if a.label == b.label:
            assert (a.ratio, a.error) == (pytest.approx(b.ratio), pytest.approx(b.error))


def test_estimated_propensities_are_those_of_the_whole_log(logs):
    """Offers at random: 1/9 each; from the kept rows without weights the dearest offers seem to be made more often."""
    _, part, plain = logs
    shares = np.linspace(0.0, 0.999, part.n)
    apart = []
    for log in (part, plain):
        model = EstimatedPropensities.fit(log, CATALOGUE)
        table = model.probabilities(log.whole.contexts, log.whole.eligible, shares)
        apart.append(np.abs(table.mean(axis=0) - 1.0 / 9.0).max())
    assert apart[0] < 0.02
    assert apart[1] > 0.05


def test_parts_of_a_log_and_its_cache_keep_the_weights(logs):
    """With weights of one the numbers are the very ones of a log without weights."""
    whole, part, _ = logs
    some = MemoryLog(whole.whole.take(slice(0, 2_000)), CATALOGUE)
    ones = MemoryLog(replace(some.whole, weight=np.ones(some.n)), CATALOGUE)
    for options in ({}, {"split": 0.5}, {"by": ["kind"]}):
        first, second = (
            evaluate(log, [GOOD, WARM], "warm", estimators=["dr", "snips"], **options).to_dict() for log in (some, ones)
        )
        assert first == second
    found = evaluate(part, [GOOD, WARM], "warm", split=0.5, by=["kind"], estimators=["dr", "snips"])
    assert found.stands_for == pytest.approx(10_000, rel=0.1)
    assert {each.name for each in found.segments} == {"a", "b"}
