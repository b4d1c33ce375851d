"""Output of the commands: results on stdout, notes and progress on stderr; with --json, only JSON on stdout."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

from bandit.printable import plain

if TYPE_CHECKING:
    from rich.table import Table

Report: TypeAlias = Callable[[int, int], None]

_LONGEST_NOTE = 10_000

_PIPED_WIDTH = 200
"""Width of a table, in characters, if stdout is not a terminal."""


def show(tables: Iterable[Table], lines: Iterable[str] = (), width: int | None = None) -> None:
    """Print tables and sentences on stdout, at most `width` characters wide if it is given."""
    from rich.console import Console

    console = Console(file=sys.stdout, highlight=False)
    if not console.is_terminal:
        console.width = _PIPED_WIDTH
    if width is not None:
        console.width = min(console.width, width)
    for table in tables:
        console.print(table)
    for line in lines:
        console.print(line, markup=False)


def show_json(value: object) -> None:
    """Print one JSON document on stdout, and nothing else."""
    import msgspec

    text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    sys.stdout.write(text + "\n")


def note(sentence: str) -> None:
    """Print a sentence on stderr, on one line and without control characters."""
    sys.stderr.write(plain(sentence.rstrip(), _LONGEST_NOTE) + "\n")


@contextmanager
def progress(label: str) -> Iterator[Report]:
    """Yield a progress callback; it draws a bar on stderr if that is a terminal."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(file=sys.stderr)
    if not console.is_terminal:
        yield lambda done, total: None  # noqa: ARG005
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total or None)
