"""Progress of the demo's steps on stderr: a bar on a terminal, a line with the seconds elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as ProgressBars

from bandit.domain import Progress


@contextmanager
def step(label: str) -> Iterator[Progress]:
    """Yield the function to be called with (done, total) while the step runs."""
    console = Console(file=sys.stderr)
    begun = time.perf_counter()
    if not console.is_terminal:
        yield lambda done, total: None  # noqa: ARG005
        sys.stderr.write(f"{label}: {time.perf_counter() - begun:.1f} s\n")
        return
    columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn()
    with ProgressBars(*columns, console=console) as bars:
        task = bars.add_task(label, total=None)

        def report(done: int, total: int) -> None:
            bars.update(task, completed=done, total=total or None)

        yield report
        bars.update(task, completed=1, total=1)
