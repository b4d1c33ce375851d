"""The columns that lift is computed from, validated once."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np

from bandit.errors import InputError, NumberError

if TYPE_CHECKING:
    from bandit.domain import BoolArray, FloatArray, IntArray, ObjectArray


@dataclass(frozen=True, slots=True, eq=False)
class LiftBatch:
    """n logged decisions of customers in G groups; every field is an array of n rows.

    `reward` is what the decision earned, `group` in 0 .. G - 1 the group that served it and `customer` an integer id:
    rows of one customer are dependent. `earned` says which decisions had an outcome (by default: a reward other than
    0). `weights` (n, G) are each group's weights of the decision (`bandit.ope.lift.weights`), None where only means
    are computed. `time` is in microseconds since 1970 UTC and `segment` a label; both are optional.

    Raises NumberError for NaN, infinity and weights below 0, InputError for lengths that differ and wrong kinds.
    """

    reward: FloatArray
    group: IntArray
    customer: IntArray
    earned: BoolArray | None = None
    weights: FloatArray | None = None
    time: IntArray | None = None
    segment: ObjectArray | None = None

    def __post_init__(self) -> None:
        n = np.size(self.reward)
        for each in fields(self):
            given = getattr(self, each.name)
            if given is not None:
                object.__setattr__(self, each.name, _column(each.name, given, n))
        if self.earned is None:
            object.__setattr__(self, "earned", self.reward != 0.0)

    def __len__(self) -> int:
        return len(self.reward)

    def part(self, chosen: BoolArray | slice) -> LiftBatch:
        """Return the chosen rows."""
        columns = {each.name: getattr(self, each.name) for each in fields(self)}
        return replace(self, **{name: column[chosen] for name, column in columns.items() if column is not None})


_KINDS = {"reward": "biuf", "group": "iu", "customer": "iu", "earned": "b", "weights": "biuf", "time": "iu"}
_WORDS = {"iu": "integers", "b": "booleans", "biuf": "numbers"}


def _column(name: str, given: object, n: int) -> FloatArray | IntArray | BoolArray | ObjectArray:
    """Return the column with its type and n rows."""
    column = np.asarray(given, dtype=object if name == "segment" else None)
    if column.ndim != (2 if name == "weights" else 1) or len(column) != n:
        raise InputError(f"{name} has shape {column.shape} but reward has {n} rows; pass columns of the same length")
    if name == "segment":
        return column
    kind = _KINDS[name]
    if n and column.dtype.kind not in kind:
        raise InputError(f"{name} has dtype {column.dtype}, not {_WORDS[kind]}; convert the column first")
    column = column.astype({"b": np.bool_, "iu": np.int64, "biuf": np.float64}[kind], copy=False)
    if kind == "biuf":
        bad = ~np.isfinite(column) | (column < 0.0 if name == "weights" else False)
        if bad.any():
            row = int(np.argmax(bad.reshape(n, -1).any(axis=1)))
            raise NumberError(f"{name} has {column[row]} in row {row}; correct or leave out that row")
    return np.asarray(column)
