"""What came of the decisions of a chunk, where it stands in rows of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bandit.logfiles.columns.outcomes import OutcomeEvents
from bandit.store.records import object_array

if TYPE_CHECKING:
    from bandit.domain import BoolArray, FloatArray, IntArray
    from bandit.logfiles.rejections import ChunkRejections

MAX_EVENTS = 100
"""Most events of one kind that a decision may have: with more, the column that joins them is none of its own."""


@dataclass(frozen=True, slots=True, eq=False)
class AttachedEvents:
    """The events of n decisions.

    `faults` says by row why a decision cannot be used, `complete` (n,) where the window was over when the file ends.
    The other columns are (m,), one entry an event: `row` the decision, `outcome` the number of the entry of
    [[outcomes]] whose names are `names`, `number` the place among the events of its kind of its decision, and `twin`
    that among those at the same time, from 0.
    """

    names: Sequence[str]
    row: IntArray
    outcome: IntArray
    number: IntArray
    twin: IntArray
    time: IntArray
    revenue: FloatArray
    reward: FloatArray
    faults: Mapping[int, tuple[str, str]]
    complete: BoolArray
    times_known: bool

    def read(self, rejections: ChunkRejections) -> list[OutcomeEvents]:
        """Return the events in columns, one record for the first of each kind, one for the second and so on.

        Decisions with an event that cannot be read are rejected.
        """
        n = len(self.complete)
        for kind in dict.fromkeys(kind for kind, _ in self.faults.values()):
            rows = np.zeros(n, dtype=np.bool_)
            rows[[row for row, (its_kind, _) in self.faults.items() if its_kind == kind]] = True
            rejections.reject(rows, kind, lambda row: self.faults[row][1])
        read = []
        for outcome, name in enumerate(self.names):
            mine = np.flatnonzero((self.outcome == outcome) & (self.number < MAX_EVENTS))
            n_layers = max(1, int(self.number[mine].max(initial=0)) + 1)
            read += [self._layer(name, mine[self.number[mine] == number]) for number in range(n_layers)]
        return read

    def _id(self, name: str, event: int) -> str:
        """Return the id of an event within its decision: its name, and where several may be, its time and number."""
        twin = int(self.twin[event])
        made = name if not self.times_known else f"{name}@{int(self.time[event])}"
        return made if twin == 0 else f"{made}#{twin + 1}"

    def _layer(self, name: str, events: IntArray) -> OutcomeEvents:
        n, rows = len(self.complete), self.row[events]
        happened = np.zeros(n, dtype=np.bool_)
        time = np.zeros(n, dtype=np.int64)
        revenue, reward = np.full(n, np.nan), np.full(n, np.nan)
        happened[rows], time[rows] = True, self.time[events]
        revenue[rows], reward[rows] = self.revenue[events], self.reward[events]
        ids = object_array([None] * n)
        ids[rows] = object_array([self._id(name, event) for event in events.tolist()])
        readable, refused = np.ones(n, dtype=np.bool_), np.zeros(n, dtype=np.bool_)
        return OutcomeEvents(name, happened, revenue, reward, readable, refused, time, ids)
