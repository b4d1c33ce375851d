"""What the models of a batch fit learn of a log: rows by a small recipe, so that each part makes its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bandit.domain import FloatArray, IntArray, Log, LoggedBatch, ObjectArray
from bandit.domain.mixed_numbers import UnsignedArray, mixed
from bandit.domain.text_hashes import text_hashes
from bandit.encoding.encoder import Encoder
from bandit.models.shared_design import SharedDesign
from bandit.policies.thompson.crosses import CrossColumns
from bandit.policies.thompson.learned_events import batch_steps, has_revenue
from bandit.policies.thompson.offer_scores import AmountScale

FIT_ROWS = 8_192
"""Decisions of a log that a batch fit learns at once."""

if TYPE_CHECKING:
    from bandit.policies.thompson.offer_model import OfferModel

_KEY_SEED = 20_261_130


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
class TrainingRows:
    """n outcomes as one model learns them: context columns (n, d), offers, responses or amounts, weights of age (n,).

    `times` (n,) is how many outcomes each stands for, None where each is one. `customers` and `time` are (n,), or empty
    where the log knows none.
    """

    contexts: FloatArray
    offer: IntArray
    y: FloatArray
    weight: FloatArray
    times: FloatArray | None
    customers: ObjectArray
    time: IntArray

    def __len__(self) -> int:
        return len(self.offer)

    @property
    def counted(self) -> FloatArray:
        """How many outcomes each counts as, (n,)."""
        return self.weight if self.times is None else self.weight * self.times

    def take(self, rows: IntArray) -> TrainingRows:
        """Return the chosen rows."""
        return TrainingRows(
            self.contexts[rows],
            self.offer[rows],
            self.y[rows],
            self.weight[rows],
            None if self.times is None else self.times[rows],
            self.customers[rows] if len(self.customers) else self.customers,
            self.time[rows] if len(self.time) else self.time,
        )

    def without_contexts(self) -> TrainingRows:
        """Return the rows without their context columns, (n, 0)."""
        return replace(self, contexts=np.zeros((len(self), 0)))

    def keys(self) -> UnsignedArray:
        """Return a mixed number for each outcome, (n,), by what it is: the same in whatever part of a log it is read.

        Outcomes that are alike in customer, time, offer, context and response have the same.
        """
        found = mixed(self.offer.astype(np.uint64) + np.uint64(_KEY_SEED))
        if len(self.customers):
            found = mixed(found ^ customer_keys(self.customers))
        if len(self.time):
            found = mixed(found ^ self.time.astype(np.uint64))
        for column in (self.y, *self.contexts.T):
            found = mixed(found ^ np.ascontiguousarray(column, dtype=np.float64).view(np.uint64))
        return found


def customer_keys(customers: ObjectArray) -> UnsignedArray:
    """Return a mixed number for each customer, (n,), the same on every machine."""
    return text_hashes(list(map(str, customers.tolist())), _KEY_SEED)


@dataclass(frozen=True, slots=True, eq=False)
class TrainingRecipe:
    """The rows that one model learns: responses of stage `place`, of decisions that passed the one before, or amounts.

    `names` are the stages, the conversion last, () where it is learned alone. `raw_reward` says that the reward itself
    is learned, `revenues` that the log revenues of conversions are. `largest` bounds revenues and rewards of a part.
    """

    encoder: Encoder
    weight: Callable[[LoggedBatch], FloatArray]
    names: tuple[str, ...] = ()
    place: int = 0
    raw_reward: bool = False
    revenues: bool = False
    largest: float = np.inf

    def training_rows(self, log: Log) -> Iterator[TrainingRows]:
        """Yield the rows of a log, some thousand at a time and never none."""
        for batch in log.batches(FIT_ROWS):
            if self.revenues:
                chosen = np.flatnonzero(has_revenue(batch.revenue, batch.converted))
                y = np.log(batch.revenue[chosen])
            elif self.place:
                steps = batch_steps(batch, self.names)
                chosen = np.flatnonzero(steps[:, self.place - 1])
                y = steps[chosen, self.place].astype(np.float64)
            else:
                chosen, y = np.arange(len(batch)), self.responses(batch)
            if len(chosen):
                own = batch if len(chosen) == len(batch) else batch.take(chosen)
                matrix, weight = self.encoder.context_matrix(own.contexts), self.weight(own)
                yield TrainingRows(
                    matrix, own.offer, y, weight, _chosen(batch, chosen), own.contexts.customers, own.time
                )

    def responses(self, batch: LoggedBatch) -> FloatArray:
        """Return the (n,) responses, or raw rewards, that the first model learns."""
        if self.raw_reward:
            return batch.reward
        reached = batch_steps(batch, self.names)[:, 0] if self.names else batch.converted
        return reached.astype(np.float64)

    def of_stage(self, place: int) -> TrainingRecipe:
        """Return the recipe of a later stage."""
        return replace(self, place=place)


def _chosen(batch: LoggedBatch, rows: IntArray) -> FloatArray | None:
    return None if batch.stands_for is None else batch.stands_for[rows]


@dataclass(frozen=True, slots=True, eq=False)
class ModelColumns:
    """How a model makes its design's rows of contexts, without what it has learned: small enough to be sent."""

    active: IntArray
    design: SharedDesign
    crosses: CrossColumns | None
    scale: AmountScale | None

    @staticmethod
    def of(model: OfferModel) -> ModelColumns:
        """Return those of a model's present columns."""
        learned = model.crosses
        crosses = None
        if learned is not None and len(learned.crosses):
            crosses = CrossColumns(learned.crosses, model.encoder)
        return ModelColumns(
            model.active, model.design, crosses, None if model.kind == "response" else model.amount_scale
        )

    def columns(self, contexts: FloatArray) -> FloatArray:
        """Return the columns that the weights act on, (n, active + C), of all context columns (n, d)."""
        active = contexts.take(self.active, axis=1)
        if self.crosses is None:
            return active
        return np.concatenate([active, self.crosses.columns(contexts)], axis=1)

    def rows(self, contexts: FloatArray, offer: IntArray) -> FloatArray:
        """Return the rows (n, D) of one offer (n,) for each of n contexts (n, d)."""
        return self.design.rows(self.columns(contexts), offer)

    def scaled(self, y: FloatArray) -> FloatArray:
        """Return responses as they are, and amounts standardised, (n,)."""
        return y if self.scale is None else self.scale.standardised(y)
