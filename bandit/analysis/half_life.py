"""Which half-life one's own log asks for: every candidate predicts each block of decisions before it learns it.

`choose_half_life` answers; `HalfLives.choice` is what `ThompsonSampling(half_life=...)` takes.
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
from bandit.ope.estimate import check_level
from bandit.policies import ThompsonSampling

NEVER = "never"
"""The candidate that forgets nothing, which the others have to beat."""

CANDIDATES = ("7d", "14d", "30d", "60d", "90d", "180d", NEVER)

BLOCK = 512
"""Decisions predicted before they are learned."""

MIN_EFFECTIVE = 30
"""With fewer effective decisions, or fewer customers, no interval is to be trusted."""

Standing: TypeAlias = Literal["better", "worse", "no difference shown", "the baseline"]

_READ = 65_536
_SURE = 1e-12


@dataclass(frozen=True, slots=True)
class Candidate:
    """One half-life: its mean loss a decision, and that minus the loss of forgetting nothing (below 0 is better).

    `loss` has the interval of the level asked for. `difference` is paired, and its interval is wider: those of all
    candidates hold together. It is None for "never".
    """

    half_life: str
    loss: Estimate
    difference: Estimate | None

    @property
    def standing(self) -> Standing:
        """What the difference shows beyond doubt."""
        if self.difference is None:
            return "the baseline"
        if self.difference.high < 0.0:
            return "better"
        return "worse" if self.difference.low > 0.0 else "no difference shown"


@dataclass(frozen=True, slots=True)
class HalfLives:
    """What a log says of half-lives; times are microseconds since 1970 UTC.

    `score` is what was compared, "log loss" of P(convert) or "squared error" of the reward. `choice` is the candidate
    with the least loss of those better than "never" beyond doubt, and "never" where none is. `warning` begins with
    "cannot tell" where the log is too small, and is None otherwise.
    """

    score: str
    n: int
    customers: int | None
    first_time: int
    last_time: int
    block: int
    even: bool
    level: float
    rows: tuple[Candidate, ...]
    choice: str
    warning: str | None

    @property
    def half_life(self) -> str | None:
        """The choice as `ThompsonSampling` takes it: None forgets nothing."""
        return None if self.choice == NEVER else self.choice

    def row(self, half_life: str) -> Candidate:
        """Return one candidate; InputError for one that was not compared."""
        for each in self.rows:
            if each.half_life == half_life:
                return each
        raise InputError(f'"{half_life}" was not compared; there are {", ".join(row.half_life for row in self.rows)}')

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
                    "half_life": row.half_life,
                    "loss": row.loss.to_dict(),
                    "difference": None if row.difference is None else row.difference.to_dict(),
                    "standing": row.standing,
                }
                for row in self.rows
            ],
            "choice": self.choice,
            "warning": self.warning,
        }


def choose_half_life(
    log: Log,
    catalogue: Catalogue,
    candidates: Sequence[str] = CANDIDATES,
    *,
    pairs: bool = True,
    personal: bool = False,
    even: bool = True,
    block: int = BLOCK,
    level: float = 0.95,
    progress: Progress | None = None,
) -> HalfLives:
    """Run Thompson sampling's belief through a log in order of time, once for each half-life, and compare.

    Prequential: each block is predicted with what the blocks before it taught, and learned afterwards, so that every
    decision is a test and none is tested on itself (Dawid 1984, "Present position and potential developments: some
    personal views. Statistical theory: the prequential approach"). The loss is -log P(what happened) for the
    response to the offer that was logged, the squared error for objective "reward". All candidates see the same
    blocks, so a difference of losses is paired; its interval is clustered by customer where the log knows customers.
    With m candidates beside "never", which is always compared, each difference has the level 1 - (1 - level) / m, so
    that all hold together (Bonferroni). An outcome counts as known when the next block comes, although in life it
    takes up to its window.

    To choose well, a belief has to know all offers, and a log may show some far more often than others. So with
    `even` each loss is weighted by 1 / (eligible offers x propensity), as if every eligible offer had been made
    equally often (self-normalised, Hajek 1971); without it, losses count as they were logged. The two agree where the
    log explored evenly. Where it did not, the plain mean asks mostly how well the usual offers are predicted, which
    rewards following the level of the day. Neither loss is what a policy earns: on logs of segment rules in the
    simulator's `drift` they could name 7 days where 14 earned most; of candidates that are close, prefer the longer.

    `pairs` and `personal` are those of `ThompsonSampling`. Customers' own deviations are left out unless asked for: the
    question is whether the market moves, and where a few decisions a customer made the own part over-confident, any
    forgetting mended that a little and looked like the answer. Memory is that of a policy a candidate and of a block.

    Raises InputError for an empty log, one in which no time passes, `even` for one whose propensities are not all
    known, and candidates or numbers that are none.
    """
    check_level(level)
    if block < 1:
        raise InputError(f"block is {block}; predict at least 1 decision at a time")
    names = tuple(dict.fromkeys([*(name.strip() for name in candidates), NEVER]))
    if len(names) == 1:
        raise InputError('there is nothing to compare with "never"; name a half-life, such as 30d')
    raw = catalogue.objective.kind == "reward"
    target = catalogue if raw else _response_of(catalogue)
    learners = [_learner(target, name, pairs=pairs, personal=personal) for name in names]
    ordered = TimeOrdered(log)
    if not ordered.n:
        raise InputError("the log has no decisions to compare half-lives by; import some first")
    if ordered.first == ordered.last:
        raise InputError(
            "all decisions of the log have the same time, so it cannot tell how fast it ages; import it with its times"
        )
    run = _Run(learners, raw=raw, even=even)
    done = 0
    for batch in ordered.batches(max(block, _READ // block * block)):
        for start in range(0, len(batch), block):
            run.block(batch.take(slice(start, start + block)))
            done += min(block, len(batch) - start)
            if progress is not None:
                progress(done, ordered.n)
        run.flush()
    rows = run.rows(names, level)
    clusters, effective = rows[0].loss.clusters, rows[0].loss.effective_sample_size
    warning = None
    if clusters < MIN_EFFECTIVE:
        warning = f"cannot tell: the {ordered.n:,} decisions are those of only {clusters} customers"
    elif effective < MIN_EFFECTIVE:
        warning = (
            f"cannot tell: the log explored so little that its {ordered.n:,} decisions count as {effective:.0f} in "
            "which every offer is made equally often"
        )
    better = [row for row in rows if row.standing == "better"] if warning is None else []
    best = min(better, key=lambda row: row.loss.value, default=None)
    return HalfLives(
        score="squared error" if raw else "log loss",
        n=ordered.n,
        customers=clusters if run.known_customers else None,
        first_time=ordered.first,
        last_time=ordered.last,
        block=block,
        even=even,
        level=level,
        rows=rows,
        choice=NEVER if best is None else best.half_life,
        warning=warning,
    )


class _Run:
    """One pass through the log with all candidates side by side."""

    def __init__(self, learners: Sequence[ThompsonSampling], *, raw: bool, even: bool) -> None:
        self.learners, self.raw, self.even = learners, raw, even
        self.keys = ClusterIndex()
        # With nothing expected and nothing earned, what is left of it is the weighted mean of the losses.
        self.tally = Tally(len(learners), resolve(("sndr",), predictions=True))
        self.known_customers = False
        self.waiting: list[tuple[FloatArray, LoggedBatch]] = []

    def block(self, rows: LoggedBatch) -> None:
        """Let every candidate predict a block, then learn it."""
        if self.even and np.isnan(rows.propensity).any():
            raise InputError(
                "the log has decisions that were imported without propensities, so its offers cannot be counted alike; "
                "count them as often as they were logged (--as-logged)"
            )
        at = np.arange(len(rows)), rows.offer
        outcomes = rows.outcomes()
        losses = np.empty((len(self.learners), len(rows)))
        for place, learner in enumerate(self.learners):
            losses[place] = self._loss(learner.predict(rows.contexts)[at], rows)
            learner.update(outcomes)
        self.waiting.append((losses, rows))

    def _loss(self, predicted: FloatArray, rows: LoggedBatch) -> FloatArray:
        if self.raw:
            return np.asarray((rows.reward - predicted) ** 2)
        chance = np.clip(np.where(rows.converted, predicted, 1.0 - predicted), _SURE, 1.0)
        return np.asarray(-np.log(chance))

    def flush(self) -> None:
        """Hand the losses to the tally, many blocks at a time: one alone is too small to be quick."""
        losses = np.concatenate([each for each, _ in self.waiting], axis=1)
        n = losses.shape[1]
        customers = np.concatenate([rows.contexts.customers for _, rows in self.waiting])
        cluster, _ = self.keys.read(customers, n)
        self.known_customers = cluster is not None
        propensity = target = np.ones(n)
        if self.even:
            propensity = np.concatenate([rows.propensity for _, rows in self.waiting])
            target = 1.0 / np.concatenate([rows.eligible.sum(axis=1) for _, rows in self.waiting])
        nothing = np.zeros(n)
        self.tally.add(*(Feedback(nothing, propensity, target, -loss, nothing, cluster) for loss in losses))
        self.waiting.clear()

    def rows(self, names: Sequence[str], level: float) -> tuple[Candidate, ...]:
        """Return the candidates in the order in which they were named."""
        base = names.index(NEVER)
        together = 1.0 - (1.0 - level) / (len(names) - 1)
        return tuple(
            Candidate(
                name,
                self.tally.estimates(place, level)[0],
                None if place == base else self.tally.difference(place, base, together)[0],
            )
            for place, name in enumerate(names)
        )


def _learner(catalogue: Catalogue, half_life: str, *, pairs: bool, personal: bool) -> ThompsonSampling:
    try:
        # One draw: only what is predicted is looked at.
        return ThompsonSampling(
            catalogue, draws=1, pairs=pairs, personal=personal, half_life=None if half_life == NEVER else half_life
        )
    except PolicyError as fault:
        raise InputError(f'the candidate "{half_life}" is no half-life: {fault}; write one as 30d, or never') from fault


def _response_of(catalogue: Catalogue) -> Catalogue:
    """Return the catalogue with the objective under which the expected reward is P(convert)."""
    plain = catalogue.to_dict()
    objective = plain.get("objective", {})
    plain["objective"] = (dict(objective) if isinstance(objective, dict) else {}) | {"kind": "conversion"}
    return Catalogue.from_dict(plain)
