"""A log in parts, dealt by customer: what a policy learns on is never what it is judged on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

from bandit.errors import InputError
from bandit.ope.clusters import ClusterIndex

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bandit.domain import FloatArray, IntArray, Log, LoggedBatch

Part = Literal["learn", "judge"]

FOLDS = "fold"
"""The salt by which customers are dealt to the folds of cross-fitting."""


@dataclass(frozen=True, eq=False)
class SplitLog:
    """The decisions of one part of the customers, in order; reads the whole log and passes on the part."""

    log: Log
    share: float
    part: Part
    salt: str

    @property
    def catalogue(self) -> object:
        """The catalogue of the log, None where it has none of its own."""
        return getattr(self.log, "catalogue", None)

    @cached_property
    def n(self) -> int:
        """The number of decisions of the part; counted by one pass over the log."""
        return sum(len(batch) for batch in self.batches())

    def batches(self, size: int = 65_536) -> Iterator[LoggedBatch]:
        """Yield the part's decisions in order, at most `size` at a time; never an empty batch."""
        keys = ClusterIndex(self.salt)
        for batch in self.log.batches(size):
            shares = keys.read(batch.contexts.customers, len(batch))[1]
            chosen = (shares < self.share) == (self.part == "learn")
            if chosen.any():
                yield batch.take(chosen)


def split_log(log: Log, share: float = 0.5, part: Part = "learn", salt: str = "split") -> SplitLog:
    """Return one part of a log: "learn" has about `share` of the customers, "judge" the others.

    The same log, share and salt always deal a customer to the same part; where the log knows no customers, single
    decisions are dealt by their place. Raises InputError where the share is not strictly between 0 and 1.
    """
    if not 0.0 < share < 1.0:
        raise InputError(f"the share to learn on is {share}; give a number between 0 and 1, such as 0.5")
    if part not in {"learn", "judge"}:
        raise InputError(f'there is no part "{part}" of a split; ask for "learn" or "judge"')
    return SplitLog(log, share, part, salt)


def folds_of(shares: FloatArray, folds: int) -> IntArray:
    """Return the fold of each row, (n,), from the shares in [0, 1) of its customer."""
    return np.floor(shares * folds).astype(np.int64)


def fold_log(log: Log, fold: int, folds: int) -> Log:
    """Return the decisions of a log's customers that are not in a fold: what its copy of a policy learns on."""
    return _OtherFolds(log, fold, folds)


@dataclass(frozen=True, eq=False)
class _OtherFolds:
    """By the very number of the fold, so that rounding cannot deal a customer to both sides."""

    log: Log
    fold: int
    folds: int

    @property
    def catalogue(self) -> object:
        """The catalogue of the log, None where it has none of its own."""
        return getattr(self.log, "catalogue", None)

    @cached_property
    def n(self) -> int:
        """The number of decisions; counted by one pass over the log."""
        return sum(len(batch) for batch in self.batches())

    def batches(self, size: int = 65_536) -> Iterator[LoggedBatch]:
        """Yield the decisions in order, at most `size` at a time; never an empty batch."""
        keys = ClusterIndex(FOLDS)
        for batch in self.log.batches(size):
            shares = keys.read(batch.contexts.customers, len(batch))[1]
            others = folds_of(shares, self.folds) != self.fold
            if others.any():
                yield batch.take(others)
