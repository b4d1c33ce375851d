"""The counts that an engine keeps while it serves decisions."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

MAX_FAULT_KINDS = 32
"""Most kinds of faults that are counted apart; further kinds are counted together as "other"."""


@dataclass(slots=True)
class EngineCounters:
    """Counts of decisions and faults since the engine was opened; one thread at a time writes, any may read."""

    decisions: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    last_fault: str | None = None
    last_fault_time: int | None = None
    unlogged: int = 0

    def reset(self) -> None:
        """Set all counts to zero."""
        self.decisions = self.unlogged = 0
        self.faults, self.last_fault, self.last_fault_time = {}, None, None

    def count_decisions(self, n: int, fault: str | None, *, logged: bool = True) -> None:
        """Count n decisions, with the fault that made them end in the fallback, if any."""
        unlogged = self.unlogged + (0 if logged else n)
        faults, last, at = self.faults, self.last_fault, self.last_fault_time
        if fault is not None:
            faults, last, at = self._with_fault(fault, n), fault, time.time_ns() // 1_000
        # One statement without a call, so that no exception of a signal's handler comes between two of the counts.
        self.decisions, self.unlogged, self.faults, self.last_fault, self.last_fault_time = (
            self.decisions + n, unlogged, faults, last, at,
        )  # fmt: skip

    def count_fault(self, fault: str, n: int = 1) -> None:
        """Count a fault n times by its kind: the text before its first colon."""
        faults, at = self._with_fault(fault, n), time.time_ns() // 1_000
        self.faults, self.last_fault, self.last_fault_time = faults, fault, at

    def _with_fault(self, fault: str, n: int) -> dict[str, int]:
        kind = fault.partition(":")[0]
        if kind not in self.faults and len(self.faults) >= MAX_FAULT_KINDS:
            kind = "other"
        return self.faults | {kind: self.faults.get(kind, 0) + n}
