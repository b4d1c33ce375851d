"""A stopwatch for pieces of work, in elapsed time and in processor time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Stopwatch:
    """Time spent on pieces of work: elapsed, and of the processor for this process.

    Processor time is not lengthened much by other programs on the machine. `cpu` returns its nanoseconds so far, of
    this process by default.
    """

    def __init__(self, cpu: Callable[[], int] = time.process_time_ns) -> None:
        self._cpu = cpu
        self.elapsed_ns = 0
        self.cpu_ns = 0
        self.pieces = 0

    @contextmanager
    def running(self, pieces: int = 0) -> Iterator[None]:
        """Measure the block, which does so many pieces of the work."""
        elapsed, cpu = time.perf_counter_ns(), self._cpu()
        yield
        self.cpu_ns += self._cpu() - cpu
        self.elapsed_ns += time.perf_counter_ns() - elapsed
        self.pieces += pieces

    @property
    def elapsed_microseconds(self) -> float:
        """Elapsed microseconds a piece."""
        return self.elapsed_ns / 1_000 / max(self.pieces, 1)

    @property
    def cpu_microseconds(self) -> float:
        """Microseconds of processor time a piece."""
        return self.cpu_ns / 1_000 / max(self.pieces, 1)
