"""Replications of one cell: fresh logs of one world are drawn and evaluated many times."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from bandit.domain import FloatArray
from bandit.evaluate.diagnostics import TargetWeights
from bandit.ope import ESTIMATORS, Estimate, Feedback, Tally
from bandit.ope.estimators.mrdr import mrdr_weights
from bandit.ope.intervals import DEFAULT_INTERVAL, IntervalKind
from bandit.ope.slate_weights import marginal_weights, slate_weights
from simulator.validation.calibration.intervals import CONFIDENCE_LEVEL, PLAIN_ESTIMATORS
from simulator.validation.calibration.replications import Replications
from simulator.validation.calibration.reward import cross_fitted, shares_of
from simulator.validation.calibration.world import CalibrationWorld, SampledLog

SUPPORT_LEVEL = 0.999
"""Level of the interval of the mean weight by which support is assessed, as in an evaluation."""

CHOSEN_DIMENSIONS = 2
"""Number of leading dimensions of the offers that mips uses."""


@dataclass(frozen=True, slots=True)
class CalibrationCell:
    """A world, the policy that writes its logs, and their number of rows.

    `intervals` are the kinds of interval and `estimators` the names of the estimators, or all that are possible where
    there are none. With `structure` mrdr, mips and pi get the columns that they need, which takes longer.
    """

    world: str
    logging: str
    n: int
    replications: int
    intervals: tuple[IntervalKind, ...] = (DEFAULT_INTERVAL,)
    estimators: tuple[str, ...] = ()
    structure: bool = False

    @property
    def name(self) -> str:
        """A name, which seeds all random numbers of the cell."""
        return f"{self.world}; {self.logging}; {self.n}"

    def rng(self, replication: int) -> np.random.Generator:
        """Return the generator of one replication, independent of the number of replications."""
        return np.random.default_rng(np.random.SeedSequence([*seed_of(self.name), replication]))


def seed_of(name: str) -> list[int]:
    """Return four numbers of a seed from a name."""
    digest = hashlib.blake2b(name.encode(), digest_size=16).digest()
    return [int.from_bytes(digest[place : place + 4], "big") for place in range(0, 16, 4)]


def replicate(
    world: CalibrationWorld,
    cell: CalibrationCell,
    targets: Mapping[str, FloatArray] | None = None,
    numbers: range | None = None,
) -> Replications:
    """Draw and evaluate all logs of a cell, or those of some numbers; `targets` are those of the world unless given."""
    policies = world.policies(cell.logging) if targets is None else targets
    chosen = range(cell.replications) if numbers is None else numbers
    return Replications.join([_evaluate(world, cell, policies, cell.rng(number)) for number in chosen])


def feedback_of(
    sample: SampledLog, logging: str, policies: Mapping[str, FloatArray], shares: FloatArray, *, structure: bool = False
) -> list[Feedback]:
    """Return the feedback of the policy that wrote a log and of each target, as an evaluation makes it.

    `shares` (n,) in [0, 1) assign the rows to the folds of the reward model.
    """
    rows, offer, reward, cluster = sample.rows, sample.offer, sample.reward, sample.cluster
    predicted, fold = cross_fitted(sample, shares)
    logged = predicted[fold, rows, offer]
    ones = np.ones(len(sample)) if structure else None
    own = sample.propensity
    robust = logged if structure else None
    found = [Feedback(reward, own, own, logged, logged, cluster, robust, robust, ones, ones)]
    for table in policies.values():
        mean = np.einsum("po,fpo->fp", table, predicted)[fold, rows]
        target = np.minimum(table[rows, offer], 1.0)
        given: dict[str, FloatArray] = {}
        if structure:
            given = _structure(sample, sample.world.logging[logging], table)
            own_model, _ = cross_fitted(sample, shares, mrdr_weights(own, target))
            given["robust_logged"] = own_model[fold, rows, offer]
            given["robust_target"] = np.einsum("po,fpo->fp", table, own_model)[fold, rows]
        found.append(Feedback(reward, own, target, logged, mean, cluster, **given))
    return found


def _structure(sample: SampledLog, logging: FloatArray, target: FloatArray) -> dict[str, FloatArray]:
    """Return the (n,) weights of mips and pi."""
    options = sample.world.catalogue.options
    _, labels = np.unique(options[:, :CHOSEN_DIMENSIONS], axis=0, return_inverse=True)
    columns = np.concatenate(
        [options[:, [place]] == np.unique(options[:, place]) for place in range(options.shape[1])], 1
    )
    tables = logging[sample.rows], target[sample.rows], sample.offer
    return {
        "marginal_weight": marginal_weights(*tables, labels.ravel()),
        "slate_weight": slate_weights(*tables, columns.astype(np.float64)),
    }


def _evaluate(
    world: CalibrationWorld, cell: CalibrationCell, policies: Mapping[str, FloatArray], rng: np.random.Generator
) -> Replications:
    """Draw one log and return the results of all policies."""
    sample = world.sample(cell.logging, cell.n, rng)
    feedback = feedback_of(sample, cell.logging, policies, shares_of(sample, rng), structure=cell.structure)
    has = feedback[0].has
    chosen = [each for each in ESTIMATORS.values() if each.needs is None or each.needs in has]
    if cell.estimators:
        chosen = [each for each in chosen if each.name in cell.estimators]
    tally = Tally(len(feedback), chosen)
    tally.add(*feedback)
    plain = Tally(len(feedback), [each for each in chosen if each.name in PLAIN_ESTIMATORS])
    if set(cell.intervals) != {DEFAULT_INTERVAL}:
        plain.add(*feedback)
    value: list[list[_Answers]] = [[] for _ in policies]
    difference: list[list[_Answers]] = [[] for _ in policies]
    for kind in cell.intervals:
        asked = tally if kind == DEFAULT_INTERVAL else plain
        for place in range(len(policies)):
            found = asked.estimates(place + 1, CONFIDENCE_LEVEL, kind, world.reward_range, rng)
            value[place].append({each.name: each for each in found})
            found = asked.difference(place + 1, 0, CONFIDENCE_LEVEL, kind, world.reward_range, rng)
            difference[place].append({each.name: each for each in found})
    names = tuple(each.name for each in chosen)
    return Replications(
        targets=tuple(policies),
        estimators=names,
        intervals=cell.intervals,
        truth=np.array([world.truth(table) for table in policies.values()]),
        logged=world.truth(world.logging[cell.logging]),
        answered=np.array([list(answerable(sample, tally, policies))]),
        effective=np.array([[of[0][names[0]].effective_sample_size for of in value]]),
        contrast=np.array([[contrast(each) for each in feedback[1:]]]),
        events=np.array([[events(each) for each in feedback[1:]]]),
        value=_numbers(value, names, "value")[..., 0],
        low=_numbers(value, names, "low"),
        high=_numbers(value, names, "high"),
        difference=_numbers(difference, names, "value")[..., 0],
        difference_low=_numbers(difference, names, "low"),
        difference_high=_numbers(difference, names, "high"),
    )


_Answers: TypeAlias = dict[str, Estimate]
"""Estimates by the estimator's name."""


def answerable(sample: SampledLog, tally: Tally, policies: Mapping[str, FloatArray]) -> Iterator[bool]:
    """Yield for each policy whether an evaluation would answer."""
    visits, share = sample.visits(), float((sample.reward > 0.0).mean())
    never = np.bincount(sample.offer, minlength=sample.world.n_offers) == 0
    for place, table in enumerate(policies.values(), start=1):
        unsupported = float((visits @ table)[never].sum() / len(sample))
        weights = TargetWeights()
        weights.add(table[sample.rows, sample.offer] / sample.propensity, sample.cluster)
        strict = tally.mean_weight(place, SUPPORT_LEVEL)
        yield weights.result("", strict, unsupported, rarer=min(share, 1.0 - share)).severity != "fatal"


def contrast(feedback: Feedback) -> float:
    """Return how many rows distinguish the policy from the log's: the smaller of two effective numbers.

    With w = target / propensity, the effective number of the rows with w > 1, and of those with w < 1, is
    sum(|w - 1|)^2 / sum((w - 1)^2). 0 where one side has no rows, infinite where no weight differs from 1.
    """
    apart = feedback.target / feedback.propensity - 1.0
    if not apart.any():
        return np.inf
    sides = (np.maximum(apart, 0.0), np.maximum(-apart, 0.0))
    return min(float(side.sum()) ** 2 / float(side @ side) if side.any() else 0.0 for side in sides)


def events(feedback: Feedback) -> float:
    """Return the expected number of rarer outcomes (a reward above 0, or none) in the contrast, from the log's rate.

    Where it is small most logs have no such outcome, and their intervals are too narrow.
    """
    share = float((feedback.reward > 0.0).mean())
    return contrast(feedback) * min(share, 1.0 - share)


def _numbers(found: list[list[_Answers]], names: tuple[str, ...], what: str) -> FloatArray:
    """Return (1, T, E, K) numbers from estimates by target and kind, NaN where an estimator lacks a kind."""
    table = [[[getattr(of.get(name), what, np.nan) for of in kinds] for name in names] for kinds in found]
    return np.array(table, dtype=np.float64)[None]
