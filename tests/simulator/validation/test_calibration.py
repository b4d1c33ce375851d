from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from bandit.catalogue import Catalogue
from bandit.domain import LogDefaults, LoggedBatch
from bandit.errors import InputError
from bandit.evaluate import evaluate
from bandit.ope import ESTIMATORS, Tally
from bandit.ope.clusters import ClusterIndex
from bandit.ope.intervals import DEFAULT_INTERVAL
from bandit.policies.stateless import Stateless
from simulator.validation.calibration import grid
from simulator.validation.calibration.claims import Claim, claims
from simulator.validation.calibration.intervals import CONFIDENCE_LEVEL
from simulator.validation.calibration.replicate import CalibrationCell, contrast, events, feedback_of, replicate
from simulator.validation.calibration.replications import Replications
from simulator.validation.calibration.summary import EstimatedShare, coverage, errors, relative_errors, share
from simulator.validation.calibration.table import sheets, text
from simulator.validation.calibration.world import CalibrationWorld, SampledLog
from simulator.validation.calibration.worlds import NULL_MARKET, world_named

PLAIN_ESTIMATORS = ("ips", "dr")


@pytest.mark.parametrize("name", ["loyalty", "wine"])
def test_the_truth_of_a_world_is_what_its_logs_earn(name):
    """The mean reward of a log estimates the value of who wrote it: within 5 standard errors, by customer.

    Negative control: the value of another policy is not.
    """
    world = world_named(name)
    sample = world.sample("rules, 50% chance", 100_000, np.random.default_rng(1))
    sums = sample.reward
    if sample.cluster is not None:
        sums = np.bincount(sample.cluster, weights=sample.reward - sample.reward.mean())
        error = np.sqrt(sums @ sums) / len(sample)
    else:
        error = sums.std() / np.sqrt(len(sample))
    off = sample.reward.mean() - world.truth(world.logging["rules, 50% chance"])
    other = sample.reward.mean() - world.truth(world.targets["far"])
    assert abs(off) < 5 * error
    assert abs(other) > 5 * error


def test_nothing_is_better_than_anything_in_the_null_world():
    world = world_named(NULL_MARKET)
    truths = [world.truth(table) for table in world.policies("softmax").values()]
    assert np.ptp(truths) < 1e-9 * np.mean(truths)


@pytest.mark.parametrize("name", ["retail", "cancer"])
def test_logs_are_drawn_with_their_propensities(name):
    """The mean of 1 / (N p) over what was drawn with probability p is 1: the sum over N offers of p / (N p)."""
    world = world_named(name)
    sample = world.sample("softmax", 50_000, np.random.default_rng(2))
    weight = 1.0 / (world.n_offers * sample.propensity)
    assert abs(weight.mean() - 1.0) < 5 * weight.std() / np.sqrt(len(weight))
    assert (sample.propensity == world.logging["softmax"][sample.rows, sample.offer]).all()


def test_calibration_evaluates_as_an_evaluation_does():
    """The same log, the same folds: values and intervals of `evaluate` to nine digits."""
    world = world_named("retail")
    logging = "rules, 50% chance"
    sample = world.sample(logging, 1_500, np.random.default_rng(3))
    policies = {name: world.targets[name] for name in ("uniform", "rules")}
    batch = sample.batch()
    shares = ClusterIndex("fold").read(batch.contexts.customers, len(batch))[1]
    tally = Tally(3, [ESTIMATORS[name] for name in PLAIN_ESTIMATORS])
    tally.add(*feedback_of(sample, logging, policies, shares))
    replications = evaluate(
        SampleLog(sample),
        {name: TablePolicy(name, table) for name, table in policies.items()},
        "logged",
        estimators=PLAIN_ESTIMATORS,
    )
    for place, name in enumerate(policies, start=1):
        row = replications.row(name)
        assert row.difference is not None
        pairs = [
            *zip(tally.estimates(place, CONFIDENCE_LEVEL, DEFAULT_INTERVAL), row.estimates, strict=True),
            *zip(tally.difference(place, 0, CONFIDENCE_LEVEL, DEFAULT_INTERVAL), row.difference, strict=True),
        ]
        for mine, theirs in pairs:
            assert [mine.value, mine.low, mine.high] == pytest.approx([theirs.value, theirs.low, theirs.high], rel=1e-9)


def test_a_cell_has_the_same_results_again_and_more_logs_leave_the_first_unchanged():
    cell = CalibrationCell("wine", "softmax", 200, 2, estimators=PLAIN_ESTIMATORS)
    first, longer = replicate(world_named("wine"), cell), replicate(world_named("wine"), replace(cell, replications=3))
    assert len(longer) == 3
    np.testing.assert_array_equal(first.low, longer.low[:2])
    assert not np.array_equal(longer.low[0], longer.low[2])


def test_the_estimators_that_use_the_structure_of_offers_take_part_where_asked():
    """mrdr needs a model for each policy, mips and pi all probabilities of the policy that wrote the log."""
    cell = CalibrationCell("retail", "rules, 50% chance", 300, 1, structure=True)
    replications = replicate(world_named("retail"), cell)
    assert {"mrdr", "mips", "pi"} <= set(replications.estimators)
    assert "mips" not in replicate(world_named("retail"), replace(cell, structure=False)).estimators


def test_a_saved_result_is_not_run_again(tmp_path):
    cell = CalibrationCell("wine", "softmax", 200, 2, estimators=PLAIN_ESTIMATORS)
    answered = []
    first = grid.run([cell], tmp_path, 1, lambda cell, done, of: answered.append((cell.name, done, of)))
    again = grid.run([cell], tmp_path, 1, lambda *_: pytest.fail("run again"))
    assert answered == [("wine; softmax; 200", 1, 1)]
    np.testing.assert_array_equal(first[cell].high, again[cell].high)
    longer = replace(cell, replications=3)
    assert len(grid.run([longer], tmp_path, 1, lambda *_: None)[longer]) == 3


def test_the_error_of_a_share_counts_logs_and_not_policies():
    """Two logs, 3 hits of 4 and 1 of 4: share 1/2, residuals +1 and -1, error sqrt(2 x 2 / 1) / 8 = 1/4."""
    hits = np.array([[True, True, True, False], [True, False, False, False]])
    assert share([hits], [np.ones_like(hits)]) == EstimatedShare(0.5, 0.25, 8)
    assert share([hits], [np.zeros_like(hits)]).n == 0


def test_a_policy_that_differs_in_few_rows_has_a_small_contrast_however_large_the_sample():
    """w = 0.9 where another offer was logged and 1.2 where it is the single one: each side counts its rows."""
    world = world_named("wine")
    sample = world.sample("rules, 100% chance", 300, np.random.default_rng(4))
    near, same = feedback_of(
        sample,
        "rules, 100% chance",
        {"near": 0.9 / 3 + 0.1 * world.targets["single"], "same": world.logging["rules, 100% chance"]},
        np.linspace(0.0, 0.99, 300),
    )[1:]
    shown = int((sample.offer == world.targets["single"][0].argmax()).sum())
    assert contrast(near) == pytest.approx(min(shown, 300 - shown))
    assert contrast(same) == np.inf
    right = sample.reward.mean()
    assert events(near) == pytest.approx(contrast(near) * min(right, 1.0 - right))


def test_claims_hold_for_intervals_that_are_right_and_fail_for_those_half_as_wide():
    """Normal estimates with error 1: 95 % intervals cover 95 %, half as wide ones 67 %."""
    right = {
        CalibrationCell("retail", "a", 1_000, 400): made_up(1.96),
        CalibrationCell(NULL_MARKET, "a", 1_000, 400): made_up(1.96),
    }
    narrow = {
        CalibrationCell("retail", "a", 1_000, 400): made_up(0.98),
        CalibrationCell(NULL_MARKET, "a", 1_000, 400): made_up(0.98),
    }
    assert all(each.holds for each in claims(right, "dr", DEFAULT_INTERVAL))
    assert not any(each.holds for each in claims(narrow, "dr", DEFAULT_INTERVAL))


def test_a_claim_about_nothing_does_not_hold():
    assert not Claim("nothing", EstimatedShare(np.nan, np.nan, 0), 0.0, 1.0).holds


def test_coverage_tells_the_sides_apart_and_keeps_to_what_is_answered():
    """[1, 2], [-2, -1] and [-1, 1] around a truth of 0: one above, one below, one covers; the last is not told."""
    replications = made_up(1.0)
    low, high = np.array([[1.0], [-2.0], [-1.0]]), np.array([[2.0], [-1.0], [1.0]])
    replications = replace(
        replications,
        answered=np.array([[True], [True], [False]]),
        effective=np.full((3, 1), 50.0),
        contrast=np.full((3, 1), 5.0),
        events=np.full((3, 1), 50.0),
        low=low[:, :, None, None],
        high=high[:, :, None, None],
        truth=np.zeros(1),
        targets=("one",),
    )
    results = {CalibrationCell("retail", "a", 3, 3): replications}
    everything = coverage(results, "dr", DEFAULT_INTERVAL, answered=False)
    assert [each.value for each in (everything.covered, everything.below, everything.above)] == pytest.approx(
        [1 / 3] * 3
    )
    assert coverage(results, "dr", DEFAULT_INTERVAL).covered.value == 0.0
    assert coverage(results, "dr", DEFAULT_INTERVAL, contrast=(10.0, np.inf)).covered.n == 0


def test_tables_name_every_estimator_and_errors_are_relative_to_ips():
    cell = CalibrationCell("wine", "rules, 50% chance", 300, 20, estimators=PLAIN_ESTIMATORS)
    results = {cell: replicate(world_named("wine"), cell)}
    found = errors(results)
    assert relative_errors(found)["ips"] == pytest.approx(1.0)
    written = text(sheets(results, "dr", DEFAULT_INTERVAL))
    assert "| ips |" in written
    assert "| dr |" in written


def test_an_unknown_world_is_refused():
    with pytest.raises(InputError, match="not a world of the calibration"):
        world_named("atlantis")


def made_up(half: float) -> Replications:
    """400 logs of two policies, normal estimates with error 1 around the truth 0, intervals of this half width."""
    value = np.random.default_rng(5).standard_normal((400, 2, 1))
    low, high = (value - half)[..., None], (value + half)[..., None]
    many = np.full((400, 2), 1_000.0)
    return Replications(
        targets=("one", "other"),
        estimators=("dr",),
        intervals=(DEFAULT_INTERVAL,),
        truth=np.zeros(2),
        logged=0.0,
        answered=np.ones((400, 2), dtype=np.bool_),
        effective=many,
        contrast=many,
        events=many,
        value=value,
        low=low,
        high=high,
        difference=value,
        difference_low=low,
        difference_high=high,
    )


class TablePolicy(Stateless):
    """A policy that looks its probabilities up by the row of the pool, which the log below hands along."""

    def __init__(self, name, table):
        self.name, self.table = name, table

    def probabilities(self, contexts, eligible, rng):
        return self.table[contexts.columns["row of the pool"]]

    def spec(self):
        return {"kind": self.name}


class SampleLog(LogDefaults):
    """A sample as the log that `evaluate` reads."""

    def __init__(self, sample: SampledLog):
        self.sample = sample

    @property
    def world(self) -> CalibrationWorld:
        return self.sample.world

    @property
    def catalogue(self) -> Catalogue:
        return self.world.catalogue

    @property
    def n(self) -> int:
        return len(self.sample)

    def batches(self, size: int = 65_536) -> Iterator[LoggedBatch]:
        batch = self.sample.batch()
        columns = {**batch.contexts.columns, "row of the pool": self.sample.rows}
        batch = replace(batch, contexts=replace(batch.contexts, columns=columns))
        for start in range(0, self.n, size):
            yield batch.take(slice(start, start + size))
