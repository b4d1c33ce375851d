"""The frozen records of the ledger of learning: due outcomes, scans for them, steps and snapshots.

Shapes: n rows. Times are whole microseconds since 1970-01-01 UTC.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from bandit.store.records import DecisionColumns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bandit.domain import BoolArray, FloatArray, IntArray, ObjectArray
    from bandit.store.records import RowIndex


@dataclass(frozen=True, slots=True)
class Watermark:
    """How far a policy has looked: all events up to `event`, all decisions up to `seq` and made up to `time`.

    Decisions made up to `levels[k]` had reached level k of `conversion_delay.LEVELS`; there is one time for each level.
    """

    event: int
    seq: int
    time: int
    levels: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class DueScan:
    """One pass of a policy over what is new, from `start` to `target`, done up to the decision `position`.

    A `resumed` scan was begun by an earlier step, so that the log may go on after its target. `stored` is the state
    that the database has, None where it has none or one of an unfinished scan.
    """

    criterion: str
    start: Watermark
    target: Watermark
    position: int
    complete: bool
    resumed: bool = False
    stored: tuple[Watermark, Watermark, int | None] | None = None

    @property
    def is_last(self) -> bool:
        """Whether the log had nothing more to look at when the scan was begun."""
        return self.complete and not self.resumed

    @property
    def n_new(self) -> int:
        """The number of decisions and events from the start to the target."""
        return self.target.seq - self.start.seq + self.target.event - self.start.event


@dataclass(frozen=True, slots=True, eq=False)
class DueColumns:
    """n decisions whose outcomes are due for learning, with what was learned of each before.

    `weight` is the known part of an outcome and `previous_weight` the part learned before, as in `Outcomes`. `scan` is
    to be returned with `Ledger.record_step`. `stage` is how many of the objective's stages each has reached,
    `previous_stage` how many were learned. `all_count` says that every event of these decisions is a conversion or
    "closed" within the window; where it is False, some may be others.
    """

    decisions: DecisionColumns
    weight: FloatArray
    is_update: BoolArray
    previous_weight: FloatArray
    previous_converted: BoolArray
    previous_revenue: FloatArray
    previous_value: FloatArray
    scan: DueScan | None
    stage: IntArray
    previous_stage: IntArray
    all_count: bool = False

    def __len__(self) -> int:
        return len(self.decisions)

    def take(self, rows: RowIndex) -> DueColumns:
        """Return the chosen rows, with the same scan."""
        return DueColumns(
            self.decisions.take(rows),
            self.weight[rows],
            self.is_update[rows],
            self.previous_weight[rows],
            self.previous_converted[rows],
            self.previous_revenue[rows],
            self.previous_value[rows],
            self.scan,
            self.stage[rows],
            self.previous_stage[rows],
        )

    @staticmethod
    def concat(parts: Sequence[DueColumns]) -> DueColumns:
        """Return the rows of all parts (one or more) in order, with the scan of the first."""
        if len(parts) == 1:
            return parts[0]

        def decisions(name: str) -> ObjectArray:
            return np.concatenate([getattr(part.decisions, name) for part in parts])

        return DueColumns(
            DecisionColumns(*(decisions(field.name) for field in fields(DecisionColumns))),  # type: ignore[arg-type]
            np.concatenate([part.weight for part in parts]),
            np.concatenate([part.is_update for part in parts]),
            np.concatenate([part.previous_weight for part in parts]),
            np.concatenate([part.previous_converted for part in parts]),
            np.concatenate([part.previous_revenue for part in parts]),
            np.concatenate([part.previous_value for part in parts]),
            parts[0].scan,
            np.concatenate([part.stage for part in parts]),
            np.concatenate([part.previous_stage for part in parts]),
        )


@dataclass(frozen=True, slots=True)
class PolicyStep:
    """One step of learning: the number of outcomes it learned and the hash of the policy's state after it."""

    step: int
    n: int
    state_hash: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A policy's state after a step, as bytes, and its hash."""

    step: int
    state: bytes
    state_hash: str
