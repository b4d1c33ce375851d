"""Estimated propensities: right where the log has all facts that the logging policy used, wrong where it has not."""

from dataclasses import replace

import numpy as np
import pytest

from bandit.encoding.encoder import Encoder
from bandit.errors import InputError
from bandit.evaluate.propensity.estimated import EstimatedPropensities, offer_effects
from tests.evaluate.memory_log import MemoryLog
from tests.evaluate.propensity.choice_market import (
    CATALOGUE,
    N,
    estimated,
    facts,
    judge,
    log_by,
    shares_of,
    soft,
    worth,
)


def test_weights_by_estimated_propensities_find_the_truth_where_the_facts_are_all_there_is():
    """The 99.9 % intervals of ips, snips and dr hold the truth; by the offers' plain shares ips and snips miss it."""
    rng = np.random.default_rng(1)
    contexts = facts(rng, 30_000)
    log = log_by(contexts, soft(contexts), rng)
    found, table = estimated(log)
    target = np.exp(2.0 * worth(contexts))
    target /= target.sum(axis=1, keepdims=True)
    truth = (target * worth(contexts)).sum(axis=1).mean()
    for each in judge(log, table, target, ("ips", "snips", "dr")):
        assert each.low < truth < each.high, each.name
    plain = np.broadcast_to(np.bincount(log.whole.offer, minlength=N) / log.n, table.shape)
    for each in judge(log, plain, target, ("ips", "snips")):
        assert not each.low < truth < each.high, each.name
    assert found.fit_quality.error < 0.02
    assert found.fit_quality.warning is None


def test_a_confounder_that_the_log_leaves_out_biases_every_estimate_and_no_table_shows_it():
    """Somebody who would buy anyway got the larger discounts: calibrated, and yet far from the truth."""
    rng = np.random.default_rng(2)
    contexts = facts(rng, 30_000)
    hidden = rng.normal(size=(contexts.n, 1))
    pull = np.exp(np.log(soft(contexts)) + hidden * np.linspace(-1.5, 1.5, N))
    log = log_by(contexts, pull / pull.sum(axis=1, keepdims=True), rng, worth(contexts) + hidden)
    found, table = estimated(log)
    target = np.zeros((contexts.n, N))
    target[:, N - 1] = 1.0
    truth = worth(contexts)[:, N - 1].mean()
    for each in judge(log, table, target, ("ips", "snips", "dr")):
        assert each.low > truth + 0.3, each.name
    assert found.fit_quality.error < 0.02
    assert "used nothing but the facts in it" in found.fit_quality.note


def test_interactions_of_facts_cannot_be_expressed():
    """One offer to the loyal of kind a and to those of kind b who are not, another to the rest: sums cannot say so."""
    rng = np.random.default_rng(5)
    contexts = facts(rng, 10_000)
    cross = (contexts.columns["kind"] == 1) ^ (contexts.columns["loyal"] == 1)
    truth = np.full((contexts.n, N), 0.1 / N)
    truth[np.arange(contexts.n), np.where(cross, 1, 4)] += 0.9
    found, table = estimated(log_by(contexts, truth, rng))
    assert np.abs(table - truth).max(axis=1).mean() > 0.2
    assert found.fit_quality.error < 0.02  # right on average, which is all that a reliability table can show


def test_no_row_is_estimated_by_a_model_that_saw_its_customer():
    """What the customers of the first fold got is changed: the model for their rows stays as it was."""
    rng = np.random.default_rng(6)
    contexts = facts(rng, 2_000, customers=150)
    log = log_by(contexts, soft(contexts), rng)
    changed = log.whole.offer.copy()
    first = shares_of(log.whole) < 0.5
    changed[first] = 0
    other = MemoryLog(replace(log.whole, offer=changed))
    one, two = (EstimatedPropensities.fit(each, CATALOGUE)._models for each in (log, other))
    assert (one[0].coefficients == two[0].coefficients).all()
    assert (one[1].coefficients != two[1].coefficients).any()


def test_only_decisions_of_unknown_propensity_are_learned_from():
    """The first 600 have theirs and always got offer 0; of the rest, drawn from `soft`, nobody knows."""
    rng = np.random.default_rng(7)
    contexts = facts(rng, 3_000)
    whole = log_by(contexts, soft(contexts), rng).whole
    known = np.arange(3_000) < 600
    mixed = replace(whole, offer=np.where(known, 0, whole.offer), propensity=np.where(known, 0.25, np.nan))
    found, table = estimated(MemoryLog(mixed), size=500)
    assert found.fit_quality.n == found.fit_quality.n_log == 2_400
    filled = found.propensity(mixed, table)
    assert (filled[known] == 0.25).all()
    assert (filled[~known] == table[np.arange(3_000), mixed.offer][~known]).all()
    assert found.fit_quality.error < 0.03


def test_offers_that_are_not_eligible_have_no_probability_and_all_others_some():
    rng = np.random.default_rng(8)
    contexts = facts(rng, 2_000)
    eligible = rng.random((2_000, N)) < 0.6
    eligible[:, 0] = True
    table = np.where(eligible, soft(contexts), 0.0)
    whole = log_by(contexts, table / table.sum(axis=1, keepdims=True), rng).whole
    log = MemoryLog(replace(whole, eligible=eligible))
    steps = []
    found, answer = estimated(log, size=300, progress=lambda *step: steps.append(step))
    assert answer.sum(axis=1) == pytest.approx(np.ones(2_000))
    assert ((answer > 0.0) == eligible).all()
    assert steps == sorted(steps)
    assert steps[-1] == (4_000, 4_000)
    assert found.fit_quality.n == 2_000


def test_offer_effects_add_the_identity_to_the_gram_matrix():
    """phi phi' is main main' + I, whatever the columns."""
    main = Encoder(CATALOGUE).offers.main
    phi = offer_effects(main)
    assert phi @ phi.T == pytest.approx(main @ main.T + np.eye(N))


def test_logs_that_cannot_be_split_are_refused():
    rng = np.random.default_rng(10)
    contexts = facts(rng, 40, customers=1)
    log = log_by(contexts, soft(contexts), rng)
    with pytest.raises(InputError, match="too few"):
        EstimatedPropensities.fit(log, CATALOGUE)
    with pytest.raises(InputError, match="no decisions"):
        EstimatedPropensities.fit(MemoryLog(log.whole.take(slice(0, 0))), CATALOGUE)
    with pytest.raises(InputError, match="at least 2 folds"):
        EstimatedPropensities.fit(log, CATALOGUE, folds=1)
