"""What an engine counts while it serves."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

KINDS = 32
"""Kinds of faults that are counted apart; those that come after are counted as "other"."""


@dataclass(slots=True)
class Counters:
    """What an engine counts; one thread at a time counts, any may read."""

    decisions: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    last_fault: str | None = None
    last_fault_time: int | None = None
    unlogged: int = 0

    def reset(self) -> None:
        """Begin to count anew."""
        self.decisions = self.unlogged = 0
        self.faults, self.last_fault, self.last_fault_time = {}, None, None

    def decided(self, n: int, fault: str | None, *, logged: bool = True) -> None:
        """Count decisions, with the fault that they ended in."""
        self.decisions += n
        if fault is not None:
            self.failed(fault, n)
        if not logged:
            self.unlogged += n

    def failed(self, fault: str, n: int = 1) -> None:
        """Count a fault by its kind: what stands before the colon."""
        kind = fault.partition(":")[0]
        if kind not in self.faults and len(self.faults) >= KINDS:
            kind = "other"
        self.faults[kind] = self.faults.get(kind, 0) + n
        self.last_fault, self.last_fault_time = fault, time.time_ns() // 1_000
