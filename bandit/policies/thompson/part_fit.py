"""The batch fit of an offer model over a log in parts: each pass adds up the parts' sums.

What leaves a part are sums, a bounded sample, and at the end what is known of its own customers: its rows stay where
they are read. A log without parts is one part. Sums are merged in a fixed order, and depend on the parts by rounding
alone.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, Self, TypeVar

import numpy as np

from bandit.domain import BoolArray, FloatArray, InProcessRunner, IntArray, Log, LogPart, PartitionedLog, PartRunner
from bandit.models.joint_fit import JointPass, JointSums
from bandit.models.linear_sums import LinearRows, LinearSums, RobustRounds
from bandit.models.newton_sums import NewtonSums
from bandit.policies.bounded_outcomes import BoundedLog
from bandit.policies.thompson.amount_fit import TrainingBatch
from bandit.policies.thompson.drawn_sample import DrawnOutcomes, SampleDraw
from bandit.policies.thompson.joint_rows import PartCustomers, joint_rows, part_customers
from bandit.policies.thompson.kept_rows import NumberedPart, rows_of
from bandit.policies.thompson.training_rows import ModelColumns, TrainingRecipe, TrainingRows


@dataclass(frozen=True, slots=True, eq=False)
class RowCounts:
    """What is counted of a model's rows: the context columns that are not 0 everywhere, rows, responses.

    `weighted` says that some stand for another number of outcomes than one.
    """

    active: BoolArray
    n: int
    responses: float
    weighted: bool

    def __add__(self, other: RowCounts) -> RowCounts:
        return RowCounts(
            self.active | other.active,
            self.n + other.n,
            self.responses + other.responses,
            self.weighted or other.weighted,
        )


@dataclass(frozen=True, slots=True, eq=False)
class TailRows:
    """Amounts of robust weights below 1: offers, amounts, weights and times, (m,) each; merge with `+`."""

    offer: IntArray
    y: FloatArray
    weight: FloatArray
    time: IntArray

    def __add__(self, other: TailRows) -> TailRows:
        return TailRows(
            np.concatenate([self.offer, other.offer]),
            np.concatenate([self.y, other.y]),
            np.concatenate([self.weight, other.weight]),
            np.concatenate([self.time, other.time]),
        )

    def ordered(self) -> TailRows:
        """Return them in order of time."""
        order = np.lexsort((self.y, self.offer, self.time))
        return TailRows(self.offer[order], self.y[order], self.weight[order], self.time[order])


@dataclass(frozen=True, slots=True, eq=False)
class LogParts:
    """A log, its parts and what runs over them."""

    log: Log
    parts: Sequence[NumberedPart]
    runner: PartRunner
    token: str

    @staticmethod
    def of_log(log: Log, runner: PartRunner | None) -> LogParts:
        """Return the parts of a log, which a log without any is itself, read by `runner` or in this process."""
        token = secrets.token_hex(8)
        is_whole = not isinstance(log, PartitionedLog)
        parts: Sequence[LogPart] = log.parts if isinstance(log, PartitionedLog) else (WholeLog(log),)
        numbered = tuple(NumberedPart(token, number, part) for number, part in enumerate(parts))
        return LogParts(log, numbered, InProcessRunner() if runner is None or is_whole else runner, token)

    def of(self, recipe: TrainingRecipe) -> PartFit:
        """Return the fit of one model."""
        return PartFit(self, recipe)


@dataclass(frozen=True, slots=True, eq=False)
class WholeLog:
    """A log as one part, read in this process."""

    log: Log

    @property
    def n(self) -> int:
        """The number of decisions."""
        return self.log.n

    def open(self) -> Log:
        """Return the log."""
        return self.log


@dataclass(frozen=True, slots=True, eq=False)
class PartFit:
    """Adds up over the parts what the fit of one model needs of all rows."""

    log: LogParts
    recipe: TrainingRecipe

    def counts(self) -> RowCounts:
        """Return what is counted of the rows."""
        nothing = RowCounts(np.zeros(self.recipe.encoder.n_context, dtype=np.bool_), 0, 0.0, False)
        found = self.log.runner.map(_counts_of_part, self.log.parts, None, self.recipe)
        return tree_sum(found) or nothing

    def training_batches(self) -> Iterator[TrainingBatch]:
        """Yield the rows of the log read straight through, in its order."""
        return ((each.contexts, each.offer, each.y, each.weight, each.times) for each in self.rows())

    def rows(self) -> Iterator[TrainingRows]:
        """Return what `training_batches` does, with the customers."""
        return self.recipe.training_rows(BoundedLog(self.log.log, self.recipe.largest))

    def newton(self, columns: ModelColumns, progress: Callable[[], None] | None) -> Callable[[FloatArray], NewtonSums]:
        """Return what adds up the sums of one pass at given weights."""

        def sums(mean: FloatArray) -> NewtonSums:
            _advance(progress)
            found = self.log.runner.map(_newton_part, self.log.parts, None, self.recipe, columns, mean)
            return tree_sum(found) or NewtonSums.of([], mean)

        return sums

    def joint(self, columns: ModelColumns, progress: Callable[[], None] | None) -> Callable[[JointPass], JointSums]:
        """Return what adds up the sums of one pass over outcomes and customers."""

        def sums(here: JointPass) -> JointSums:
            _advance(progress)
            found = self.log.runner.map(_joint_part, self.log.parts, None, self.recipe, columns, here)
            return tree_sum(found) or JointSums.none(here)

        return sums

    def customers(self, columns: ModelColumns, here: JointPass) -> PartCustomers:
        """Return what is known of each customer, in the order in which they first came."""
        found = self.log.runner.map(_customers_of_part, self.log.parts, None, self.recipe, columns, here)
        return PartCustomers.joined(list(found), len(here.effects.owner))

    def linear(
        self, columns: ModelColumns, center: FloatArray, variance: FloatArray
    ) -> Callable[[RobustRounds], LinearSums]:
        """Return what adds up the sums of one round under a prior of means and variances (D,)."""

        def sums(rounds: RobustRounds) -> LinearSums:
            found = self.log.runner.map(
                _linear_part, self.log.parts, None, self.recipe, columns, rounds, center, variance
            )
            return tree_sum(found) or rounds.sums([], center, variance)

        return sums

    def tails(self, columns: ModelColumns, rounds: RobustRounds) -> TailRows:
        """Return the amounts that have robust weights below 1, in order of time."""
        found = tree_sum(self.log.runner.map(_tails_of_part, self.log.parts, None, self.recipe, columns, rounds))
        return (_no_tails() if found is None else found).ordered()

    def sample(self, columns: ModelColumns, draw: SampleDraw) -> DrawnOutcomes | None:
        """Return a sample of all rows, None without any."""
        found = self.log.runner.map(_sample_of_part, self.log.parts, None, self.recipe, columns, draw)
        return tree_sum(each for each in found if each is not None)


def _advance(progress: Callable[[], None] | None) -> None:
    if progress is not None:
        progress()


# -- what is computed where a part is read -----------------------------------------------------------------------------


def _counts_of_part(part: LogPart, recipe: TrainingRecipe) -> RowCounts:
    active, n, responses, weighted = np.zeros(recipe.encoder.n_context, dtype=np.bool_), 0, 0.0, False
    for rows in rows_of(part, recipe):
        active |= (rows.contexts != 0).any(axis=0)
        n, responses, weighted = n + len(rows), responses + float(rows.y.sum()), weighted or rows.times is not None
    return RowCounts(active, n, responses, weighted)


def _newton_part(part: LogPart, recipe: TrainingRecipe, columns: ModelColumns, mean: FloatArray) -> NewtonSums:
    rows = rows_of(part, recipe)
    return NewtonSums.of(((columns.rows(each.contexts, each.offer), each.y, each.counted) for each in rows), mean)


def _joint_part(part: LogPart, recipe: TrainingRecipe, columns: ModelColumns, here: JointPass) -> JointSums:
    found = JointSums.none(here)
    for rows in joint_rows(lambda: rows_of(part, recipe), columns):
        found = found + here.sums(rows.joint)
    return found


def _customers_of_part(
    part: LogPart, recipe: TrainingRecipe, columns: ModelColumns, here: JointPass
) -> list[PartCustomers]:
    rows = joint_rows(lambda: rows_of(part, recipe), columns)
    return [part_customers(each, here) for each in rows]


def _linear_part(
    part: LogPart,
    recipe: TrainingRecipe,
    columns: ModelColumns,
    rounds: RobustRounds,
    center: FloatArray,
    variance: FloatArray,
) -> LinearSums:
    return rounds.sums((given for _, given in _linear_rows(part, recipe, columns)), center, variance)


def _tails_of_part(part: LogPart, recipe: TrainingRecipe, columns: ModelColumns, rounds: RobustRounds) -> TailRows:
    found = _no_tails()
    for rows, given in _linear_rows(part, recipe, columns):
        tails = rounds.weights(given)[0]
        below = np.flatnonzero(tails < 1.0)
        time = rows.time[below] if len(rows.time) else np.zeros(len(below), dtype=np.int64)
        found = found + TailRows(rows.offer[below], rows.y[below], tails[below], time)
    return found


def _linear_rows(
    part: LogPart, recipe: TrainingRecipe, columns: ModelColumns
) -> Iterator[tuple[TrainingRows, LinearRows]]:
    for rows in rows_of(part, recipe):
        design = columns.rows(rows.contexts, rows.offer)
        yield rows, LinearRows(design, columns.scaled(rows.y), rows.weight, rows.times)


def _no_tails() -> TailRows:
    nothing, none = np.zeros(0), np.zeros(0, dtype=np.int64)
    return TailRows(none, nothing, nothing, none)


def _sample_of_part(
    part: LogPart, recipe: TrainingRecipe, columns: ModelColumns, draw: SampleDraw
) -> DrawnOutcomes | None:
    return draw.of(columns, rows_of(part, recipe), rows_of(part, recipe))


class _Sums(Protocol):
    def __add__(self, other: Self) -> Self: ...


_S = TypeVar("_S", bound=_Sums)


def tree_sum(found: Iterable[_S]) -> _S | None:
    """Return the sum of parts by pairs, None without any; as many are held at once as their number has binary digits.

    Its rounding grows with the logarithm of the number of parts.
    """
    held: list[tuple[int, _S]] = []
    for each in found:
        level, total = 0, each
        while held and held[-1][0] == level:
            total = held.pop()[1] + total
            level += 1
        held.append((level, total))
    whole: _S | None = None
    for _, total in reversed(held):
        whole = total if whole is None else total + whole
    return whole
