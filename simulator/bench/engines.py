"""What the benchmarks open engines with: a customer key, and a clock that is set by hand."""

from __future__ import annotations

from dataclasses import dataclass

from bandit.domain import MICROSECONDS

BENCH_KEY = b"a key of the benchmark"
"""The key under which customers are hashed."""

BENCH_START = 1_750_000_000 * MICROSECONDS
"""Where manual clocks start: 2025-06-15, in microseconds since 1970 UTC."""


@dataclass(slots=True)
class ManualClock:
    """A clock that shows the time it was set to."""

    now: int = BENCH_START

    def __call__(self) -> int:
        """Return microseconds since 1970 UTC."""
        return self.now
