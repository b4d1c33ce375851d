"""A learning policy run through a log: decisions that it would have made itself are kept, the others rejected.

Never to be mixed with `bandit.evaluate`, which judges a policy that does not learn.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bandit.decide import checked
from bandit.domain import Progress
from bandit.errors import InputError
from bandit.ope import Estimate, Feedback, Tally, resolve
from bandit.ope.clusters import Keys

if TYPE_CHECKING:
    from numpy.random import Generator

    from bandit.domain import BoolArray, FloatArray, IntArray, Log, LoggedBatch, Policy


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """Where the replay stood after `rows` decisions of the log, `accepted` of which the policy would have made.

    `mean` is the mean reward of all accepted so far, `mean_since` that of those accepted since the point before;
    both are NaN where there are none.
    """

    rows: int
    accepted: int
    mean: float
    mean_since: float


@dataclass(frozen=True, slots=True)
class Replay:
    """What a learning policy earned per decision in its own log, made of the accepted rows of another's.

    `value` has the mean reward with its interval, clustered by customer where the log knows customers; it is None
    where nothing was accepted. `bound` is c of the acceptance probability, `clipped` the number of decisions whose
    target / propensity was above it. `curve` is the learning curve. `warning` begins with "cannot tell" where the
    numbers are not to be acted on, and with "approximate" where decisions were clipped.
    """

    name: str
    n: int
    accepted: int
    value: Estimate | None
    realised_mean: float
    bound: float
    clipped: int
    curve: tuple[CurvePoint, ...]
    warning: str | None

    @property
    def share_accepted(self) -> float:
        """The share of the log's decisions that were accepted."""
        return self.accepted / self.n

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values; None where a number is not known."""
        return {
            "name": self.name,
            "n": self.n,
            "accepted": self.accepted,
            "share_accepted": self.share_accepted,
            "value": None if self.value is None else self.value.to_dict(),
            "realised_mean": self.realised_mean,
            "bound": self.bound,
            "clipped": self.clipped,
            "curve": [
                {
                    "rows": point.rows,
                    "accepted": point.accepted,
                    "mean": point.mean if np.isfinite(point.mean) else None,
                    "mean_since": point.mean_since if np.isfinite(point.mean_since) else None,
                }
                for point in self.curve
            ],
            "warning": self.warning,
        }


def replay(
    log: Log,
    policy: Policy,
    *,
    rng: Generator | None = None,
    bound: float | None = None,
    block: int = 64,
    bins: int = 20,
    level: float = 0.95,
    progress: Progress | None = None,
) -> Replay:
    """Run a policy through a log, learning from each decision that it would have made itself.

    A decision is accepted with probability target / (c x propensity), target being the policy's probability of the
    logged offer. With c no smaller than any target / propensity, each context is accepted with the same
    probability 1 / c, and the accepted rows are distributed as if the policy itself had been running: Dudik, Erhan,
    Langford and Li 2012, "Sample-efficient nonstationary policy evaluation for contextual bandits". Where the log
    is uniform over N offers, c = N and this is the replay of Li, Chu, Langford and Wang 2011, "Unbiased offline
    evaluation of contextual-bandit-based news article recommendation algorithms", algorithm 3 (accept when the
    offer that the policy draws is the logged one).

    `bound` is c; without it, it is 1 / the smallest propensity of the log, which is always enough. A smaller c
    accepts more: rows with a larger ratio are then accepted for certain and weigh ratio / c in the mean (their
    number is `clipped`), but what the policy learns from is no longer quite its own log.

    Decisions come in the log's order, in blocks: a block is answered with the belief at its start, its accepted
    rows are learned at its end, with the policy's own probabilities as propensities. A block of 1 is exactly
    sequential; a larger one is quicker and delays learning by at most block - 1 decisions of the log. The policy is
    changed; hand in a fresh one. The interval is of the policy's value averaged over this run of learning. Two
    passes over the log (one when `bound` is given); memory grows with the number of customers only. `rng` tosses the
    coins; left out, it is the generator of seed 1.

    Raises InputError for an empty log, for one whose propensities are not all known, and for numbers out of range,
    PolicyError for a policy whose answers are not probabilities over the eligible offers.
    """
    _check(log, bound, block, bins)
    rng = np.random.default_rng(1) if rng is None else rng
    total = log.n * (2 if bound is None else 1)
    done = 0
    if bound is None:
        smallest = 1.0
        for batch in log.batches():
            _require_propensities(batch)
            smallest = min(smallest, float(batch.propensity.min(initial=1.0)))
            done += len(batch)
            if progress is not None:
                progress(done, total)
        bound = 1.0 / smallest
    run = _Run(policy, rng, bound, log.n, bins)
    for batch in log.batches(max(block, 65_536 // block * block)):
        _require_propensities(batch)
        for start in range(0, len(batch), block):
            run.block(batch.take(slice(start, start + block)))
        run.flush()
        done += len(batch)
        if progress is not None:
            progress(done, total)
    return run.result(level)


class _Run:
    """One pass through the log."""

    def __init__(self, policy: Policy, rng: Generator, bound: float, n: int, bins: int) -> None:
        self.policy, self.rng, self.bound, self.bins, self.expected = policy, rng, bound, bins, n
        self.keys = Keys()
        self.tally = Tally(1, resolve(("snips",), predictions=False))
        self.n = self.accepted = self.clipped = 0
        self.earned = 0.0
        # Rows accepted, their weights, and their weighted rewards, in each bin of the log.
        self.sums = np.zeros((bins, 3))
        self.kept: list[tuple[FloatArray, FloatArray, IntArray | None]] = []

    def block(self, rows: LoggedBatch) -> None:
        """Answer a block, accept, learn."""
        n = len(rows)
        cluster, _ = self.keys.read(rows.contexts.customers, n)
        coins = self.rng.random(n)
        table = checked(self.policy.probabilities(rows.contexts, rows.eligible, self.rng), rows.eligible)
        target = np.minimum(table[np.arange(n), rows.offer], 1.0)
        ratio = target / (rows.propensity * self.bound)
        accept = coins < ratio
        # Rounding can lift a ratio of exactly 1 above it; that is no clipping.
        self.clipped += int((ratio > 1.0 + 1e-9).sum())
        self.earned += float(rows.reward.sum())
        if accept.any():
            self._keep(rows, accept, target, np.maximum(ratio, 1.0), cluster)
        self.n += n

    def _keep(
        self,
        rows: LoggedBatch,
        accept: BoolArray,
        target: FloatArray,
        weight: FloatArray,
        cluster: IntArray | None,
    ) -> None:
        reward, heavy = rows.reward[accept], weight[accept]
        self.kept.append((reward, heavy, None if cluster is None else cluster[accept]))
        place = (self.n + np.flatnonzero(accept)) * self.bins // self.expected
        place = np.minimum(place, self.bins - 1)
        for column, terms in enumerate((np.ones(len(reward)), heavy, heavy * reward)):
            self.sums[:, column] += np.bincount(place, weights=terms, minlength=self.bins)
        self.accepted += len(reward)
        if self.policy.learns:
            # Accepted rows are draws from the policy, so the policy's probability is their propensity.
            taken = replace(rows.take(accept), propensity=target[accept])
            self.policy.update(taken.outcomes())

    def flush(self) -> None:
        """Hand what was accepted to the tally, many blocks at a time: one block alone is too small to be quick."""
        if not self.kept:
            return
        reward = np.concatenate([each[0] for each in self.kept])
        weight = np.concatenate([each[1] for each in self.kept])
        clusters = [each[2] for each in self.kept if each[2] is not None]
        cluster = np.concatenate(clusters) if clusters else None
        self.tally.add(Feedback(reward, 1.0 / weight, np.ones(len(reward)), cluster=cluster))
        self.kept.clear()

    def result(self, level: float) -> Replay:
        """Return the record."""
        value = self.tally.estimates(0, level)[0] if self.accepted else None
        warning = None
        if value is None or value.effective_sample_size < 30:
            warning = (
                f"cannot tell: only {self.accepted:,} of {self.n:,} decisions are what this policy would have made"
            )
        elif self.clipped:
            warning = (
                f"approximate: {self.clipped:,} decisions exceed the bound of {self.bound:g}, so the policy did "
                "not learn from quite its own log"
            )
        return Replay(
            name=self.policy.name,
            n=self.n,
            accepted=self.accepted,
            value=value,
            realised_mean=self.earned / self.n,
            bound=self.bound,
            clipped=self.clipped,
            curve=self._curve(),
            warning=warning,
        )

    def _curve(self) -> tuple[CurvePoint, ...]:
        counts, weights, rewards = self.sums.T
        total, earned = np.cumsum(weights), np.cumsum(rewards)
        unknown = np.full(self.bins, np.nan)
        mean = np.divide(earned, total, out=unknown.copy(), where=total > 0)
        since = np.divide(rewards, weights, out=unknown.copy(), where=weights > 0)
        ends = -(-np.arange(1, self.bins + 1) * self.n // self.bins)
        accepted = np.cumsum(counts)
        return tuple(
            CurvePoint(int(ends[i]), int(accepted[i]), float(mean[i]), float(since[i])) for i in range(self.bins)
        )


def _require_propensities(batch: LoggedBatch) -> None:
    if np.isnan(batch.propensity).any():
        raise InputError(
            "the log has decisions that were imported without propensities, and a replay accepts decisions by them; "
            "replay only those of a policy whose propensities are known (--written-by), or judge by `evaluate`"
        )


def _check(log: Log, bound: float | None, block: int, bins: int) -> None:
    if not log.n:
        raise InputError("the log has no decisions to replay; import some first")
    if bound is not None and not (np.isfinite(bound) and bound >= 1.0):
        raise InputError(f"the bound is {bound}; give a number of at least 1, or none to take it from the log")
    if block < 1 or bins < 1:
        raise InputError(f"block is {block} and bins is {bins}; both must be at least 1")
