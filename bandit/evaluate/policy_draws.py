"""What a frozen policy draws from while it is judged: the same for a customer in any batch and any part of the log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bandit.domain import PooledPolicy

if TYPE_CHECKING:
    from numpy.random import Generator

    from bandit.domain import FloatArray, IntArray, LoggedBatch
    from bandit.evaluate.candidates import CandidatePolicy

MOST_DRAW_GROUPS = 16
"""Most groups of customers for which a policy draws anew: as many as a policy keeps sets of draws."""

_GROUP_BITS = 2.0**26  # the first digits of a share deal customers to folds, these to groups


def draw_groups(n: int, batch_size: int) -> int:
    """Return the number of groups for a log of n decisions: one where a single batch holds it, at most 16."""
    return int(np.clip(-(-n // batch_size), 1, MOST_DRAW_GROUPS))


@dataclass(frozen=True, slots=True, eq=False)
class PolicyDraws:
    """Deals the customers to `groups` by their hash; each group is judged under draws of its own, from `rng`.

    The probabilities of some policies depend on the generator, such as those of Thompson sampling on the set of draws
    that is used (`PooledPolicy`). The draws of a group are the same in every batch, so that neither the batches nor the
    parts of a log change what a policy would have done; several groups average over the sets. A policy that depends on
    the generator in another way draws the same for every batch, and may depend on the batches.
    """

    rng: Generator
    groups: int

    def probabilities(self, candidate: CandidatePolicy, batch: LoggedBatch, shares: FloatArray) -> FloatArray:
        """Return the (n, N) probabilities of a policy; `shares` (n,) in [0, 1) are those of the customers."""
        rng = self._fresh()
        draws = any(isinstance(policy, PooledPolicy) and policy.draw_sets > 1 for policy in candidate.copies)
        if self.groups == 1 or not draws:
            return candidate.probabilities(batch, shares, rng)
        seed = int(rng.integers(2**62))
        table = np.empty((len(batch), batch.eligible.shape[1]))
        group = self._group_of(shares)
        for number in np.unique(group).tolist():
            rows = np.flatnonzero(group == number)
            own = np.random.default_rng([seed, number])
            table[rows] = candidate.probabilities(batch.take(rows), shares[rows], own)
        return table

    def _fresh(self) -> Generator:
        """Return a generator in the state of `rng`, which itself is never used."""
        source = type(self.rng.bit_generator)()
        source.state = self.rng.bit_generator.state
        return np.random.Generator(source)

    def _group_of(self, shares: FloatArray) -> IntArray:
        return np.floor((shares * _GROUP_BITS % 1.0) * self.groups).astype(np.int64)
