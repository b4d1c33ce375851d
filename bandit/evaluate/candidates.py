"""What the judged policies answer to a log: one frozen policy, or one copy for each fold of the customers.

A policy that learns from the very log it is judged on would be judged on what it has seen. Cross-fitting gives it the
whole log all the same: with k folds there are k copies, each of which learns from the other k - 1 folds, and each
decision is judged by the copy that has not seen its customer.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bandit.decide import checked
from bandit.errors import InputError, PolicyError
from bandit.evaluate.log_cache import cache_log
from bandit.evaluate.split import SplitLog, fold_log, folds_of
from bandit.policies import ThompsonSampling, build

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.random import Generator

    from bandit.catalogue import Catalogue
    from bandit.domain import FloatArray, Log, LoggedBatch, Policy


@dataclass(frozen=True, slots=True)
class CandidatePolicy:
    """A policy that is judged: `copies` has one policy, or one a fold, which has not seen the fold's customers."""

    name: str
    copies: tuple[Policy, ...]

    def probabilities(self, batch: LoggedBatch, shares: FloatArray, rng: Generator) -> FloatArray:
        """Return the (n, N) probabilities, checked; `shares` (n,) in [0, 1) deal the customers to the folds.

        PolicyError, with the policy's name, where they are no probabilities.
        """
        if len(self.copies) == 1:
            return self._ask(self.copies[0], batch, rng)
        table = np.empty((len(batch), batch.eligible.shape[1]))
        fold = folds_of(shares, len(self.copies))
        for place, policy in enumerate(self.copies):
            rows = fold == place
            if rows.any():
                table[rows] = self._ask(policy, batch.take(rows), rng)
        return table

    def _ask(self, policy: Policy, batch: LoggedBatch, rng: Generator) -> FloatArray:
        try:
            return checked(policy.probabilities(batch.contexts, batch.eligible, rng), batch.eligible)
        except PolicyError as fault:
            raise PolicyError(f'"{self.name}" cannot be evaluated: {fault}') from fault


def frozen(policies: Mapping[str, Policy]) -> tuple[CandidatePolicy, ...]:
    """Return the policies as they are."""
    return tuple(CandidatePolicy(name, (policy,)) for name, policy in policies.items())


def teach_part(candidates: Sequence[CandidatePolicy], part: SplitLog, size: int) -> int:
    """Give those that learn one part of a log; return the number of its decisions."""
    learners = [policy for each in candidates for policy in each.copies if policy.learns]
    if not learners:
        return part.n
    held = cache_log(part, size)
    for policy in learners:
        teach(policy, held, size)
    return held.n


def cross_fitted(
    candidates: Sequence[CandidatePolicy],
    catalogue: Catalogue,
    log: Log,
    folds: int,
    size: int,
    advance: Callable[[int], None],
) -> tuple[CandidatePolicy, ...]:
    """Return the candidates, each that learns as k fresh copies that have learned from the customers of other folds.

    `advance` is called with the number of decisions of the log after each copy. InputError with fewer than two folds.
    """
    if folds < 2:
        raise InputError(f"cross-fitting needs at least 2 folds, not {folds}; leave it at 5 if unsure")
    if not any(policy.learns for each in candidates for policy in each.copies):
        return tuple(candidates)
    held = cache_log(log, size)
    fitted = []
    for each in candidates:
        (policy,) = each.copies
        if not policy.learns:
            fitted.append(each)
            continue
        copies = [untrained_copy(policy, catalogue) for _ in range(folds)]
        for fold, one in enumerate(copies):
            teach(one, fold_log(held, fold, folds), size)
            advance(log.n)
        fitted.append(CandidatePolicy(each.name, tuple(copies)))
    return tuple(fitted)


def teach(policy: Policy, log: Log, size: int) -> None:
    """Let a policy learn a whole log: to convergence where it can, else batch by batch in order."""
    if isinstance(policy, ThompsonSampling):
        policy.fit(log)
        return
    for batch in log.batches(size):
        policy.update(batch.outcomes())


def untrained_copy(policy: Policy, catalogue: Catalogue) -> Policy:
    """Return the policy with its settings and nothing learned: built from its spec, or copied where it has none."""
    try:
        return build(catalogue, policy.spec())
    except (PolicyError, AttributeError):
        return copy.deepcopy(policy)
