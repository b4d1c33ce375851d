"""The columns that incremental outcomes are computed from, validated once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bandit.errors import InputError, NumberError

if TYPE_CHECKING:
    from bandit.domain import BoolArray, FloatArray, IntArray
    from bandit.domain.mixed_numbers import UnsignedArray

_ROUNDING = 1e-9
"""How far a sum of rounded probabilities may exceed 1."""


@dataclass(frozen=True, slots=True, eq=False)
class ServedBatch:
    """n decisions of one group: its customers, outcomes and options, and what each option cost.

    `customer` (n,) are integer ids, numbered from 0 in the group: rows of one customer are dependent. `outcomes` (n, M)
    are the measures, conversions (0 or 1) first. `has` (n, O) says which options the offer has, and `cost` (n, O) what
    each option cost, 0 where the offer does not have it. `weight` (n,) is what each decision counts by option, 1 by
    default: q(offer | x) / propensity where the control is weighted by other probabilities q than those that served.
    `keys` (n,) are hashes of the customers' names, by which parts of a log are merged.

    Raises NumberError for NaN, infinity, weights below 0 and costs of options that were not given, InputError for
    shapes that differ.
    """

    customer: IntArray
    outcomes: FloatArray
    has: BoolArray
    cost: FloatArray
    weight: FloatArray | None = None
    keys: UnsignedArray | None = None

    def __post_init__(self) -> None:
        n = len(self.customer)
        _check_ids(self.customer)
        _check_numbers("outcomes", self.outcomes, n)
        _check_numbers("cost", self.cost, n)
        if self.has.shape != self.cost.shape or self.has.dtype != np.bool_:
            raise InputError(
                f"has is {self.has.dtype} of shape {self.has.shape}, cost has shape {self.cost.shape}; "
                "give booleans and numbers, one column an option"
            )
        _check_rows("cost", self.cost, (self.cost != 0.0) & ~self.has, "an option that the offer does not have")
        if self.weight is not None:
            _check_numbers("weight", self.weight[:, None], n)
            _check_rows("weight", self.weight[:, None], self.weight[:, None] < 0.0, "a number below 0")

    def __len__(self) -> int:
        return len(self.customer)


@dataclass(frozen=True, slots=True, eq=False)
class ControlOptions:
    """What one group would have given the control's n decisions: probabilities of options, and their expected costs.

    `probability` (n, O) is that of any offer with the option, and `cost` (n, O) the probability with which the option
    would have been served times what it would have cost on what was bought without it: 0 where nothing was bought.

    Raises NumberError for probabilities outside [0, 1] and costs that are not finite, InputError for other shapes.
    """

    probability: FloatArray
    cost: FloatArray

    def __post_init__(self) -> None:
        n = len(self.probability)
        _check_numbers("probability", self.probability, n)
        _check_numbers("cost", self.cost, n)
        if self.probability.shape != self.cost.shape:
            raise InputError(
                f"probability has shape {self.probability.shape} and cost {self.cost.shape}; give one column an option"
            )
        off = (self.probability < 0.0) | (self.probability > 1.0 + _ROUNDING)
        _check_rows("probability", self.probability, off, "a number outside [0, 1]")


@dataclass(frozen=True, slots=True, eq=False)
class ControlBatch:
    """n decisions of the control: its customers and outcomes, and what each group would have given them.

    `customer`, `outcomes` and `keys` are as in `ServedBatch`; the control's customers are numbered from 0 on their
    own.
    `options` has one entry for each group, None where what the group would have given is not known.

    Raises NumberError for NaN and infinity, InputError for shapes that differ.
    """

    customer: IntArray
    outcomes: FloatArray
    options: tuple[ControlOptions | None, ...]
    keys: UnsignedArray | None = None

    def __post_init__(self) -> None:
        n = len(self.customer)
        _check_ids(self.customer)
        _check_numbers("outcomes", self.outcomes, n)
        for each in self.options:
            if each is not None and len(each.probability) != n:
                raise InputError(
                    f"there are {n} customers, and probabilities of {len(each.probability)} decisions; "
                    "give columns of the same length"
                )

    def __len__(self) -> int:
        return len(self.customer)


def _check_ids(customer: IntArray) -> None:
    if customer.ndim != 1 or customer.dtype.kind not in "iu":
        raise InputError(
            f"customer is {customer.dtype} of shape {customer.shape}; number the customers first, one integer a row"
        )
    if len(customer) and int(customer.min()) < 0:
        raise InputError(f"customer has the number {int(customer.min())}; number the customers from 0")


def _check_numbers(name: str, column: FloatArray, n: int) -> None:
    if column.ndim != 2 or len(column) != n:
        raise InputError(f"{name} has shape {column.shape} but there are {n} customers; give one row a decision")
    _check_rows(name, column, ~np.isfinite(column), "a number that is not finite")


def _check_rows(name: str, column: FloatArray, bad: BoolArray, what: str) -> None:
    if bad.any():
        row = int(np.argmax(bad.any(axis=1)))
        raise NumberError(f"{name} has {what} in row {row}: {column[row].tolist()}; correct or leave out that row")
