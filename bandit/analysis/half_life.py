"""Selects the half-life of forgetting from a log by prequential validation: predict each block, then learn it.

`choose_half_life` compares candidates; `HalfLifeComparison.half_life` is the argument of
`ThompsonSampling(half_life=...)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from bandit.analysis.time_order import TimeOrdered
from bandit.catalogue import Catalogue
from bandit.domain import FloatArray, Log, LoggedBatch, Progress
from bandit.errors import InputError, PolicyError
from bandit.ope import Estimate, Feedback, Tally, resolve
from bandit.ope.clusters import ClusterIndex
from bandit.ope.estimate import MIN_EFFECTIVE_SAMPLE_SIZE, check_level
from bandit.policies import ThompsonSampling

NO_FORGETTING = "never"
"""The baseline candidate, without forgetting."""

CANDIDATE_HALF_LIVES = ("7d", "14d", "30d", "60d", "90d", "180d", NO_FORGETTING)
"""The half-lives compared by default."""

PREQUENTIAL_BLOCK = 512
"""The default number of decisions that are predicted before they are learned."""

HalfLifeVerdict: TypeAlias = Literal["better", "worse", "no difference shown", "the baseline"]

_READ = 65_536
_MIN_PROBABILITY = 1e-12


@dataclass(frozen=True, slots=True)
class HalfLifeCandidate:
    """One half-life: its mean loss per decision, and the difference to the loss without forgetting (< 0 is better).

    The interval of `loss` has the requested level. `difference` is paired and its interval is wider: the intervals of
    all candidates have joint coverage. It is None for "never".
    """

    half_life: str
    loss: Estimate
    difference: Estimate | None

    @property
    def verdict(self) -> HalfLifeVerdict:
        """Which side of 0 the interval of the difference lies on."""
        if self.difference is None:
            return "the baseline"
        if self.difference.high < 0.0:
            return "better"
        return "worse" if self.difference.low > 0.0 else "no difference shown"


@dataclass(frozen=True, slots=True)
class HalfLifeComparison:
    """The comparison of half-lives on a log of `n` decisions; times are microseconds since 1970 UTC.

    `score` is the loss, "log loss" of P(convert) or "squared error" of the reward. `choice` is the candidate with the
    smallest loss among those significantly better than "never", or "never" if there are none. `even` says whether
    losses are weighted as if every offer had been made equally often. `warning` begins with "cannot tell" where the log
    is too small, and is None otherwise.
    """

    score: str
    n: int
    customers: int | None
    first_time: int
    last_time: int
    block: int
    even: bool
    level: float
    candidates: tuple[HalfLifeCandidate, ...]
    choice: str
    warning: str | None

    @property
    def half_life(self) -> str | None:
        """The choice as an argument of `ThompsonSampling`; None is no forgetting."""
        return None if self.choice == NO_FORGETTING else self.choice

    def candidate(self, half_life: str) -> HalfLifeCandidate:
        """Return one candidate; InputError for one that was not compared."""
        for each in self.candidates:
            if each.half_life == half_life:
                return each
        compared = ", ".join(each.half_life for each in self.candidates)
        raise InputError(f'"{half_life}" was not compared; there are {compared}')

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {
            "score": self.score,
            "n": self.n,
            "customers": self.customers,
            "first_time": self.first_time,
            "last_time": self.last_time,
            "block": self.block,
            "even": self.even,
            "level": self.level,
            "candidates": [
                {
                    "half_life": each.half_life,
                    "loss": each.loss.to_dict(),
                    "difference": None if each.difference is None else each.difference.to_dict(),
                    "standing": each.verdict,
                }
                for each in self.candidates
            ],
            "choice": self.choice,
            "warning": self.warning,
        }


def choose_half_life(
    log: Log,
    catalogue: Catalogue,
    candidates: Sequence[str] = CANDIDATE_HALF_LIVES,
    *,
    pairs: bool = True,
    personal: bool = False,
    even: bool = True,
    block: int = PREQUENTIAL_BLOCK,
    level: float = 0.95,
    progress: Progress | None = None,
) -> HalfLifeComparison:
    """Compare half-lives of Thompson sampling's reward model by its predictive loss on a log in order of time.

    Prequential validation: each block is predicted by the model learned from the previous blocks and learned
    afterwards, so that every decision is an out-of-sample test (Dawid 1984, "Present position and potential
    developments: some personal views. Statistical theory: the prequential approach"). The loss is the negative log
    likelihood of the response to the logged offer, for objective "reward" the squared error. All candidates predict the
    same blocks, so a difference of losses is paired; its interval is clustered by customer where the log has customer
    keys. With m candidates beside "never", which is always compared, each difference has the level
    1 - (1 - level) / m, for joint coverage (Bonferroni). An outcome is assumed to be known when the next block is
    predicted, although in production it may take up to its window.

    A good choice requires predictions for all offers, and a log may contain some far more often than others. With
    `even` each loss is therefore weighted by 1 / (eligible offers x propensity), as if every eligible offer had been
    made equally often (self-normalised, Hajek 1971); without it, losses are averaged as logged. The two agree where
    the log explored uniformly; otherwise the unweighted mean measures mostly how well the common offers are predicted,
    which rewards following short-term levels. Neither loss is a policy's reward: on logs of segment rules in the
    simulator's `drift` they could select 7 days where 14 earned most; among close candidates prefer the longer.

    `pairs` and `personal` are those of `ThompsonSampling`. Customer effects are off by default: the question is whether
    the market changes, and where few decisions per customer make customer effects over-confident, any forgetting
    reduces that error slightly and is selected for the wrong reason. Memory is one policy per candidate and one block.

    Raises InputError for an empty log, for one whose decisions all have the same time, for unknown propensities with
    `even`, and for invalid candidates or numbers.
    """
    check_level(level)
    if block < 1:
        raise InputError(f"block is {block}; predict at least 1 decision at a time")
    names = tuple(dict.fromkeys([*(name.strip() for name in candidates), NO_FORGETTING]))
    if len(names) == 1:
        raise InputError('there is nothing to compare with "never"; name a half-life, such as 30d')
    raw = catalogue.objective.kind == "reward"
    scored = catalogue if raw else _with_conversion_objective(catalogue)
    learners = [_learner(scored, name, pairs=pairs, personal=personal) for name in names]
    ordered = TimeOrdered(log)
    if not ordered.n:
        raise InputError("the log has no decisions to compare half-lives by; import some first")
    if ordered.first == ordered.last:
        raise InputError(
            "all decisions of the log have the same time, so no half-life can be compared; import it with its times"
        )
    run = _PrequentialRun(learners, raw=raw, even=even)
    done = 0
    for batch in ordered.batches(max(block, _READ // block * block)):
        for start in range(0, len(batch), block):
            run.block(batch.take(slice(start, start + block)))
            done += min(block, len(batch) - start)
            if progress is not None:
                progress(done, ordered.n)
        run.flush()
    compared = run.candidates(names, level)
    clusters = compared[0].loss.clusters
    warning = _warning(ordered.n, clusters, compared[0].loss.effective_sample_size)
    better = [each for each in compared if each.verdict == "better"] if warning is None else []
    best = min(better, key=lambda each: each.loss.value, default=None)
    return HalfLifeComparison(
        score="squared error" if raw else "log loss",
        n=ordered.n,
        customers=clusters if run.known_customers else None,
        first_time=ordered.first,
        last_time=ordered.last,
        block=block,
        even=even,
        level=level,
        candidates=compared,
        choice=NO_FORGETTING if best is None else best.half_life,
        warning=warning,
    )


class _PrequentialRun:
    """One pass over the log with all candidates side by side."""

    def __init__(self, learners: Sequence[ThompsonSampling], *, raw: bool, even: bool) -> None:
        self.learners, self.raw, self.even = learners, raw, even
        self.customers = ClusterIndex()
        # With rewards and q_target of 0 and q_logged = -loss, sndr is the self-normalised weighted mean of the losses.
        self.tally = Tally(len(learners), resolve(("sndr",), predictions=True))
        self.known_customers = False
        self.pending: list[tuple[FloatArray, LoggedBatch]] = []

    def block(self, rows: LoggedBatch) -> None:
        """Predict a block with every candidate, then learn it."""
        if self.even and np.isnan(rows.propensity).any():
            raise InputError(
                "the log has decisions that were imported without propensities, so losses cannot be weighted; "
                "average the losses as logged (--as-logged)"
            )
        at = np.arange(len(rows)), rows.offer
        outcomes = rows.outcomes()
        losses = np.empty((len(self.learners), len(rows)))
        for index, learner in enumerate(self.learners):
            losses[index] = self._loss(learner.predict(rows.contexts)[at], rows)
            learner.update(outcomes)
        self.pending.append((losses, rows))

    def _loss(self, predicted: FloatArray, rows: LoggedBatch) -> FloatArray:
        if self.raw:
            return np.asarray((rows.reward - predicted) ** 2)
        chance = np.clip(np.where(rows.converted, predicted, 1.0 - predicted), _MIN_PROBABILITY, 1.0)
        return np.asarray(-np.log(chance))

    def flush(self) -> None:
        """Add the pending losses to the tally, many blocks at once for speed."""
        losses = np.concatenate([each for each, _ in self.pending], axis=1)
        n = losses.shape[1]
        customers = np.concatenate([rows.contexts.customers for _, rows in self.pending])
        cluster, _ = self.customers.read(customers, n)
        self.known_customers = cluster is not None
        propensity = target = np.ones(n)
        if self.even:
            propensity = np.concatenate([rows.propensity for _, rows in self.pending])
            target = 1.0 / np.concatenate([rows.eligible.sum(axis=1) for _, rows in self.pending])
        zeros = np.zeros(n)
        self.tally.add(*(Feedback(zeros, propensity, target, -loss, zeros, cluster) for loss in losses))
        self.pending.clear()

    def candidates(self, names: Sequence[str], level: float) -> tuple[HalfLifeCandidate, ...]:
        """Return the candidates in the order of `names`."""
        baseline = names.index(NO_FORGETTING)
        joint_level = 1.0 - (1.0 - level) / (len(names) - 1)
        return tuple(
            HalfLifeCandidate(
                name,
                self.tally.estimates(index, level)[0],
                None if index == baseline else self.tally.difference(index, baseline, joint_level)[0],
            )
            for index, name in enumerate(names)
        )


def _warning(n: int, customers: int, effective: float) -> str | None:
    if customers < MIN_EFFECTIVE_SAMPLE_SIZE:
        return f"cannot tell: the {n:,} decisions are those of only {customers} customers"
    if effective < MIN_EFFECTIVE_SAMPLE_SIZE:
        return (
            f"cannot tell: the log explored so little that its {n:,} decisions count as {effective:.0f} in "
            "which every offer is made equally often"
        )
    return None


def _learner(catalogue: Catalogue, half_life: str, *, pairs: bool, personal: bool) -> ThompsonSampling:
    try:
        # One draw: only the predictions are used.
        return ThompsonSampling(
            catalogue,
            draws=1,
            pairs=pairs,
            personal=personal,
            half_life=None if half_life == NO_FORGETTING else half_life,
        )
    except PolicyError as fault:
        raise InputError(
            f'the candidate "{half_life}" is not a half-life: {fault}; write one as 30d, or never'
        ) from fault


def _with_conversion_objective(catalogue: Catalogue) -> Catalogue:
    """Return the catalogue with objective "conversion", under which the expected reward is P(convert)."""
    plain = catalogue.to_dict()
    objective = plain.get("objective", {})
    plain["objective"] = (dict(objective) if isinstance(objective, dict) else {}) | {"kind": "conversion"}
    return Catalogue.from_dict(plain)
