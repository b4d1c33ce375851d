"""What an estimator is: a smooth function of the means of a few numbers per row.

Everything else (streaming, merging, intervals, clusters, paired differences) follows from that and is written
once, in `tally`. With means m of the terms, value f(m) and gradient g = f'(m), the influence of row i with terms
t_i is g . (t_i - m) (the delta method; van der Vaart 1998, Asymptotic Statistics, chapter 3).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

from bandit.errors import InputError
from bandit.ope.feedback import COLUMNS, Need, Rows

if TYPE_CHECKING:
    from bandit.domain import FloatArray

Term: TypeAlias = "Callable[[Rows], FloatArray]"
"""One number a row; hashable, so that estimators which need the same term share it."""


class Estimator(Protocol):
    """One way to estimate a policy's value from the rows of a log."""

    @property
    def name(self) -> str:
        """The name used in tables."""
        ...

    @property
    def needs(self) -> Need | None:
        """What is needed besides rewards, propensities and target probabilities."""
        ...

    @property
    def terms(self) -> tuple[Term, ...]:
        """The numbers per row whose means the value depends on."""
        ...

    def at(self, means: FloatArray) -> tuple[float, FloatArray]:
        """Return the value and its gradient at the means of the terms; NaN where the log cannot answer."""
        ...


@runtime_checkable
class Selection(Protocol):
    """A choice among estimators that depends on the rows: which of them answers is decided by their intervals."""

    @property
    def name(self) -> str:
        """The name used in tables."""
        ...

    @property
    def needs(self) -> Need | None:
        """What the candidates need."""
        ...

    @property
    def candidates(self) -> tuple[Estimator, ...]:
        """The estimators to choose from."""
        ...

    def choose(self, values: FloatArray, errors: FloatArray) -> int:
        """Return the index of the candidate that answers, from the candidates' values and standard errors."""
        ...


AnyEstimator: TypeAlias = Estimator | Selection


def check_needs(estimators: Sequence[AnyEstimator], has: frozenset[Need]) -> None:
    """Raise InputError where an estimator needs a column that is not given."""
    for need, columns in COLUMNS.items():
        lacking = [] if need in has else [each.name for each in estimators if each.needs == need]
        if lacking:
            what = "which are not given; give them" if len(columns) > 1 else "which is not given; give it"
            verb = "needs" if len(lacking) == 1 else "need"
            raise InputError(f"{', '.join(lacking)} {verb} {' and '.join(columns)}, {what} or ask for ips and snips")


def weight(rows: Rows) -> FloatArray:
    """Return w = target / propensity."""
    return rows.weight


def weighted_reward(rows: Rows) -> FloatArray:
    """Return w r."""
    return rows.weight * rows.reward


def prediction(rows: Rows) -> FloatArray:
    """Return the reward model's mean under the target policy."""
    return rows.predicted_target


def weighted_residual(rows: Rows) -> FloatArray:
    """Return w (r - q), what the reward model missed, weighted."""
    return rows.weight * (rows.reward - rows.predicted_logged)
