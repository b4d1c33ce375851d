"""What a simpler policy in the place of another loses: a paired estimate on customers that neither has learned from.

With V the policy's value, T that of its stand-in and B a baseline's, each estimated on the same decisions, the share
that the stand-in keeps is (T - B) / (V - B). Its interval is Fieller's (1954, "Some problems in interval estimation",
section 2) from the standard errors of the three paired differences, which is unbounded where V is not told apart
from B: then the share is not known, and only the loss V - T is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri

from bandit.errors import InputError
from bandit.evaluate.candidates import teach, untrained_copy
from bandit.evaluate.evaluate import evaluate
from bandit.evaluate.log_cache import cache_log
from bandit.evaluate.request import batch_size_of
from bandit.evaluate.results import LOGGED
from bandit.evaluate.split import FOLD_SALT, OtherFolds, folds_of, split_log
from bandit.ope.clusters import ClusterIndex
from bandit.policies.stateless import Stateless

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.random import Generator

    from bandit.catalogue import Catalogue
    from bandit.domain import BoolArray, Contexts, FloatArray, IntArray, Log, Policy, Progress
    from bandit.evaluate.results import Evaluation
    from bandit.ope import Estimate

POLICY, STAND_IN = "policy", "stand-in"
"""The names of the two policies in the evaluation."""


@dataclass(frozen=True, slots=True)
class ShareKept:
    """The share of a policy's gain over a baseline that its stand-in keeps, with its interval at `level`.

    `value`, `low` and `high` are None where the policy's own gain is not told apart from 0.
    """

    value: float | None
    low: float | None
    high: float | None
    level: float

    def to_dict(self) -> dict[str, float | None]:
        """Return plain JSON values."""
        return {"value": self.value, "low": self.low, "high": self.high, "level": self.level}


@dataclass(frozen=True, slots=True)
class StandInValue:
    """What a stand-in earns per decision beside its policy and a baseline, on customers that neither has seen.

    `gain` is the policy's value less the baseline's, `stand_in_gain` that of the stand-in, and `loss` the stand-in's
    less the policy's, all paired. `folds` says how many copies of the policy were taught and distilled; 1 where the
    policy learned from one half of a log without customers and was judged on the other.
    """

    baseline: str
    folds: int
    n: int
    gain: Estimate
    stand_in_gain: Estimate
    loss: Estimate
    kept: ShareKept
    evaluation: Evaluation

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {
            "baseline": self.baseline,
            "folds": self.folds,
            "n": self.n,
            "gain": self.gain.to_dict(),
            "stand_in_gain": self.stand_in_gain.to_dict(),
            "loss": self.loss.to_dict(),
            "kept": self.kept.to_dict(),
        }


def stand_in_value(
    log: Log,
    policy: Policy,
    make: Callable[[Policy, Log], Policy],
    *,
    baseline: str | Policy = LOGGED,
    catalogue: Catalogue,
    rng: Generator,
    folds: int = 2,
    level: float = 0.95,
    now: int | None = None,
    progress: Progress | None = None,
) -> StandInValue:
    """Return what a stand-in of a policy keeps of its value over a log, cross-fitted by customer.

    For each fold of the customers an untrained copy of the policy learns the decisions of the others, `make(copy,
    others)` returns its stand-in, and both are judged on the fold (a policy that learns nothing is itself the copy).
    So neither is judged on customers that made it; the values are those of policies that learned from the other folds.
    InputError for a log that cannot be split.
    """
    if folds < 2:
        raise InputError(f"the value is cross-fitted over at least 2 folds, not {folds}")
    size = batch_size_of(catalogue)
    cached = cache_log(log, size)
    known = any(len(batch.contexts.customers) for batch in islice(cached.batches(size), 1))
    parts = [OtherFolds(cached, fold, folds) for fold in range(folds)] if known else [split_log(cached)]
    judged = cached if known else split_log(cached, part="judge")
    copies, stand_ins = [], []
    for place, part in enumerate(parts):
        if not part.n:
            raise InputError("the log has too few customers to hold some back; give a log of more customers")
        copy = policy
        if policy.learns:
            copy = untrained_copy(policy, catalogue)
            teach(copy, part, size)
        copies.append(copy)
        stand_ins.append(make(copy, part))
        if progress is not None:
            progress(place + 1, len(parts) + 2)
    named = {POLICY: _FoldPolicy(POLICY, copies), STAND_IN: _FoldPolicy(STAND_IN, stand_ins)}
    seed = int(rng.integers(2**32))
    against = [_evaluated(judged, named, base, catalogue, seed, level, now) for base in (baseline, named[POLICY])]
    if progress is not None:
        progress(len(parts) + 2, len(parts) + 2)
    gain = _difference(against[0], POLICY)
    stand_in_gain = _difference(against[0], STAND_IN)
    loss = _difference(against[1], STAND_IN)
    return StandInValue(
        baseline=str(against[0].baseline),
        folds=len(parts),
        n=against[0].n,
        gain=gain,
        stand_in_gain=stand_in_gain,
        loss=loss,
        kept=share_kept(stand_in_gain, gain, loss, level),
        evaluation=against[0],
    )


def share_kept(stand_in: Estimate, policy: Estimate, loss: Estimate, level: float) -> ShareKept:
    """Return the ratio of two paired gains by Fieller's theorem; their covariance follows from that of the difference.

    cov(T - B, V - B) = (var(T - B) + var(V - B) - var(T - V)) / 2.
    """
    top, bottom = stand_in.value, policy.value
    a, c = stand_in.standard_error**2, policy.standard_error**2
    b = 0.5 * (a + c - loss.standard_error**2)
    square = float(ndtri(0.5 + 0.5 * level)) ** 2
    width = bottom**2 - square * c
    if not (math.isfinite(width) and math.isfinite(top) and width > 0.0 and bottom > 0.0):
        return ShareKept(None, None, None, level)
    middle = top * bottom - square * b
    root = math.sqrt(max(middle**2 - width * (top**2 - square * a), 0.0))
    return ShareKept(top / bottom, (middle - root) / width, (middle + root) / width, level)


def _evaluated(
    log: Log,
    named: Mapping[str, Policy],
    baseline: str | Policy,
    catalogue: Catalogue,
    seed: int,
    level: float,
    now: int | None,
) -> Evaluation:
    return evaluate(
        log,
        named,
        baseline,
        catalogue=catalogue,
        rng=np.random.default_rng(seed),
        estimators=("dr", "snips"),
        level=level,
        now=now,
    )


def _difference(evaluation: Evaluation, name: str) -> Estimate:
    found = evaluation.row(name).against_baseline(evaluation.default)
    if found is None:
        raise InputError("the baseline is the policy itself; compare with another one, such as today's rules")
    return found


class _FoldPolicy(Stateless):
    """Copies of a policy, one a fold: each customer is served by the copy that has not seen its fold."""

    def __init__(self, name: str, copies: Sequence[Policy]) -> None:
        self.name = name
        self._copies = copies

    def probabilities(self, contexts: Contexts, eligible: BoolArray, rng: Generator) -> FloatArray:
        """Return the probabilities of each row by its fold's copy, (n, N)."""
        if len(self._copies) == 1:
            return self._copies[0].probabilities(contexts, eligible, rng)
        fold: IntArray = folds_of(ClusterIndex(FOLD_SALT).read(contexts.customers, contexts.n)[1], len(self._copies))
        found = np.empty(eligible.shape)
        for place, copy in enumerate(self._copies):
            rows = np.flatnonzero(fold == place)
            if len(rows):
                found[rows] = copy.probabilities(contexts.take(rows), eligible[rows], rng)
        return found

    def spec(self) -> Mapping[str, object]:
        """Return the name: the copies are of one evaluation only."""
        return {"kind": self.name}
