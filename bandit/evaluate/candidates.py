"""The policies to judge: each as it is, or as one copy for each fold of the customers.

A policy that learns from the log it is judged on would be judged on decisions it has seen. Cross-fitting uses the
whole log without that: with k folds there are k copies, each of which learns from the other k - 1 folds, and each
decision is judged by the copy that has not seen its customer.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bandit.decide import checked
from bandit.domain import PartitionedLog, PooledPolicy
from bandit.errors import InputError, PolicyError
from bandit.evaluate.log_cache import cache_log
from bandit.evaluate.split import OtherFolds, folds_of, other_folds_in_parts
from bandit.policies import ThompsonSampling, build

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.random import Generator

    from bandit.catalogue import Catalogue
    from bandit.domain import FloatArray, Log, LoggedBatch, PartRunner, Policy, Progress


@dataclass(frozen=True, slots=True)
class CandidatePolicy:
    """A policy to judge: `copies` is the policy itself, or one copy a fold that has not seen the fold's customers."""

    name: str
    copies: tuple[Policy, ...]

    def probabilities(self, batch: LoggedBatch, shares: FloatArray, rng: Generator) -> FloatArray:
        """Return the (n, N) probabilities, checked; `shares` (n,) in [0, 1) say in which fold a customer is.

        PolicyError, with the policy's name, where a row does not sum to 1 over the eligible offers.
        """
        if len(self.copies) == 1:
            return self._probabilities_of(self.copies[0], batch, rng)
        table = np.empty((len(batch), batch.eligible.shape[1]))
        fold = folds_of(shares, len(self.copies))
        for place, policy in enumerate(self.copies):
            rows = fold == place
            if rows.any():
                table[rows] = self._probabilities_of(policy, batch.take(rows), rng)
            elif isinstance(policy, PooledPolicy):  # what the next copies draw does not depend on who is in the batch
                rng.integers(policy.draw_sets)
        return table

    def _probabilities_of(self, policy: Policy, batch: LoggedBatch, rng: Generator) -> FloatArray:
        try:
            return checked(policy.probabilities(batch.contexts, batch.eligible, rng), batch.eligible)
        except PolicyError as fault:
            raise PolicyError(f'"{self.name}" cannot be evaluated: {fault}') from fault


def frozen_candidates(policies: Mapping[str, Policy]) -> tuple[CandidatePolicy, ...]:
    """Return the policies as they are."""
    return tuple(CandidatePolicy(name, (policy,)) for name, policy in policies.items())


def teach_part(candidates: Sequence[CandidatePolicy], part: Log, size: int) -> int:
    """Let the policies that learn do so from one part of a log; return the part's number of decisions."""
    learners = [policy for each in candidates for policy in each.copies if policy.learns]
    if not learners:
        return part.n
    cached = cache_log(part, size)
    if not cached.n:
        raise InputError("no customer of the log is left to learn from; give a log of more customers")
    for policy in learners:
        teach(policy, cached, size)
    return cached.n


def cross_fit(
    candidates: Sequence[CandidatePolicy],
    catalogue: Catalogue,
    log: Log,
    folds: int,
    size: int,
    advance: Callable[[int], None],
    runner: PartRunner | None = None,
) -> tuple[CandidatePolicy, ...]:
    """Return the candidates, those that learn as one untrained copy a fold, taught on the customers of other folds.

    `advance` is called with the number of decisions of the log after each copy. What of a log in parts is learned by
    sums is added up by `runner`. InputError with fewer than two folds.
    """
    if folds < 2:
        raise InputError(f"cross-fitting needs at least 2 folds, not {folds}; leave it at 5 if unsure")
    if not any(policy.learns for each in candidates for policy in each.copies):
        return tuple(candidates)
    every = _others(log, folds, size, runner)
    fitted = []
    for each in candidates:
        (policy,) = each.copies
        if not policy.learns:
            fitted.append(each)
            continue
        copies = [untrained_copy(policy, catalogue) for _ in range(folds)]
        for one, others in zip(copies, every, strict=True):
            if not others.n:
                raise InputError(
                    f"the log has too few customers for {folds} groups of them; give a log of more customers"
                )
            teach(one, others, size, runner=runner)
            advance(log.n)
        fitted.append(CandidatePolicy(each.name, tuple(copies)))
    return tuple(fitted)


def _others(log: Log, folds: int, size: int, runner: PartRunner | None) -> Sequence[Log]:
    """Return for each fold the decisions of the others: of a log in parts in these, else read from memory."""
    if isinstance(log, PartitionedLog):
        return other_folds_in_parts(log, folds, runner)
    cached = cache_log(log, size)
    return [OtherFolds(cached, fold, folds) for fold in range(folds)]


def teach(
    policy: Policy, log: Log, size: int, progress: Progress | None = None, runner: PartRunner | None = None
) -> None:
    """Let a policy learn from a whole log: by `fit` where it has one, else batch by batch in order.

    `progress` is called with (passes done, most passes) or (decisions done, all). `runner` adds up over the parts of a
    log what `fit` can (`ThompsonSampling.fit`).
    """
    if isinstance(policy, ThompsonSampling):
        policy.fit(log, progress, runner)
        return
    done = 0
    for batch in log.batches(size):
        policy.update(batch.outcomes())
        done += len(batch)
        if progress is not None:
            progress(done, log.n)


def untrained_copy(policy: Policy, catalogue: Catalogue) -> Policy:
    """Return a policy of the same settings that has learned nothing, built from its spec.

    A policy that cannot be built from a spec is copied as it is.
    """
    try:
        return build(catalogue, policy.spec())
    except (PolicyError, AttributeError):
        return copy.deepcopy(policy)
