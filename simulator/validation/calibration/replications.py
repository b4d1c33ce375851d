"""Results of the replications of one cell beside the truth: arrays that are saved in a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from bandit.domain import BoolArray, FloatArray

_NAMES = ("targets", "estimators", "intervals")
_ROWS = (
    "answered",
    "effective",
    "contrast",
    "events",
    "value",
    "low",
    "high",
    "difference",
    "difference_low",
    "difference_high",
)


@dataclass(frozen=True, slots=True, eq=False)
class Replications:
    """R logs, T target policies, E estimators, K kinds of interval.

    `truth` (T,) is each policy's value and `logged` that of the policy that wrote the logs. `answered` (R, T) is where
    an evaluation would not say "cannot tell", `effective` (R, T) the effective sample size, `contrast` (R, T) that of
    the difference and `events` (R, T) the number of rarer outcomes in it. `value` (R, T, E) with `low` and `high`
    (R, T, E, K) are the estimates, NaN where there is none (an unknown interval is infinite); `difference`,
    `difference_low` and `difference_high` are those of the paired difference to the policy that wrote the log.
    """

    targets: tuple[str, ...]
    estimators: tuple[str, ...]
    intervals: tuple[str, ...]
    truth: FloatArray
    logged: float
    answered: BoolArray
    effective: FloatArray
    contrast: FloatArray
    events: FloatArray
    value: FloatArray
    low: FloatArray
    high: FloatArray
    difference: FloatArray
    difference_low: FloatArray
    difference_high: FloatArray

    def __len__(self) -> int:
        return len(self.answered)

    @staticmethod
    def join(parts: Sequence[Replications]) -> Replications:
        """Return the replications of all parts, which must have the same policies, estimators and intervals."""
        rows: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _ROWS}
        return replace(parts[0], **rows)

    def save(self, path: Path, stamp: str) -> None:
        """Write to a file atomically; `stamp` identifies the cell."""
        arrays: dict[str, Any] = {each.name: np.asarray(getattr(self, each.name)) for each in fields(self)}
        part = path.with_suffix(".part.npz")
        np.savez_compressed(part, stamp=np.asarray(stamp), **arrays)
        part.replace(path)

    @staticmethod
    def load(path: Path, stamp: str) -> Replications | None:
        """Return the replications in a file; None without a file, or with another stamp or other columns."""
        try:
            with np.load(path, allow_pickle=False) as file:
                found: dict[str, Any] = {name: file[name] for name in file.files}
        except (OSError, ValueError, BadZipFile):
            return None
        if str(found.pop("stamp", "")) != stamp or found.keys() != {each.name for each in fields(Replications)}:
            return None
        for name in _NAMES:
            found[name] = tuple(found[name].tolist())
        found["logged"] = float(found["logged"])
        return Replications(**found)
