"""Estimated propensities: right where the facts are all that the old policy looked at, and wrong where they are not."""

import json
from dataclasses import replace

import numpy as np
import pytest

from bandit.catalogue import Catalogue
from bandit.domain import LoggedBatch
from bandit.encoding.encoder import Encoder
from bandit.encoding.scales import fit_scales
from bandit.errors import InputError
from bandit.evaluate.propensity.calibration import DETERMINISTIC, Reliability, agreement
from bandit.evaluate.propensity.estimated import EstimatedPropensities, Overlap, offer_effects
from bandit.evaluate.propensity.sample import FactColumns, Sample
from bandit.evaluate.rewards.ridge_regression import RidgeReward, cross_fitted
from bandit.ope import Feedback, estimate
from bandit.ope.clusters import Keys

CATALOGUE = Catalogue.from_dict(
    {
        "name": "tiny",
        "objective": {"kind": "reward"},
        "context": {
            "kind": {"type": "categorical", "values": ["a", "b"]},
            "age": {"type": "numeric"},
            "loyal": {"type": "boolean"},
        },
        "dimensions": [
            {"name": "discount", "options": [{"name": "0"}, {"name": "10"}, {"name": "20"}]},
            {"name": "channel", "options": [{"name": "mail"}, {"name": "sms"}]},
        ],
    }
)
N = 6


class Memory:
    """A log held in memory."""

    def __init__(self, whole):
        self.whole, self.n = whole, len(whole)

    def batches(self, size=65_536):
        for start in range(0, self.n, size):
            yield self.whole.take(slice(start, start + size))


def facts(rng, n, customers=None):
    kind = np.array(["a", "b"], dtype=object)[rng.integers(0, 2, n)]
    columns = {"kind": kind, "age": rng.normal(40.0, 10.0, n), "loyal": rng.random(n) < 0.4}
    who = None if customers is None else [f"c{number}" for number in rng.integers(0, customers, n)]
    return CATALOGUE.contexts(columns, who)


def numbers(contexts):
    """The facts as three columns of about the same size."""
    kind, age, loyal = (contexts.columns[name] for name in ("kind", "age", "loyal"))
    return np.stack([kind - 0.5, (age - 40.0) / 10.0, loyal - 0.4], axis=1)


def soft(contexts, strength=0.7, seed=5):
    """A policy that prefers offers by the facts, here and there by much."""
    scores = numbers(contexts) @ np.random.default_rng(seed).normal(0.0, strength, (3, N))
    table = np.exp(scores)
    return table / table.sum(axis=1, keepdims=True)


def rules(contexts, exploration):
    """Segment rules with two thresholds that share of the decisions left to chance."""
    age, loyal = contexts.columns["age"], contexts.columns["loyal"]
    named = np.where(age < 33.3, 1, np.where(loyal == 1, 4, 2))
    table = np.full((contexts.n, N), exploration / N)
    table[np.arange(contexts.n), named] += 1.0 - exploration
    return table


def worth(contexts):
    """The expected reward of each offer."""
    return 1.0 + numbers(contexts) @ np.random.default_rng(6).normal(0.0, 0.5, (3, N)) + 0.2 * np.arange(N)


def log_by(contexts, table, rng, reward=None):
    n = contexts.n
    offer = np.minimum((table.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1), N - 1)
    expected = worth(contexts) if reward is None else reward
    earned = expected[np.arange(n), offer] + rng.normal(0.0, 0.5, n)
    unknown, zero, yes = np.full(n, np.nan), np.zeros(n), np.ones((n, N), dtype=bool)
    return Memory(LoggedBatch(contexts, offer, yes, unknown, zero > 1, zero, earned, np.arange(n)))


def estimated(log, **named):
    """The estimates of a log and its (n, N) table."""
    found = EstimatedPropensities.fit(log, CATALOGUE, **named)
    batch = log.whole
    return found, found.probabilities(batch.contexts, batch.eligible, shares_of(batch))


def shares_of(batch):
    return Keys("fold").read(batch.contexts.customers, len(batch))[1]


def judge(log, table, target, names):
    """The value of a target policy by the estimators named, as an evaluation makes it."""
    batch, n = log.whole, log.n
    at = np.arange(n), batch.offer
    scales = fit_scales(CATALOGUE, batch.contexts)
    model = cross_fitted(RidgeReward, Encoder(CATALOGUE, scales), 2)
    model.learn(batch, shares_of(batch))
    expected = model.predict(batch.contexts, shares_of(batch), N)
    feedback = Feedback(batch.reward, table[at], target[at], expected[at], (target * expected).sum(axis=1))
    return estimate(feedback, names, 0.999)


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
    assert found.calibration.error < 0.02
    assert found.calibration.warning is None


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
    assert found.calibration.error < 0.02
    assert "only if the facts in the log are all" in found.calibration.note


def test_rules_that_explore_are_found_with_their_share_of_chance():
    """A tenth to chance; 20,000 decisions say so to within 3 x sqrt(.1 x .9 / 20,000) = .0064 where rules are met."""
    rng = np.random.default_rng(3)
    contexts = facts(rng, 20_000)
    truth = rules(contexts, 0.1)
    found, table = estimated(log_by(contexts, truth, rng))
    calibration = found.calibration
    assert calibration.floor == pytest.approx(0.1, abs=0.015)
    assert calibration.error < 0.02
    assert not calibration.deterministic
    # Wrong are those near the threshold of age alone: at most one step in sixteen is blurred.
    assert (np.abs(table - truth).max(axis=1) > 0.2).mean() < 1.5 / 16
    assert calibration.log_likelihood > calibration.marginal + 0.3 > calibration.uniform


def test_rules_without_exploration_cannot_be_judged_and_rules_with_two_hundredths_can():
    rng = np.random.default_rng(4)
    contexts = facts(rng, 8_000)
    sure, _ = estimated(log_by(contexts, rules(contexts, 0.0), rng))
    assert sure.calibration.deterministic
    assert sure.calibration.warning == DETERMINISTIC
    assert DETERMINISTIC.startswith("cannot tell")
    loose, _ = estimated(log_by(contexts, rules(contexts, 0.02), rng))
    assert not loose.calibration.deterministic


def test_customers_with_the_same_facts_tell_what_the_model_cannot():
    """Crosswise rules of two facts with four values: sums cannot say them, but equal facts got equal offers."""
    rng = np.random.default_rng(11)
    contexts = facts(rng, 4_000)
    contexts.columns["age"][:] = 40.0
    cross = (contexts.columns["kind"] == 1) ^ (contexts.columns["loyal"] == 1)
    for exploration, deterministic in ((0.0, True), (0.02, False)):
        truth = np.full((contexts.n, N), exploration / N)
        truth[np.arange(contexts.n), np.where(cross, 1, 4)] += 1.0 - exploration
        calibration = estimated(log_by(contexts, truth, rng))[0].calibration
        assert calibration.certain < 0.5
        assert calibration.deterministic is deterministic


def test_pairs_of_customers_with_the_same_facts_are_counted_by_hand():
    """Three customers of the same facts got offers 0 (twice), 0 and 1: one of their three pairs agrees."""
    x = np.array([[1.0], [1.0], [1.0], [1.0], [2.0]])
    who = np.array([0.1, 0.1, 0.2, 0.3, 0.4])
    one_set = np.zeros(5, dtype=np.int64)
    assert agreement(x, one_set, who, np.array([0, 0, 0, 1, 1])) == (2, pytest.approx(1 / 3))
    assert agreement(x, np.arange(5), who, np.array([0, 0, 0, 1, 1])) == (0, 0.0)


def test_facts_that_matter_only_together_and_crosswise_are_beyond_it():
    """One offer to the loyal of kind a and to those of kind b who are not, another to the rest: sums cannot say so."""
    rng = np.random.default_rng(5)
    contexts = facts(rng, 10_000)
    cross = (contexts.columns["kind"] == 1) ^ (contexts.columns["loyal"] == 1)
    truth = np.full((contexts.n, N), 0.1 / N)
    truth[np.arange(contexts.n), np.where(cross, 1, 4)] += 0.9
    found, table = estimated(log_by(contexts, truth, rng))
    assert np.abs(table - truth).max(axis=1).mean() > 0.2
    assert found.calibration.error < 0.02  # right on average, which is all that a reliability table can show


def test_reliability_is_counted_by_hand():
    """Two decisions of two offers: .85 and .15 chosen and not, .6 and .4 the other way round.

    Bins: .85 (1 of 1), .15 (0 of 1), .6 (0 of 1), .4 (1 of 1); error (.15 + .15 + .6 + .6) / (2 x 2) = .375.
    """
    reliability = Reliability()
    yes = np.ones((1, 2), dtype=bool)
    reliability.add(np.array([[0.85, 0.15]]), yes, np.array([0]))
    reliability.add(np.array([[0.6, 0.4]]), yes, np.array([1]))
    record = reliability.result(2, 2, np.log(0.5), np.log(0.5), 1.0, 0.0)
    assert record.error == pytest.approx(0.375)
    assert record.log_likelihood == pytest.approx(np.log(0.85 * 0.4) / 2)
    assert [(each.predicted, each.observed, each.n) for each in record.bins] == [
        (0.15, 0.0, 1),
        (0.4, 1.0, 1),
        (0.6, 0.0, 1),
        (0.85, 1.0, 1),
    ]
    assert record.warning is None  # two decisions are no evidence
    assert replace(record, n=1_000).warning.startswith("cannot tell: the estimated propensities are off by 37.5%")
    assert json.loads(json.dumps(record.to_dict(), allow_nan=False))["deterministic"] is False


def test_overlap_is_the_share_of_the_target_on_offers_that_were_hardly_made():
    """Of six offers hardly is below .05 / 6 = .0083: half the target of the first row, none of the second."""
    overlap = Overlap()
    old = np.array([[0.004, 0.9, 0.02, 0.02, 0.02, 0.036], [0.5, 0.5, 0.0, 0.0, 0.0, 0.0]])
    new = np.array([[0.5, 0.5, 0.0, 0.0, 0.0, 0.0], [0.3, 0.7, 0.0, 0.0, 0.0, 0.0]])
    assert overlap.share == 0.0
    overlap.add(old[:1], new[:1])
    overlap.add(old[1:], new[1:])
    assert overlap.share == pytest.approx(0.25)
    many = Overlap()
    many.add(np.full((1, 144), 1 / 144), np.full((1, 144), 1 / 144))
    assert many.share == 0.0


def test_no_row_is_estimated_by_a_model_that_saw_its_customer():
    """What the customers of the first fold got is changed: the model for their rows stays as it was."""
    rng = np.random.default_rng(6)
    contexts = facts(rng, 2_000, customers=150)
    log = log_by(contexts, soft(contexts), rng)
    changed = log.whole.offer.copy()
    first = shares_of(log.whole) < 0.5
    changed[first] = 0
    whole = log.whole
    other = Memory(LoggedBatch(contexts, changed, whole.eligible, whole.propensity, *[whole.converted], whole.revenue,
                               whole.reward, whole.time))  # fmt: skip
    one, two = (EstimatedPropensities.fit(each, CATALOGUE)._models for each in (log, other))
    assert (one[0].coefficients == two[0].coefficients).all()
    assert (one[1].coefficients != two[1].coefficients).any()


def test_only_decisions_whose_propensity_nobody_knows_are_learned_from():
    """The first 600 have theirs and always got offer 0; of the rest, drawn from `soft`, nobody knows."""
    rng = np.random.default_rng(7)
    contexts = facts(rng, 3_000)
    whole = log_by(contexts, soft(contexts), rng).whole
    known = np.arange(3_000) < 600
    mixed = LoggedBatch(
        contexts,
        np.where(known, 0, whole.offer),
        whole.eligible,
        np.where(known, 0.25, np.nan),
        whole.converted,
        whole.revenue,
        whole.reward,
        whole.time,
    )
    found, table = estimated(Memory(mixed), size=500)
    assert found.calibration.n == found.calibration.n_log == 2_400
    filled = found.propensity(mixed, table)
    assert (filled[known] == 0.25).all()
    assert (filled[~known] == table[np.arange(3_000), mixed.offer][~known]).all()
    assert found.calibration.error < 0.03


def test_offers_that_are_not_eligible_have_no_probability_and_all_others_some():
    rng = np.random.default_rng(8)
    contexts = facts(rng, 2_000)
    eligible = rng.random((2_000, N)) < 0.6
    eligible[:, 0] = True
    table = np.where(eligible, soft(contexts), 0.0)
    whole = log_by(contexts, table / table.sum(axis=1, keepdims=True), rng).whole
    log = Memory(LoggedBatch(contexts, whole.offer, eligible, *(getattr(whole, name) for name in
                 ("propensity", "converted", "revenue", "reward", "time"))))  # fmt: skip
    steps = []
    found, answer = estimated(log, size=300, progress=lambda *step: steps.append(step))
    assert answer.sum(axis=1) == pytest.approx(np.ones(2_000))
    assert ((answer > 0.0) == eligible).all()
    assert steps == sorted(steps)
    assert steps[-1] == (4_000, 4_000)
    assert found.calibration.n == 2_000


def test_a_sample_is_even_over_the_log_and_no_larger_than_asked():
    """Of 20 batches of 500, 1,000 rows: 50 +- 7 of each batch; 5 sigma is 34."""
    rng = np.random.default_rng(9)
    contexts = facts(rng, 10_000)
    whole = log_by(contexts, soft(contexts), rng).whole
    sample = Sample(1_000, rng)
    for start in range(0, 10_000, 500):
        sample.add(whole.take(slice(start, start + 500)), np.full(500, start / 10_000))
    drawn, offer, masks, which, shares = sample.rows()
    assert (drawn.n, len(offer), sample.n_seen, masks.shape) == (1_000, 1_000, 10_000, (1, N))
    assert (which == 0).all()
    assert np.abs(np.unique(shares, return_counts=True)[1] - 50).max() < 34


def test_missing_numbers_are_above_no_step():
    contexts = CATALOGUE.contexts({"age": [10.0, None, 30.0, 20.0], "kind": ["a", None, "c", "b"]})
    columns = FactColumns(CATALOGUE, contexts).of(contexts)
    assert np.isfinite(columns).all()
    plain = Encoder(CATALOGUE).n_context - 1
    assert columns[:, plain:].tolist() == [[0.0, 0.0], [0.0, 0.0], [1.0, 1.0], [1.0, 0.0]]


def test_own_columns_leave_the_structure_as_it_is():
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
        EstimatedPropensities.fit(Memory(log.whole.take(slice(0, 0))), CATALOGUE)
    with pytest.raises(InputError, match="at least 2 folds"):
        EstimatedPropensities.fit(log, CATALOGUE, folds=1)
