"""Repeated decisions: the same customer, time, offer and context under two ids."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bandit.evaluate.diagnostics.findings import DiagnosticCheck, Finding, share

if TYPE_CHECKING:
    from bandit.domain import Contexts, IntArray

MOST_KEPT = 4_000_000
"""Most hashes kept, of 8 bytes each; of a longer log a sample of the distinct rows is checked."""

MANY_REPEATED = 0.01
"""With a larger share of repeated decisions, intervals are in doubt."""


@dataclass(frozen=True, slots=True)
class RepeatedDecisions(DiagnosticCheck):
    """How many of `n` decisions repeat an earlier one, estimated from `looked_at` rows where these are fewer."""

    n: int
    looked_at: int
    repeated: int

    @property
    def name(self) -> str:
        """What was checked, as a key."""
        return "repeats"

    @property
    def share(self) -> float:
        """The share of decisions that repeat an earlier one."""
        return self.repeated / self.looked_at if self.looked_at else 0.0

    def finding(self) -> Finding | None:
        """Return a note where decisions repeat, and a doubt where more than 1 % do."""
        if not self.repeated:
            return None
        about = f"{self.repeated:,}" if self.looked_at == self.n else f"about {round(self.share * self.n):,}"
        return self._finding(
            "doubt" if self.share > MANY_REPEATED else "note",
            f"{about} of {self.n:,} decisions ({share(self.share)}) repeat another one (same customer, time, offer "
            "and context) under another id, so they may have been logged twice",
        )

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return self._to_json("n", "looked_at", "repeated", "share")


class RepeatCounts:
    """Counts repeated rows by 64-bit hashes in at most 32 MB, and twice that in `result`.

    Of a log with more rows than fit, those are kept whose hash ends in enough zero bits: all copies of a row or none
    (Flajolet 1990, "On adaptive sampling"). Two different rows have the same hash once in 10^19 pairs. A log in which
    all decisions have the same time has no real times, and no repeats are counted.
    """

    def __init__(self, most: int = MOST_KEPT) -> None:
        self.most = most
        self._parts: list[NDArray[np.uint64]] = []
        self._n, self._kept, self._bits = 0, 0, 0
        self._first, self._last = np.iinfo(np.int64).max, np.iinfo(np.int64).min

    def add(self, contexts: Contexts, offer: IntArray, time: IntArray, customer: IntArray) -> None:
        """Add n decisions with the numbers of their customers, (n,)."""
        if not len(offer):
            return
        self._first, self._last = min(self._first, int(time.min())), max(self._last, int(time.max()))
        hashes = _mixed(customer.astype(np.uint64))
        for column in (time, offer, *contexts.columns.values()):
            # Adding 0.0 makes one zero of two, and all missing numbers have one pattern of bits.
            values = np.where(np.isnan(column), np.nan, column + 0.0) if column.dtype.kind == "f" else column
            hashes = _mixed(hashes ^ np.ascontiguousarray(values).view(np.uint64))
        self._n += len(offer)
        self._keep(hashes)
        self._thin(self._bits)

    def __add__(self, other: RepeatCounts) -> RepeatCounts:
        """Return the counts of the decisions of both; equal numbers of customers stand for the same customer."""
        both = RepeatCounts(min(self.most, other.most))
        both._n = self._n + other._n
        both._first, both._last = min(self._first, other._first), max(self._last, other._last)
        both._parts, both._kept = [*self._parts, *other._parts], self._kept + other._kept
        both._bits = min(self._bits, other._bits)
        both._thin(max(self._bits, other._bits))
        return both

    def _thin(self, bits: int) -> None:
        """Keep the hashes that end in at least `bits` zero bits, and in as many more as bound the memory."""
        while self._kept > self.most or self._bits < bits:
            self._bits += 1
            parts, self._parts, self._kept = self._parts, [], 0
            while parts:  # each is let go of before the next one is copied
                self._keep(parts.pop())

    def result(self) -> RepeatedDecisions:
        """Return how many rows repeat an earlier one, of those added so far."""
        if not self._kept or self._first == self._last:
            return RepeatedDecisions(self._n, 0, 0)
        rising = np.sort(np.concatenate(self._parts))
        distinct = 1 + int(np.count_nonzero(rising[1:] != rising[:-1]))
        return RepeatedDecisions(self._n, self._kept, self._kept - distinct)

    def _keep(self, hashes: NDArray[np.uint64]) -> None:
        kept = hashes[(hashes & np.uint64((1 << self._bits) - 1)) == 0] if self._bits else hashes
        if len(kept):
            self._parts.append(kept)
            self._kept += len(kept)


def _mixed(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return well mixed numbers: the finaliser of Steele, Lea and Flood 2014 (SplitMix)."""
    x = (x + np.uint64(0x9E3779B97F4A7C15)) * np.uint64(0xD1342543DE82EF95)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
