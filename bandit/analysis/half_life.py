"""Selects the half-life of forgetting from a log by prequential validation: predict each block, then learn it.

`choose_half_life` compares candidates; `HalfLifeComparison.half_life` is the argument of
`ThompsonSampling(half_life=...)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from bandit.analysis.prequential import PrequentialLosses
from bandit.analysis.time_order import TimeOrdered
from bandit.catalogue import Catalogue
from bandit.domain import Log, Progress
from bandit.errors import InputError, PolicyError
from bandit.ope import Estimate
from bandit.ope.estimate import MIN_EFFECTIVE_SAMPLE_SIZE, check_level, interval_cells
from bandit.policies import ThompsonSampling
from bandit.policies.thompson.methods import DEFAULT_METHODS
from bandit.printable import counted
from bandit.tabular import Cell, Tabular

NO_FORGETTING = "never"
"""The baseline candidate, without forgetting."""

CANDIDATE_HALF_LIVES = ("7d", "14d", "30d", "60d", "90d", "180d", NO_FORGETTING)
"""The half-lives compared by default."""

PREQUENTIAL_BLOCK = 512
"""The default number of decisions that are predicted before they are learned."""

HalfLifeVerdict: TypeAlias = Literal["better", "worse", "no difference shown", "the baseline"]


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
class HalfLifeComparison(Tabular):
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

    def html_title(self) -> str:
        """Return the line above the table in a notebook."""
        return f"{self.score} per decision, predicted before it was learned; lower is better; chosen: {self.choice}"

    def to_rows(self) -> list[dict[str, Cell]]:
        """Return one row a half-life: its loss, and the difference to never, whose intervals hold together."""
        return [
            {
                "half_life": each.half_life,
                "verdict": each.verdict if self.warning is None else "cannot tell",
                "chosen": each.half_life == self.choice,
                **interval_cells(each.loss, "loss"),
                **interval_cells(each.difference, "difference"),
            }
            for each in self.candidates
        ]

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


@dataclass(frozen=True, slots=True)
class HalfLifeOptions:
    """How half-lives are compared: the reward model's terms, and the weights, blocks and level of the losses.

    `pairs` and `personal` are those of `ThompsonSampling`. Customer effects (`personal`) are off by default: the
    question is whether the market changes, and where few decisions per customer make customer effects over-confident,
    any forgetting reduces that error slightly and is selected for the wrong reason. `even` weights losses as if every
    eligible offer had been made equally often, `block` is the number of decisions predicted before they are learned,
    and `level` that of the intervals. InputError for numbers out of range.
    """

    pairs: bool = True
    personal: bool = False
    even: bool = True
    block: int = PREQUENTIAL_BLOCK
    level: float = 0.95

    def __post_init__(self) -> None:
        check_level(self.level)
        if self.block < 1:
            raise InputError(f"block is {self.block}; predict at least 1 decision at a time")


def choose_half_life(
    log: Log,
    catalogue: Catalogue,
    candidates: Sequence[str] = CANDIDATE_HALF_LIVES,
    options: HalfLifeOptions | None = None,
    *,
    progress: Progress | None = None,
) -> HalfLifeComparison:
    """Compare half-lives of Thompson sampling's reward model by its predictive loss on a log in order of time.

    The loss of `PrequentialLosses` is the negative log likelihood of the response to the logged offer, for objective
    "reward" the squared error. All candidates predict the same blocks, so a difference of losses is paired; its
    interval is clustered by customer where the log has customer keys. With m candidates beside "never", which is always
    compared, each difference has the level 1 - (1 - level) / m, for joint coverage (Bonferroni). An outcome is assumed
    to be known when the next block is predicted, although in production it may take up to its window.

    A good choice requires predictions for all offers, and a log may contain some far more often than others. With
    `even` each loss is therefore weighted by 1 / (eligible offers x propensity), as if every eligible offer had been
    made equally often (self-normalised, Hajek 1971); without it, losses are averaged as logged. The two agree where
    the log explored uniformly; otherwise the unweighted mean measures mostly how well the common offers are predicted,
    which rewards following short-term levels. Neither loss is a policy's reward: on logs of segment rules in the
    simulator's `drift` they could select 7 days where 14 earned most; among close candidates prefer the longer.

    Memory is one policy per candidate and one block. Raises InputError for an empty log, for one whose decisions all
    have the same time, for unknown propensities with `even`, and for invalid candidates.
    """
    options = HalfLifeOptions() if options is None else options
    names = tuple(dict.fromkeys([*(name.strip() for name in candidates), NO_FORGETTING]))
    if len(names) == 1:
        raise InputError('there is nothing to compare with "never"; name a half-life, such as 30d')
    raw = catalogue.objective.kind == "reward"
    scored = catalogue if raw else _with_conversion_objective(catalogue)
    learners = [_learner(scored, name, options) for name in names]
    ordered = _ordered(log)
    losses = PrequentialLosses(learners, squared_error=raw, even=options.even)
    losses.run(ordered, options.block, progress)
    compared = _candidates(losses, names, options.level)
    clusters = compared[0].loss.clusters
    warning = _warning(ordered.n, clusters, compared[0].loss.effective_sample_size)
    better = [each for each in compared if each.verdict == "better"] if warning is None else []
    best = min(better, key=lambda each: each.loss.value, default=None)
    return HalfLifeComparison(
        score="squared error" if raw else "log loss",
        n=ordered.n,
        customers=clusters if losses.known_customers else None,
        first_time=ordered.first,
        last_time=ordered.last,
        block=options.block,
        even=options.even,
        level=options.level,
        candidates=compared,
        choice=NO_FORGETTING if best is None else best.half_life,
        warning=warning,
    )


def _ordered(log: Log) -> TimeOrdered:
    """Return the log in order of time; InputError where it has no decisions or no passage of time."""
    ordered = TimeOrdered(log)
    if not ordered.n:
        raise InputError("the log has no decisions to compare half-lives by; import some first")
    if ordered.first == ordered.last:
        raise InputError(
            "all decisions of the log have the same time, so no half-life can be compared; import it with its times"
        )
    return ordered


def _candidates(losses: PrequentialLosses, names: Sequence[str], level: float) -> tuple[HalfLifeCandidate, ...]:
    """Return the candidates in the order of `names`, with Bonferroni-adjusted differences."""
    baseline = names.index(NO_FORGETTING)
    joint_level = 1.0 - (1.0 - level) / (len(names) - 1)
    return tuple(
        HalfLifeCandidate(
            name,
            losses.tally.estimates(index, level)[0],
            None if index == baseline else losses.tally.difference(index, baseline, joint_level)[0],
        )
        for index, name in enumerate(names)
    )


def _warning(n: int, customers: int, effective: float) -> str | None:
    if customers < MIN_EFFECTIVE_SAMPLE_SIZE:
        return f"cannot tell: the {n:,} decisions are those of only {counted(customers, 'customer')}"
    if effective < MIN_EFFECTIVE_SAMPLE_SIZE:
        return (
            f"cannot tell: the log explored so little that its {n:,} decisions count as {effective:.0f} in "
            "which every offer is made equally often"
        )
    return None


def _learner(catalogue: Catalogue, half_life: str, options: HalfLifeOptions) -> ThompsonSampling:
    decay = None if half_life == NO_FORGETTING else half_life
    try:
        # One draw: only the predictions are used. Rates of change are declared here, and not estimated.
        return ThompsonSampling(
            catalogue,
            draws=1,
            pairs=options.pairs,
            personal=options.personal,
            half_life=decay,
            methods=[name for name in DEFAULT_METHODS.names if name not in {"memories", "moving_draws"}],
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
    return Catalogue.from_stored(plain, fact_hash=catalogue.fact_hash)
