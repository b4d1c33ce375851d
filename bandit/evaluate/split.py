"""Parts of a log, dealt by customer, so that a policy is not judged on decisions that it has learned from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

from bandit.domain import InProcessRunner, LogView
from bandit.errors import InputError
from bandit.ope.clusters import ClusterIndex

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bandit.domain import BoolArray, FloatArray, IntArray, Log, LoggedBatch, LogPart, PartitionedLog, PartRunner

SplitPart = Literal["learn", "judge"]

FOLD_SALT = "fold"
"""The salt by which customers are dealt to the folds of cross-fitting."""


class _PartOfLog(LogView, ABC):
    """The decisions of some customers of a log, in order; reads the whole log and passes on the part."""

    salt: str

    @cached_property
    def n(self) -> int:
        """The number of decisions of the part; counted by one pass over the log."""
        return sum(len(batch) for batch in self.batches())

    def batches(self, size: int = 65_536) -> Iterator[LoggedBatch]:
        """Yield the part's decisions in order, at most `size` at a time; never an empty batch."""
        yield from self._part(self.log.batches(size))

    def outside(self, size: int = 65_536) -> Iterator[LoggedBatch]:
        """Yield those decisions of the part that the log left out since the catalogue does not have their offer."""
        yield from self._part(self.log.outside(size))

    def _part(self, batches: Iterator[LoggedBatch]) -> Iterator[LoggedBatch]:
        keys = ClusterIndex(self.salt)
        for batch in batches:
            chosen = self._contains(keys.read_batch(batch.contexts)[1])
            if chosen.any():
                yield batch.take(chosen)

    @abstractmethod
    def _contains(self, shares: FloatArray) -> BoolArray:
        """Return which rows belong to the part, (n,), from the shares in [0, 1) of their customers."""


@dataclass(frozen=True, eq=False)
class SplitLog(_PartOfLog):
    """One of the two parts of a log: "learn" has about `share` of the customers, "judge" the others."""

    log: Log
    share: float
    part: SplitPart
    salt: str

    def _contains(self, shares: FloatArray) -> BoolArray:
        return np.asarray((shares < self.share) == (self.part == "learn"))


@dataclass(frozen=True, eq=False)
class OtherFolds(_PartOfLog):
    """All folds of a log but one: the decisions that the copy of a policy for this fold learns from.

    Rows are compared by the number of their fold, so that rounding cannot put a customer on both sides.
    """

    log: Log
    fold: int
    folds: int
    salt: str = FOLD_SALT

    def _contains(self, shares: FloatArray) -> BoolArray:
        return np.asarray(folds_of(shares, self.folds) != self.fold)


@dataclass(frozen=True, eq=False)
class FoldPart:
    """One part of a log without the customers of a fold; `n` is the number of decisions that are left."""

    part: LogPart
    fold: int
    folds: int
    n: int

    def open(self) -> OtherFolds:
        """Return the decisions of the other folds."""
        return OtherFolds(self.part.open(), self.fold, self.folds)


@dataclass(frozen=True, eq=False)
class OtherFoldsInParts(OtherFolds):
    """All folds but one of a log in parts, in the same parts."""

    parts: tuple[FoldPart, ...] = ()

    @cached_property
    def n(self) -> int:
        """The number of decisions of the other folds."""
        return sum(part.n for part in self.parts)


def other_folds_in_parts(
    log: PartitionedLog, folds: int, runner: PartRunner | None = None
) -> tuple[OtherFoldsInParts, ...]:
    """Return for each fold the others of a log in parts, whose decisions are counted by `runner` or in this process."""
    over = InProcessRunner() if runner is None else runner
    counts = list(over.map(_fold_counts, log.parts, None, folds))
    return tuple(
        OtherFoldsInParts(
            log,
            fold,
            folds,
            parts=tuple(
                FoldPart(part, fold, folds, int(own.sum() - own[fold]))
                for part, own in zip(log.parts, counts, strict=True)
            ),
        )
        for fold in range(folds)
    )


def _fold_counts(part: LogPart, folds: int) -> IntArray:
    keys, found = ClusterIndex(FOLD_SALT), np.zeros(folds, dtype=np.int64)
    for batch in part.open().batches():
        found += np.bincount(folds_of(keys.read_batch(batch.contexts)[1], folds), minlength=folds)
    return found


def split_log(log: Log, share: float = 0.5, part: SplitPart = "learn", salt: str = "split") -> SplitLog:
    """Return one part of a log: "learn" has about `share` of the customers, "judge" the others.

    The same log, share and salt always put a customer in the same part; where the log knows no customers, single
    decisions are dealt by their place in the log. Raises InputError where the share is not strictly between 0 and 1.
    """
    if not 0.0 < share < 1.0:
        raise InputError(f"the share to learn on is {share}; give a number between 0 and 1, such as 0.5")
    if part not in {"learn", "judge"}:
        raise InputError(f'there is no part "{part}" of a split; ask for "learn" or "judge"')
    return SplitLog(log, share, part, salt)


def folds_of(shares: FloatArray, folds: int) -> IntArray:
    """Return the fold of each row, (n,), from the shares in [0, 1) of its customer."""
    return np.floor(shares * folds).astype(np.int64)
