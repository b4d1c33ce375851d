"""A bounded sample of the outcomes that an offer model has learned, without customers: what crosses are found in.

Priority sampling (Duffield, Lund & Thorup 2007, "Priority sampling for estimation of arbitrary subset sums"):
an outcome of importance q has the priority q / u with u uniform, those of the highest priority are kept, and one that
is kept counts as max(1, t / q) outcomes, with t the highest priority that was not kept: sums over the sample are
unbiased for sums over all. A response has the importance 1 and its absence the share of responses, which is how cases
and controls are sampled (Fithian & Hastie 2014, "Local case-control sampling", Annals of Statistics 42); amounts have
the importance 1. An outcome's u follows from its number alone, so that a belief is a function of what it has learned.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from bandit.domain import FloatArray, IntArray
from bandit.domain.mixed_numbers import UnsignedArray, mixed
from bandit.models.customer_effects import in_turns
from bandit.policies.state import BY_NUMBER

SAMPLE_OUTCOMES = 8_192
"""Most outcomes that are kept."""

SAMPLE_CELLS = 1_000_000
"""Most numbers of context columns that are kept: of very many columns fewer outcomes."""

_ROOM = 1_024
_VALUES = 7
"""Numbers kept of an outcome: offer, y, offset, weight, importance, priority, and its own number."""

_NUMBER = 6
"""Which of them is its own number, in the order of arrival."""

_AHEAD = 512


@dataclass(frozen=True, slots=True, eq=False)
class SampledOutcomes:
    """n outcomes: contexts (n, d), offers (n,), responses or amounts (n,), offsets of the score (n,).

    `weight` (n,) is how many outcomes each counts as.
    """

    contexts: FloatArray
    offer: IntArray
    y: FloatArray
    offset: FloatArray
    weight: FloatArray


class OutcomeSample:
    """Keeps up to `size` outcomes of `n_context` context columns."""

    def __init__(self, n_context: int, cases: bool) -> None:
        """Start empty; with `cases`, outcomes with a response (y = 1) are preferred."""
        self.size = max(500, min(SAMPLE_OUTCOMES, SAMPLE_CELLS // n_context))
        self._cases = cases
        self._threshold = 0.0
        self._seen = self._responses = 0.0
        self._number = self._n = 0
        self._by_number = True
        self._contexts = np.zeros((0, n_context), dtype=np.float32)
        self._values = np.zeros((0, _VALUES))

    def __len__(self) -> int:
        return min(self._n, self.size)

    @property
    def prefers_responses(self) -> bool:
        """Whether outcomes with a response are preferred."""
        return self._cases

    @property
    def added(self) -> int:
        """The number of outcomes that were added, whether they are kept or not."""
        return self._number

    def add(self, contexts: FloatArray, offer: IntArray, y: FloatArray, weight: FloatArray, offset: FloatArray) -> None:
        """Add n outcomes: contexts (n, d), offers, responses or amounts, weights and offsets (n,) each."""
        if len(y) == 1:
            self.add_one(contexts, int(offer[0]), float(y[0]), float(weight[0]), float(offset[0]))
            return
        n = len(y)
        numbers = np.arange(self._number, self._number + n, dtype=np.uint64)
        self._number += n
        importance = np.ones(n)
        if self._cases:
            seen, responses = self._seen + np.arange(1, n + 1), self._responses + np.cumsum(y)
            importance = np.where(y > 0.0, 1.0, (responses + 1.0) / (seen + 2.0))
            self._seen, self._responses = float(seen[-1]), float(responses[-1])
        priority = importance / uniforms(numbers)
        values = np.column_stack([offer, y, offset, weight, importance, priority, numbers])
        # What cannot stay is left out before it is copied.
        kept = np.flatnonzero(priority > self._threshold)
        for start in range(0, len(kept), self.size):
            part = kept[start : start + self.size]
            self._append(contexts[part], values[part])

    def add_one(self, contexts: FloatArray, offer: int, y: float, weight: float, offset: float) -> None:
        """Add one outcome, of the context columns (1, d), as `add` does."""
        number = self._number
        self._number += 1
        importance = 1.0
        if self._cases:
            self._seen += 1.0
            self._responses += y
            importance = 1.0 if y > 0.0 else (self._responses + 1.0) / (self._seen + 2.0)
        priority = importance / _uniform(number)
        if priority <= self._threshold:
            return
        self._append(contexts, np.array([[offer, y, offset, weight, importance, priority, number]]))

    def begin_with(
        self, contexts: NDArray[np.float32], values: FloatArray, threshold: float, n: int, responses: float
    ) -> None:
        """Keep outcomes that were drawn elsewhere, in their order, of n that count as added.

        `contexts` are (m, d) and `values` (m, 7) as a state has them, `threshold` the highest priority that was not
        kept, `responses` the sum of all responses.
        """
        self._contexts, self._values, self._n = contexts, values, len(values)
        self._threshold, self._number = threshold, n
        self._seen, self._responses = (float(n), responses) if self._cases else (0.0, 0.0)

    def _append(self, contexts: FloatArray, values: FloatArray) -> None:
        end = self._n + len(values)
        if end > len(self._values):
            room = max(_ROOM, end, min(2 * len(self._values), self.size + 2 * _ROOM))
            self._contexts = np.concatenate(
                [self._contexts[: self._n], np.zeros((room - self._n, self._contexts.shape[1]), dtype=np.float32)]
            )
            self._values = np.concatenate([self._values[: self._n], np.zeros((room - self._n, _VALUES))])
        self._contexts[self._n : end], self._values[self._n : end] = contexts, values
        self._n = end
        if self._n > self.size + _ROOM:  # a thousand at once: one by one would cost far more
            self._trim()

    def _trim(self) -> None:
        """Leave out the outcomes of the lowest priority that do not fit."""
        excess = self._n - self.size
        if excess <= 0:
            return
        priority = self._values[: self._n, 5]
        gone = np.argpartition(priority, excess - 1)[:excess]
        self._threshold = max(self._threshold, float(priority[gone].max()))
        kept = self._n - excess
        stays = np.ones(self._n, dtype=np.bool_)
        stays[gone] = False
        # The last ones take the places of those that are gone.
        free, moved = gone[gone < kept], kept + np.flatnonzero(stays[kept:])
        self._contexts[free], self._values[free] = self._contexts[moved], self._values[moved]
        self._n = kept

    def replace(self, contexts: FloatArray, offer: IntArray, previous_y: FloatArray, y: FloatArray) -> None:
        """Give n outcomes that were added before another `y` (n,), one after the other; those not kept change nothing.

        An outcome is found by what it was: equal context, offer and `previous_y` make two outcomes exchangeable. Of
        several the one that was added first is taken, wherever it is kept: a sample that was stored and loaded has
        another order in memory than one that was not.
        """
        self._trim()
        values, sought = self._values[: self._n], contexts.astype(np.float32)
        there = np.flatnonzero(np.isin(values[:, 0], offer))
        if not len(there):
            return
        if len(offer) == 1:
            same = there[values[there, 1] == previous_y[0]]
            same = same[(self._contexts[same] == sought[0]).all(axis=1)]
            if len(same):
                values[same[np.argmin(values[same, _NUMBER])], 1] = y[0]
            return
        there = there[np.argsort(values[there, _NUMBER])]
        # Context and offer as one number, and with y as another; both the same for what is kept and what is corrected.
        columns = np.concatenate([self._contexts[there], sought])
        offers = np.concatenate([values[there, 0], offer])
        alike = np.unique(np.column_stack([offers, columns]), axis=0, return_inverse=True)[1].ravel()
        kinds, kind = np.unique(np.concatenate([values[there, 1], previous_y, y]), return_inverse=True)
        kept, wanted = alike[: len(there)], alike[len(there) :]
        keys = kept * len(kinds) + kind[: len(there)]
        before, after = wanted * len(kinds) + kind[len(there) :].reshape(2, -1)
        for turn in in_turns(wanted):  # each context and offer once, so that no correction waits for another
            order = np.argsort(keys, kind="stable")
            first = np.searchsorted(keys, before[turn], sorter=order)
            places = order[np.minimum(first, len(order) - 1)]
            found = keys[places] == before[turn]
            keys[places[found]] = after[turn][found]
            values[there[places[found]], 1] = y[turn][found]

    def decay(self, kept: float) -> None:
        """Let what is kept count for a share of itself."""
        self._values[: self._n, 3] *= kept

    def outcomes(self) -> SampledOutcomes:
        """Return the sample, in the order in which the outcomes were learned, however these were batched."""
        order = self._order()
        offer, y, offset, weight, importance = self._values[order, :5].T
        times = weight * np.maximum(1.0, self._threshold / importance)
        return SampledOutcomes(self._contexts[order].astype(np.float64), offer.astype(np.int64), y, offset, times)

    def _order(self) -> IntArray:
        self._trim()
        return np.argsort(self._values[: self._n, _NUMBER], kind="stable")

    # -- state -----------------------------------------------------------------------------------------------------

    def state(self) -> dict[str, NDArray[np.generic]]:
        """Return arrays, enough for `restore`."""
        order = self._order()
        arrays: dict[str, NDArray[np.generic]] = {
            "contexts": self._contexts[order],
            "values": self._values[order],
            "counts": np.array([self._threshold, self._seen, self._responses, self._number]),
        }
        return arrays | ({BY_NUMBER: np.ones(1)} if self._by_number else {})

    def restore(self, arrays: Mapping[str, NDArray[np.generic]], n_offers: int) -> None:
        """Load a state; ValueError or KeyError where it does not fit."""
        contexts = np.array(arrays["contexts"], dtype=np.float32)
        values, counts = np.array(arrays["values"], dtype=np.float64), np.array(arrays["counts"], dtype=np.float64)
        n = len(values)
        if contexts.shape != (n, self._contexts.shape[1]) or values.shape != (n, _VALUES) or counts.shape != (4,):
            raise ValueError("its sample of outcomes is of another context")
        if not all(np.isfinite(part).all() for part in (contexts, values, counts)):
            raise ValueError("its sample of outcomes has numbers that are not finite")
        if n > self.size or (counts < 0.0).any() or (values[:, 3:6] <= 0.0).any():
            raise ValueError("its sample of outcomes has impossible numbers")
        if n and not (values[:, 0].min() >= 0 and values[:, 0].max() < n_offers):
            raise ValueError("its sample of outcomes has other offers")
        self._contexts, self._values, self._n = contexts, values, n
        self._threshold, self._seen, self._responses = counts[:3].tolist()
        self._number = int(counts[3])
        self._by_number = BY_NUMBER in arrays


def uniforms(numbers: UnsignedArray) -> FloatArray:
    """Return a number in (0, 1] for each whole number, as if drawn uniformly."""
    return np.asarray(((mixed(numbers + np.uint64(1)) >> np.uint64(11)).astype(np.float64) + 1.0) / 2**53)


@lru_cache(maxsize=4)
def _block(place: int) -> FloatArray:
    return uniforms(np.arange(place * _AHEAD, (place + 1) * _AHEAD, dtype=np.uint64))


def _uniform(number: int) -> float:
    """Return the number of `uniforms` for one whole number; a block of them is computed at once."""
    return float(_block(number // _AHEAD)[number % _AHEAD])
