"""The protocol of an estimator: a smooth function of the means of a few numbers per row, its terms.

Streaming, merging, intervals, clusters and paired differences follow from that and are written once, in `tally`. With
means m of the terms, value f(m) and gradient g = f'(m), the influence value of row i with terms t_i is g . (t_i - m)
(the delta method; van der Vaart 1998, "Asymptotic Statistics", chapter 3).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

from bandit.errors import InputError
from bandit.ope.feedback import NEED_COLUMNS, FeedbackRows, Need

if TYPE_CHECKING:
    from bandit.domain import FloatArray

Term: TypeAlias = "Callable[[FeedbackRows], FloatArray]"
"""Computes one number per row; hashable, so that estimators with the same term share its sums."""


class Estimator(Protocol):
    """An off-policy estimator: a function of the means of its terms over the rows of a log."""

    @property
    def name(self) -> str:
        """The name used in tables."""
        ...

    @property
    def needs(self) -> Need | None:
        """The optional columns it needs besides rewards, propensities and target probabilities."""
        ...

    @property
    def terms(self) -> tuple[Term, ...]:
        """The numbers per row whose means the value depends on."""
        ...

    def at(self, means: FloatArray) -> tuple[float, FloatArray]:
        """Return the value and its gradient at the means of the terms; NaN where it is not defined."""
        ...


@runtime_checkable
class Selection(Protocol):
    """A data-driven choice among candidate estimators, made from their values and standard errors."""

    @property
    def name(self) -> str:
        """The name used in tables."""
        ...

    @property
    def needs(self) -> Need | None:
        """The optional columns that the candidates need."""
        ...

    @property
    def candidates(self) -> tuple[Estimator, ...]:
        """The estimators to choose from."""
        ...

    def choose(self, values: FloatArray, errors: FloatArray) -> int:
        """Return the index of the selected candidate, given the (k,) values and standard errors."""
        ...


AnyEstimator: TypeAlias = Estimator | Selection


def check_needs(estimators: Sequence[AnyEstimator], has: frozenset[Need]) -> None:
    """Raise InputError where an estimator needs a column that is not given."""
    for need, columns in NEED_COLUMNS.items():
        lacking = [] if need in has else [each.name for each in estimators if each.needs == need]
        if lacking:
            what = "which are not given; give them" if len(columns) > 1 else "which is not given; give it"
            verb = "needs" if len(lacking) == 1 else "need"
            raise InputError(f"{', '.join(lacking)} {verb} {' and '.join(columns)}, {what} or ask for ips and snips")


def weight(rows: FeedbackRows) -> FloatArray:
    """Return the (n,) importance weights w = target / propensity."""
    return rows.weight


def weighted_reward(rows: FeedbackRows) -> FloatArray:
    """Return the (n,) weighted rewards w r."""
    return rows.weight * rows.reward


def prediction(rows: FeedbackRows) -> FloatArray:
    """Return the (n,) means of the reward model's prediction under the target policy."""
    return rows.predicted_target


def weighted_residual(rows: FeedbackRows) -> FloatArray:
    """Return the (n,) weighted residuals w (r - q) of the reward model."""
    return rows.weight * (rows.reward - rows.predicted_logged)
