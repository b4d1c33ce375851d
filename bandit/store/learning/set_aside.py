"""Outcomes that a policy could not learn and set aside: entries of the journal, without identities.

The ledger has such an outcome among those that the step learned, so that it is not due again until it changes; what a
step learned is what the ledger has without them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from bandit.store.maintenance.journal import record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bandit.store.connection import Connection
    from bandit.store.learning.records import DueColumns

# The conditions and the order are those of the index `upkeep_set_aside`: the journal grows with what is set aside.
_ENTRIES = """
SELECT details FROM upkeep WHERE kind = 'set aside' AND json_extract(details, '$.policy_id') = ?
ORDER BY json_extract(details, '$.step'), id
"""
_ENTRIES_OF_STEP = """
SELECT details FROM upkeep
WHERE kind = 'set aside' AND json_extract(details, '$.policy_id') = ? AND json_extract(details, '$.step') = ?
"""
_LEARNED_STEPS = """
SELECT step, weight, converted, revenue, value FROM learned WHERE policy_id = ? AND seq = ? ORDER BY step DESC
"""
_STAGE = "SELECT stage FROM learned_stages WHERE policy_id = ? AND seq = ? AND step = ?"
_DECISION = "SELECT decision_id FROM decisions WHERE seq = ?"


@dataclass(frozen=True, slots=True)
class SetAsideStep:
    """The decisions, by number, whose outcomes a policy set aside in one step, and why."""

    step: int
    seqs: tuple[int, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class SetAsideDecision:
    """One decision whose outcome a policy set aside: its id, the step, and why."""

    decision_id: str
    policy_id: int
    step: int
    reason: str


class SetAside:
    """Reads and writes which outcomes policies have set aside."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def of(self, policy_id: int) -> tuple[SetAsideStep, ...]:
        """Return what a policy has set aside, in order."""
        with self._connection.reading() as raw:
            return tuple(_step(details) for (details,) in raw.execute(_ENTRIES, (policy_id,)))

    def add(self, policy_id: int, step: int, seqs: Sequence[int], reason: str) -> None:
        """Note what a step set aside, inside the transaction that writes the step."""
        details = {"policy_id": policy_id, "step": step, "decisions": list(seqs), "reason": reason}
        record(self._connection.raw, self._connection.chain, "set aside", details)

    def decisions(self, policy_id: int) -> tuple[SetAsideDecision, ...]:
        """Return the decisions still in the log whose newest outcome a policy has set aside."""
        found: dict[int, SetAsideDecision] = {}
        with self._connection.reading() as raw:
            for each in self.of(policy_id):
                for seq in each.seqs:
                    newest = raw.execute(_LEARNED_STEPS, (policy_id, seq)).fetchone()
                    row = raw.execute(_DECISION, (seq,)).fetchone()
                    if row is not None and newest is not None and newest[0] == each.step:
                        found[seq] = SetAsideDecision(str(row[0]), policy_id, each.step, each.reason)
        return tuple(found.values())

    def in_step(self, policy_id: int, step: int) -> frozenset[int]:
        """Return the numbers of the decisions whose outcomes a step set aside."""
        with self._connection.reading() as raw:
            rows = raw.execute(_ENTRIES_OF_STEP, (policy_id, step)).fetchall()
        return frozenset(seq for (details,) in rows for seq in _step(details).seqs)

    def learned_before(self, policy_id: int) -> list[tuple[int, int]]:
        """Return (decision, step) of each set-aside outcome's newest learned form, step -1 where none was learned."""
        steps = self._steps_by_decision(policy_id)
        with self._connection.reading() as raw:
            return [
                (
                    seq,
                    next((row[0] for row in raw.execute(_LEARNED_STEPS, (policy_id, seq)) if row[0] not in aside), -1),
                )
                for seq, aside in steps.items()
            ]

    def corrected(self, policy_id: int, due: DueColumns) -> DueColumns:
        """Return due outcomes with, as what was learned of each before, what was learned and not set aside."""
        if not due.is_update.any():
            return due
        steps = self._steps_by_decision(policy_id)
        concerned = [
            place for place, seq in enumerate(due.decisions.seq.tolist()) if seq in steps and due.is_update[place]
        ]
        if not concerned:
            return due
        is_update, weight, converted = due.is_update.copy(), due.previous_weight.copy(), due.previous_converted.copy()
        revenue, value, stage = due.previous_revenue.copy(), due.previous_value.copy(), due.previous_stage.copy()
        with self._connection.reading() as raw:
            for place in concerned:
                seq = int(due.decisions.seq[place])
                rows = raw.execute(_LEARNED_STEPS, (policy_id, seq)).fetchall()
                learned = next((row for row in rows if row[0] not in steps[seq]), None)
                is_update[place] = learned is not None
                weight[place], converted[place], revenue[place], value[place] = learned[1:] if learned else (0, 0, 0, 0)
                reached = learned and raw.execute(_STAGE, (policy_id, seq, learned[0])).fetchone()
                stage[place] = reached[0] if reached else 0
        return replace(
            due,
            is_update=is_update,
            previous_weight=weight,
            previous_converted=converted,
            previous_revenue=revenue,
            previous_value=value,
            previous_stage=stage,
        )

    def _steps_by_decision(self, policy_id: int) -> dict[int, set[int]]:
        steps: dict[int, set[int]] = {}
        for each in self.of(policy_id):
            for seq in each.seqs:
                steps.setdefault(seq, set()).add(each.step)
        return steps


def _step(details: str) -> SetAsideStep:
    """Return what an entry of the journal says."""
    found = msgspec.json.decode(details)
    return SetAsideStep(int(found["step"]), tuple(found["decisions"]), str(found["reason"]))


def without(rows: DueColumns, seqs: frozenset[int]) -> DueColumns:
    """Return the rows whose decisions are not among these."""
    if not seqs:
        return rows
    return rows.take(~np.isin(rows.decisions.seq, list(seqs)))
