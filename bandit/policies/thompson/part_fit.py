"""The batch fit of an offer model over a log in parts: each pass adds up the parts' sums.

The rows that a model learns follow from a small recipe, so that a part of the log can make its own. What depends on
the order of the decisions is learned from the log read straight through: the sample in which crosses are found, amounts
with robust weights, and customers' own effects.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bandit.models.newton_sums import NewtonSums
from bandit.policies.bounded_outcomes import BoundedLog
from bandit.policies.thompson.funnel import batch_steps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bandit.domain import BoolArray, FloatArray, Log, LoggedBatch, LogPart, PartRunner
    from bandit.encoding.encoder import Encoder
    from bandit.policies.thompson.amount_fit import TrainingBatch
    from bandit.policies.thompson.offer_model import OfferModel

FIT_ROWS = 8_192
"""Decisions of a log that a batch fit learns at once."""


@dataclass(frozen=True, slots=True)
class AgeWeights:
    """Weighs each decision by its age at the `newest` time: 0.5^(age / half-life), 1 without a half-life."""

    half_life: int | None
    newest: int

    def __call__(self, batch: LoggedBatch) -> FloatArray:
        """Return the weight of each decision, (n,)."""
        if self.half_life is None:
            return np.ones(len(batch))
        return np.asarray(0.5 ** ((self.newest - batch.time) / self.half_life))


@dataclass(frozen=True, slots=True, eq=False)
class TrainingRecipe:
    """The rows that one model of responses learns: those of stage `place`, of decisions that passed the one before.

    `names` are the stages, the conversion last, () where it is learned alone. `raw_reward` says that the reward itself
    is learned. `largest` bounds revenues and rewards of a part.
    """

    encoder: Encoder
    weight: Callable[[LoggedBatch], FloatArray]
    names: tuple[str, ...] = ()
    place: int = 0
    raw_reward: bool = False
    largest: float = np.inf

    def training_batches(self, log: Log) -> Iterator[TrainingBatch]:
        """Yield context columns, offers, responses, weights and how many outcomes each stands for."""
        for batch in log.batches(FIT_ROWS):
            if not self.place:
                y = self.responses(batch)
                yield self.encoder.context_matrix(batch.contexts), batch.offer, y, self.weight(batch), batch.stands_for
                continue
            steps = batch_steps(batch, self.names)
            rows = np.flatnonzero(steps[:, self.place - 1])
            if len(rows):
                matrix, times = self.encoder.context_matrix(batch.contexts.take(rows)), batch.stands_for
                y, weights = steps[rows, self.place].astype(np.float64), self.weight(batch)[rows]
                yield matrix, batch.offer[rows], y, weights, None if times is None else times[rows]

    def responses(self, batch: LoggedBatch) -> FloatArray:
        """Return the (n,) responses, or raw rewards, that the first model learns."""
        if self.raw_reward:
            return batch.reward
        reached = batch_steps(batch, self.names)[:, 0] if self.names else batch.converted
        return reached.astype(np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class LogParts:
    """The parts of a log and what runs over them."""

    parts: Sequence[LogPart]
    runner: PartRunner

    def of(self, recipe: TrainingRecipe) -> PartFit:
        """Return the fit of one model."""
        return PartFit(self, recipe)


@dataclass(frozen=True, slots=True, eq=False)
class PartFit:
    """Adds up over the parts what the fit of one model needs of all rows."""

    log: LogParts
    recipe: TrainingRecipe

    def active(self, n_context: int) -> tuple[BoolArray, int]:
        """Return which of the context columns are not 0 everywhere, and the number of rows."""
        active, n = np.zeros(n_context, dtype=np.bool_), 0
        for columns, count in self.log.runner.map(_active_part, self.log.parts, None, self.recipe, n_context):
            active, n = active | columns, n + count
        return active, n

    def newton(self, model: OfferModel, progress: Callable[[], None] | None) -> Callable[[FloatArray], NewtonSums]:
        """Return what adds up the sums of one pass at given weights."""

        def sums(mean: FloatArray) -> NewtonSums:
            if progress is not None:
                progress()
            found = self.log.runner.map(_newton_part, self.log.parts, None, self.recipe, model, mean)
            return _tree_sum(list(found), len(mean))

        return sums


def _active_part(part: LogPart, recipe: TrainingRecipe, n_context: int) -> tuple[BoolArray, int]:
    active, n = np.zeros(n_context, dtype=np.bool_), 0
    for contexts, offer, _, _, _ in recipe.training_batches(BoundedLog(part.open(), recipe.largest)):
        active |= (contexts != 0).any(axis=0)
        n += len(offer)
    return active, n


def _newton_part(part: LogPart, recipe: TrainingRecipe, model: OfferModel, mean: FloatArray) -> NewtonSums:
    batches = recipe.training_batches(BoundedLog(part.open(), recipe.largest))
    return NewtonSums.of(model.weighted_rows(batches), mean)


def _tree_sum(found: list[NewtonSums], size: int) -> NewtonSums:
    """Return the sum, by pairs: its rounding grows with the logarithm of the number of parts."""
    if not found:
        return NewtonSums(np.zeros((size, size)), np.zeros(size))
    while len(found) > 1:
        pairs = zip(found[::2], found[1::2], strict=False)
        found = [one + other for one, other in pairs] + found[len(found) - len(found) % 2 :]
    return found[0]
