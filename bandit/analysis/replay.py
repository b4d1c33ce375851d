"""Replay: evaluates a learning policy on another policy's log by rejection sampling.

`bandit.evaluate` evaluates a fixed policy; this module evaluates the learning process itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bandit.decide import checked
from bandit.domain import Progress
from bandit.errors import InputError
from bandit.ope import Estimate, Feedback, Tally, resolve
from bandit.ope.clusters import ClusterIndex
from bandit.ope.estimate import MIN_EFFECTIVE_SAMPLE_SIZE, finite_cell, interval_cells
from bandit.printable import counted
from bandit.tabular import Tabular

if TYPE_CHECKING:
    from numpy.random import Generator

    from bandit.domain import BoolArray, FloatArray, IntArray, Log, LoggedBatch, Policy
    from bandit.tabular import Cell


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One point of the learning curve: after `rows` decisions of the log, of which `accepted` were accepted.

    `mean` is the mean reward of all decisions accepted so far, `mean_since` of those accepted since the previous point;
    NaN where there are none.
    """

    rows: int
    accepted: int
    mean: float
    mean_since: float


@dataclass(frozen=True, slots=True)
class Replay(Tabular):
    """The mean reward of a learning policy, from the accepted rows of another policy's log.

    `value` is the mean reward with its interval, clustered by customer where the log has customer keys; None where
    nothing was accepted. `bound` is c of the acceptance probability, `clipped` the number of decisions whose
    target / propensity exceeded it. `curve` is the learning curve. `warning` begins with "cannot tell" where the
    result is not reliable and with "approximate" where decisions were clipped.
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

    def html_title(self) -> str:
        """Return the line above the table in a notebook."""
        return f"{self.name}: earned per decision while learning, the whole log and along it"

    def summary_row(self) -> dict[str, Cell]:
        """Return the result on the whole log as one row of a table."""
        return (
            {"policy": self.name}
            | interval_cells(self.value)
            | {
                "accepted": self.accepted,
                "decisions": self.n,
                "logged_mean": self.realised_mean,
                "clipped": self.clipped,
                "warning": self.warning,
            }
        )

    def to_rows(self) -> list[dict[str, Cell]]:
        """Return one row a point of the learning curve: the decisions so far, and the mean reward of those accepted."""
        return [
            {
                "policy": self.name,
                "decisions": point.rows,
                "accepted": point.accepted,
                "mean": finite_cell(point.mean),
                "mean_since": finite_cell(point.mean_since),
            }
            for point in self.curve
        ]

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values; None where a number is unknown."""
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
    """Return the mean reward of a policy that learns while it runs on a log, by rejection sampling.

    A decision is accepted with probability target / (c x propensity), target the policy's probability of the logged
    offer. With c at least as large as every target / propensity, each context is accepted with the same probability
    1 / c, and the accepted rows are distributed as if the policy itself had been running: Dudik, Erhan, Langford and
    Li 2012, "Sample-efficient nonstationary policy evaluation for contextual bandits". Where the log is uniform over N
    offers, c = N and this is the replay of Li, Chu, Langford and Wang 2011, "Unbiased offline evaluation of
    contextual-bandit-based news article recommendation algorithms", algorithm 3 (accept when the policy's draw equals
    the logged offer).

    `bound` is c; by default 1 / the smallest propensity of the log, which always suffices. A smaller c accepts more:
    rows with a larger ratio are then accepted with certainty and weighted by ratio / c in the mean (their number is
    `clipped`), but the distribution of the rows that the policy learns from is then only approximately its own.

    Decisions are processed in the log's order, in blocks: probabilities use the policy's state at the start of a block,
    and its accepted rows are learned at its end, with the policy's own probabilities as propensities. A block of 1 is
    exactly sequential; a larger one is faster and delays learning by at most block - 1 decisions of the log. The policy
    is modified; pass an untrained copy. The interval is that of the policy's value averaged over this learning run. Two
    passes over the log (one when `bound` is given); memory grows with the number of customers only. `rng` draws the
    acceptances; the default has seed 1.

    Raises InputError for an empty log, for unknown propensities and for arguments out of range, PolicyError for a
    policy that does not return probabilities over the eligible offers.
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
    run = _RejectionSampler(policy, rng, bound, log.n, bins)
    for batch in log.batches(max(block, 65_536 // block * block)):
        _require_propensities(batch)
        for start in range(0, len(batch), block):
            run.block(batch.take(slice(start, start + block)))
        run.flush()
        done += len(batch)
        if progress is not None:
            progress(done, total)
    return run.result(level)


class _RejectionSampler:
    """The state of one replay: the sums over accepted rows, by block."""

    def __init__(self, policy: Policy, rng: Generator, bound: float, n: int, bins: int) -> None:
        self.policy, self.rng, self.bound, self.bins, self.expected = policy, rng, bound, bins, n
        self.customers = ClusterIndex()
        self.tally = Tally(1, resolve(("snips",), predictions=False))
        self.n = self.accepted = self.clipped = 0
        self.earned = self.decisions = 0.0
        # In each bin of the log: accepted rows, their weights, and their weighted rewards.
        self.sums = np.zeros((bins, 3))
        self.pending: list[tuple[FloatArray, FloatArray, FloatArray, IntArray | None]] = []

    def block(self, rows: LoggedBatch) -> None:
        """Compute the policy's probabilities for a block, accept rows, and learn them."""
        n = len(rows)
        cluster, _ = self.customers.read(rows.contexts.customers, n)
        uniform = self.rng.random(n)
        table = checked(self.policy.probabilities(rows.contexts, rows.eligible, self.rng), rows.eligible)
        target = np.minimum(table[np.arange(n), rows.offer], 1.0)
        ratio = target / (rows.propensity * self.bound)
        accept = uniform < ratio
        # A ratio of exactly 1 may exceed it by rounding; that is not clipping.
        self.clipped += int((ratio > 1.0 + 1e-9).sum())
        stands_for = rows.stands_for
        self.earned += float(rows.reward.sum() if stands_for is None else stands_for @ rows.reward)
        self.decisions += float(n if stands_for is None else stands_for.sum())
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
        reward, heavy, stands_for = rows.reward[accept], weight[accept], rows.weights[accept]
        self.pending.append((reward, heavy, stands_for, None if cluster is None else cluster[accept]))
        heavy = heavy * stands_for
        index = (self.n + np.flatnonzero(accept)) * self.bins // self.expected
        index = np.minimum(index, self.bins - 1)
        for column, terms in enumerate((np.ones(len(reward)), heavy, heavy * reward)):
            self.sums[:, column] += np.bincount(index, weights=terms, minlength=self.bins)
        self.accepted += len(reward)
        if self.policy.learns:
            # Accepted rows are distributed as draws from the policy, so its probability is their propensity.
            taken = replace(rows.take(accept), propensity=target[accept])
            self.policy.update(taken.outcomes())

    def flush(self) -> None:
        """Add the pending accepted rows to the tally, many blocks at once for speed."""
        if not self.pending:
            return
        reward = np.concatenate([each[0] for each in self.pending])
        weight = np.concatenate([each[1] for each in self.pending])
        stands_for = np.concatenate([each[2] for each in self.pending])
        clusters = [each[3] for each in self.pending if each[3] is not None]
        cluster = np.concatenate(clusters) if clusters else None
        self.tally.add(Feedback(reward, 1.0 / weight, np.ones(len(reward)), cluster=cluster, weight=stands_for))
        self.pending.clear()

    def result(self, level: float) -> Replay:
        """Return the result of the replay."""
        value = self.tally.estimates(0, level)[0] if self.accepted else None
        warning = None
        if value is None or value.effective_sample_size < MIN_EFFECTIVE_SAMPLE_SIZE:
            of = f"{self.accepted:,} of {counted(self.n, 'decision')}"
            warning = f"cannot tell: only {of} are what this policy would have made"
        elif self.clipped:
            exceed = counted(self.clipped, "decision", ("exceeds", "exceed"))
            warning = (
                f"approximate: {exceed} the bound of {self.bound:g}, so the policy did not learn from quite its own log"
            )
        return Replay(
            name=self.policy.name,
            n=self.n,
            accepted=self.accepted,
            value=value,
            realised_mean=self.earned / self.decisions,
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
            "the log has decisions that were imported without propensities, which a replay needs; "
            "replay only those of a policy whose propensities are known (--written-by), or use `evaluate`"
        )


def _check(log: Log, bound: float | None, block: int, bins: int) -> None:
    if not log.n:
        raise InputError("the log has no decisions to replay; import some first")
    if bound is not None and not (np.isfinite(bound) and bound >= 1.0):
        raise InputError(f"the bound is {bound}; give a number of at least 1, or None to take it from the log")
    if block < 1 or bins < 1:
        raise InputError(f"block is {block} and bins is {bins}; both must be at least 1")
