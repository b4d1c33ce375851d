"""What a person sees while a demo runs: one bar a step, on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from bandit.domain import Progress as Report


@contextmanager
def step(label: str) -> Iterator[Report]:
    """Yield what the work calls with (done, total); without a terminal, one line once the step is done."""
    console = Console(file=sys.stderr)
    begun = time.perf_counter()
    if not console.is_terminal:
        yield lambda done, total: None  # noqa: ARG005
        sys.stderr.write(f"{label}: {time.perf_counter() - begun:.1f} s\n")
        return
    columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console) as bars:
        task = bars.add_task(label, total=None)

        def report(done: int, total: int) -> None:
            bars.update(task, completed=done, total=total or None)

        yield report
        bars.update(task, completed=1, total=1)
