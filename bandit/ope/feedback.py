"""The columns that estimators work on: rewards, propensities and target probabilities, validated once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from bandit.errors import InputError, NumberError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from bandit.domain import BoolArray, FloatArray, IntArray

Need: TypeAlias = Literal["predictions", "robust", "marginal", "slate"]
"""Optional columns that an estimator may need besides rewards, propensities and target probabilities."""

NEED_COLUMNS: dict[Need, tuple[str, ...]] = {
    "predictions": ("predicted_logged", "predicted_target"),
    "robust": ("robust_logged", "robust_target"),
    "marginal": ("marginal_weight",),
    "slate": ("slate_weight",),
}
"""The columns of `Feedback` that meet each need."""


@dataclass(frozen=True, slots=True, eq=False)
class Feedback:
    """n logged decisions and one target policy's probabilities for them; every field is a 1-d array of n numbers.

    `reward` is the observed reward, `propensity` in (0, 1] the logging policy's probability of the logged offer and
    `target` in [0, 1] the target policy's probability of it. `predicted_logged` is a reward model's prediction q(x, a)
    for the logged offer and `predicted_target` its mean under the target policy, sum over a of target(a | x) q(x, a);
    give both or neither. `cluster` holds integer ids: rows with the same id (customer) are dependent.

    `robust_logged` and `robust_target` are the same two numbers from a reward model fitted with the weights of
    `mrdr_weights`; give both or neither. `marginal_weight` >= 0 is the ratio of the two policies' probabilities of the
    logged offer's embedding, and `slate_weight`, which may be negative, the weight of the pseudo-inverse estimator
    (both from `bandit.ope.slate_weights`).

    `weight` > 0 is how many decisions each row stands for, as where a logger kept a part of them and wrote with which
    probability; by default each stands for one. Every mean over rows is then sum(s t) / sum(s) with these weights s:
    the self-normalised (Hajek) mean of a sample of unequal probabilities (Sarndal, Swensson and Wretman 1992,
    "Model Assisted Survey Sampling", section 5.7). Weights that are all 1 are the same as none.

    Raises NumberError for NaN, infinity and values out of range, InputError for lengths that differ.
    """

    reward: FloatArray
    propensity: FloatArray
    target: FloatArray
    predicted_logged: FloatArray | None = None
    predicted_target: FloatArray | None = None
    cluster: IntArray | None = None
    robust_logged: FloatArray | None = None
    robust_target: FloatArray | None = None
    marginal_weight: FloatArray | None = None
    slate_weight: FloatArray | None = None
    weight: FloatArray | None = None

    def __post_init__(self) -> None:
        n = np.size(self.reward)
        optional = [name for columns in NEED_COLUMNS.values() for name in columns]
        for name in ("reward", "propensity", "target", *optional):
            given = getattr(self, name)
            if given is not None:
                object.__setattr__(self, name, _numbers(name, given, n))
        for columns in NEED_COLUMNS.values():
            if len({getattr(self, name) is None for name in columns}) > 1:
                raise InputError(f"only one of {' and '.join(columns)} is given; give both or neither")
        if self.cluster is not None:
            object.__setattr__(self, "cluster", _ids(self.cluster, n))
        _check_values("propensity", self.propensity, ~((self.propensity > 0) & (self.propensity <= 1)), "(0, 1]")
        _check_values("target", self.target, ~((self.target >= 0) & (self.target <= 1)), "[0, 1]")
        if self.marginal_weight is not None:
            _check_values("marginal_weight", self.marginal_weight, self.marginal_weight < 0, "[0, infinity)")
        if self.weight is not None:
            weight = _numbers("weight", self.weight, n)
            _check_values("weight", weight, weight <= 0, "the numbers above 0")
            object.__setattr__(self, "weight", None if (weight == 1.0).all() else weight)

    def __len__(self) -> int:
        return len(self.reward)

    @property
    def has(self) -> frozenset[Need]:
        """The needs that the given columns meet."""
        return frozenset(need for need, columns in NEED_COLUMNS.items() if getattr(self, columns[0]) is not None)

    def rows(self, chosen: slice = slice(None)) -> FeedbackRows:
        """Return the chosen rows with their importance weights; NumberError where a weight overflows."""
        with np.errstate(over="ignore"):
            weight = self.target[chosen] / self.propensity[chosen]
        if not np.isfinite(weight).all():
            raise NumberError(
                "target / propensity is too large for a float64; leave out rows whose propensity is practically 0"
            )
        given = {name: getattr(self, name) for columns in NEED_COLUMNS.values() for name in columns}
        columns = {name: column[chosen] for name, column in given.items() if column is not None}
        return FeedbackRows(weight, self.reward[chosen], **columns)

    def same_log(self, other: Feedback) -> bool:
        """Whether both describe the same logged rows: equal rewards, propensities, clusters and weights."""
        for name in ("cluster", "weight"):
            mine, theirs = getattr(self, name), getattr(other, name)
            if (mine is None) != (theirs is None) or (mine is not None and not _equal(mine, theirs)):
                return False
        return _equal(self.reward, other.reward) and _equal(self.propensity, other.propensity)


@dataclass(frozen=True, slots=True, eq=False)
class FeedbackRows:
    """The input of an estimator for n rows: weight = target / propensity, reward, and the optional columns.

    The optional columns are those of `Feedback`; each is empty where it is not given.
    """

    weight: FloatArray
    reward: FloatArray
    predicted_logged: FloatArray = field(default_factory=lambda: np.empty(0))
    predicted_target: FloatArray = field(default_factory=lambda: np.empty(0))
    robust_logged: FloatArray = field(default_factory=lambda: np.empty(0))
    robust_target: FloatArray = field(default_factory=lambda: np.empty(0))
    marginal_weight: FloatArray = field(default_factory=lambda: np.empty(0))
    slate_weight: FloatArray = field(default_factory=lambda: np.empty(0))


def _numbers(name: str, given: ArrayLike, n: int) -> FloatArray:
    """Return the column as (n,) float64; NumberError unless all values are finite."""
    try:
        array = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise NumberError(f"{name} is not an array of numbers; pass float64") from None
    _check_shape(name, array.shape, n)
    _check_values(name, array, ~np.isfinite(array), "the finite numbers")
    return array


def _ids(given: ArrayLike, n: int) -> IntArray:
    """Return the ids as (n,) int64."""
    array = np.asarray(given)
    _check_shape("cluster", array.shape, n)
    if n and array.dtype.kind not in "iu":
        raise InputError(f"cluster has dtype {array.dtype}, not integers; number the customers first")
    return array.astype(np.int64, copy=False)


def _check_shape(name: str, shape: tuple[int, ...], n: int) -> None:
    if len(shape) != 1:
        raise InputError(f"{name} has shape {shape}; pass a 1-d array, one number a row")
    if shape[0] != n:
        raise InputError(f"{name} has {shape[0]} rows but reward has {n}; pass arrays of the same length")


def _equal(a: FloatArray | IntArray, b: FloatArray | IntArray) -> bool:
    return a is b or np.array_equal(a, b)


def _check_values(name: str, array: FloatArray, bad: BoolArray, allowed: str) -> None:
    if bad.any():
        row = int(np.argmax(bad))
        raise NumberError(
            f"{name} has {array[row]} in row {row}, which is outside {allowed}; correct or leave out that row"
        )
