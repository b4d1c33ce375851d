"""The crosses of one offer model: how they are found online and in a whole log, and their part of the state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from bandit.domain import FloatArray, IntArray
from bandit.encoding.cells import MAX_CHECKS, cell_words
from bandit.encoding.encoder import Encoder
from bandit.models.forward_selection import CandidateColumns, extended, posterior, select
from bandit.models.gaussian import Gaussian, solve_positive
from bandit.models.prior import Prior
from bandit.models.shared_design import SharedDesign
from bandit.policies.state import parts_of
from bandit.policies.thompson.cross_search import CrossSearch, LearnedOutcomes
from bandit.policies.thompson.crosses import (
    MOST_A_ROUND,
    MOST_CROSSES,
    CrossColumns,
    Crosses,
    next_round,
)
from bandit.policies.thompson.outcome_sample import OutcomeSample, SampledOutcomes

MIN_FRESH = 0.1
"""Least share of a column's information that the present columns do not have; below it, the sample's noise rules."""

_ROWS_AT_ONCE = 2_048


@dataclass(frozen=True, slots=True, eq=False)
class FoundCrosses:
    """New crosses, and mean and covariance of a belief that has their weights, which come last."""

    crosses: Crosses
    mean: FloatArray
    covariance: FloatArray


class CrossLearning:
    """The crosses of a model of responses (`cases`) or amounts, and the sample of outcomes that they are found in."""

    def __init__(self, encoder: Encoder, cases: bool, deviation: float) -> None:
        """Start without crosses; `deviation` is the prior deviation of a cross's weight."""
        self._encoder, self._cases, self._deviation = encoder, cases, deviation
        self._crosses = Crosses.none()
        self.sample = OutcomeSample(encoder.n_context, cases)
        self.due = next_round(0)

    @property
    def crosses(self) -> Crosses:
        """The crosses found so far."""
        return self._crosses

    @crosses.setter
    def crosses(self, crosses: Crosses) -> None:
        self._crosses = crosses
        self.__dict__.pop("_columns", None)

    @cached_property
    def _columns(self) -> CrossColumns:
        return CrossColumns(self._crosses, self._encoder)

    def columns(self, matrix: FloatArray) -> FloatArray:
        """Return the (n, C) columns of the crosses for n encoded contexts (n, d)."""
        return self._columns.columns(matrix)

    def words(self) -> tuple[str, ...]:
        """Return the cell of each cross in words, (C,)."""
        return cell_words(self.crosses.cells, self._encoder)

    @property
    def pause(self) -> int:
        """How many more outcomes are added to the sample before the next round; 0 when it is due."""
        return max(0, self.due - self.sample.added)

    def begin_round(self) -> None:
        """Set the number of outcomes at which the next round is due."""
        self.due = next_round(self.sample.added)

    def find(
        self,
        belief: Gaussian,
        design: SharedDesign,
        active: IntArray,
        noise: float,
        prior: Prior,
        *,
        whole: bool,
    ) -> FoundCrosses | None:
        """Return the crosses that the sample shows beside what the belief knows, None where there are none.

        `noise` is the variance of the noise of amounts in the sample's units; the last groups of `prior` are those of
        crosses of one, two and three checks. `whole` says that the sample is of all outcomes that were learned.
        """
        room = min(MOST_A_ROUND, MOST_CROSSES - len(self.crosses))
        outcomes = self.sample.outcomes()
        if room <= 0 or not len(outcomes.offer):
            return None
        contexts = outcomes.contexts
        encoded = contexts[:, active]
        if len(self.crosses):
            encoded = np.concatenate([encoded, self.columns(contexts)], axis=1)
        parts = [slice(start, start + _ROWS_AT_ONCE) for start in range(0, len(encoded), _ROWS_AT_ONCE)]
        score = np.concatenate([design.rows(encoded[part], outcomes.offer[part]) @ belief.mean for part in parts])
        residual, curvature, dispersion = self._linearised(outcomes, score, noise)
        columns = design.columns[outcomes.offer]
        learned = LearnedOutcomes(contexts, columns, residual, curvature)
        crosses, penalty, variance = CrossSearch(self._encoder, learned, self._deviation).candidates(self.crosses)
        if not len(crosses):
            return None
        added = CrossColumns(crosses, self._encoder).columns(contexts) * columns[:, crosses.target]
        weighted = curvature[:, None] * added
        overlap, gradient = np.zeros((design.size, len(crosses))), np.zeros(design.size)
        gram = np.zeros((design.size, design.size))
        for part in parts:
            rows = design.rows(encoded[part], outcomes.offer[part])
            overlap += rows.T @ weighted[part]
            if whole:
                gradient += residual[part] @ rows
                gram += (curvature[part, None] * rows).T @ rows
        # The belief counts each outcome once, the curvatures here are divided by the dispersion.
        overlap *= dispersion
        # Curvatures have changed since the outcomes were learned, and the sample's mode is not that of all outcomes:
        # what a step to it would explain is no evidence. A belief that knows more than the sample counts as it is.
        covariance = _posterior_covariance(dispersion * gram, prior.variance) if whole else belief.covariance
        regression = covariance @ overlap
        information = added.T @ weighted - overlap.T @ regression / dispersion
        gradient -= (belief.mean - prior.center) / prior.variance / (np.sqrt(noise) * dispersion)
        found = residual @ added - (regression.T @ gradient if whole else 0.0)
        candidates = CandidateColumns(found, 0.5 * (information + information.T), variance, penalty)
        new = np.flatnonzero(np.diag(information) > MIN_FRESH * (weighted * added).sum(axis=0))
        taken = new[select(candidates.take(new), room)]
        if not len(taken):
            return None
        admitted, chosen = crosses.take(taken), candidates.take(taken)
        own = prior.variances[len(prior.variances) - MAX_CHECKS - 1 + admitted.cells.n_checks]
        mean, covariance = posterior(replace(chosen, variance=own))
        weights = (mean if self._cases else mean * np.sqrt(noise), covariance)
        return FoundCrosses(admitted, *extended(belief.mean, belief.covariance, regression[:, taken], weights))

    def _linearised(
        self, outcomes: SampledOutcomes, score: FloatArray, noise: float
    ) -> tuple[FloatArray, FloatArray, float]:
        """Return residuals, curvatures and the dispersion by which both have been divided.

        A response's dispersion is that of the sampled residuals: above 1 where they count as several outcomes. Amounts
        are in units of their noise, with curvature 1.
        """
        times = outcomes.weight
        if not self._cases:
            return times * (outcomes.y - score) / np.sqrt(noise), times, 1.0
        p = expit(score + outcomes.offset)
        residual, curvature = times * (outcomes.y - p), times * p * (1.0 - p)
        dispersion = max(1.0, float(residual @ residual) / max(float(curvature.sum()), 1e-12))
        return residual / dispersion, curvature / dispersion, dispersion

    # -- state -----------------------------------------------------------------------------------------------------

    def state(self) -> dict[str, NDArray[np.generic]]:
        """Return arrays, enough for `restore`."""
        arrays = {f"cross/{part}": array for part, array in self.crosses.state().items()}
        arrays |= {f"sample/{part}": array for part, array in self.sample.state().items()}
        return arrays | {"cross_round": np.array([self.due], dtype=np.int64)}

    def restore(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Load a state; ValueError or KeyError where it does not fit."""
        encoder = self._encoder
        n_columns = 1 + len(encoder.offers.main_names)
        crosses = Crosses.restore(parts_of("cross", arrays), encoder.n_context, n_columns)
        sample = OutcomeSample(encoder.n_context, self._cases)
        kept = parts_of("sample", arrays)
        if kept:  # a retention run removes it: a new one begins
            sample.restore(kept, encoder.catalogue.n_offers)
        self.crosses, self.sample = crosses, sample
        self.due = int(arrays["cross_round"][0]) if kept else next_round(0)


def _posterior_covariance(gram: FloatArray, variance: FloatArray) -> FloatArray:
    """Return (gram + 1 / variance)^-1, (D, D), solved in units of the prior's deviations."""
    deviation = np.sqrt(variance)
    system = deviation[:, None] * gram * deviation
    system[np.diag_indices_from(system)] += 1.0
    return deviation[:, None] * solve_positive(system, np.eye(len(system))) * deviation
