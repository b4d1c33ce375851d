"""Output of the commands: results on stdout, notes and progress on stderr; documents have stdout for themselves."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

from bandit.errors import InputError
from bandit.printable import plain, visible

if TYPE_CHECKING:
    from rich.table import Table

    from bandit.tabular import Tabular

Report: TypeAlias = Callable[[int, int], None]

_LONGEST_NOTE = 10_000

_STEERING = re.compile(r"[\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Characters that JSON lets through and terminals obey: controls from delete on, and marks of the writing direction."""

OUTPUT_FORMATS = ("table", "json", "csv", "md")
"""How a result can be printed; the first is the default."""


def output_format(as_json: bool, name: str | None) -> str:
    """Return how to print a result, from --json and --format; InputError for an unknown name, or two that differ."""
    chosen = ("json" if as_json else OUTPUT_FORMATS[0]) if name is None else name
    if chosen not in OUTPUT_FORMATS:
        raise InputError(f'there is no format "{chosen}"; choose from {", ".join(OUTPUT_FORMATS)}')
    if as_json and chosen != "json":
        raise InputError(f"--json and --format {chosen} exclude each other; give one of them")
    return chosen


def show(
    tables: Iterable[Table], lines: Iterable[str] = (), width: int | None = None, verdicts: Iterable[str] = ()
) -> None:
    """Print the sentences on verdicts, then tables and further sentences on stdout, at most `width` columns wide.

    Without `width` it is the width of the terminal, or what COLUMNS says; 80 where there is neither. A table that does
    not fit is printed as one record a row. Sentences are wrapped between words.
    """
    from rich.console import Console

    from bandit.report.layout import fitted, verdict_text

    class Output(Console):
        """Standard output; where its reader has closed it, the command ends without a fault."""

        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    console = Output(file=sys.stdout, highlight=False)
    if width is not None:
        console.width = min(console.width, width)
    first = list(verdicts)
    for sentence in first:
        console.print(verdict_text(sentence, console.width), soft_wrap=True)
    for place, table in enumerate(tables):
        if first or place:
            console.print()
        for part in fitted(table, console.width):
            console.print(part, soft_wrap=True)
    for place, line in enumerate(lines):
        if first and not place:
            console.print()
        console.print(verdict_text(line, console.width), soft_wrap=True)


def show_plain(style: str, value: Callable[[], object], tables: Callable[[], Sequence[tuple[str, Tabular]]]) -> bool:
    """Print a result as JSON, CSV or Markdown, and return whether that was asked for; False for tables and sentences.

    `value` returns the JSON document and `tables` the named tables, of which the first is the result itself.
    """
    if style == "json":
        show_json(value())
    elif style in {"csv", "md"}:
        from bandit.report.tables import csv_text, markdown_text

        _write((csv_text if style == "csv" else markdown_text)(tables()))
    else:
        return False
    return True


def show_json(value: object) -> None:
    """Print one JSON document on stdout, and nothing else."""
    import msgspec

    _write_json(msgspec.json.format(msgspec.json.encode(value), indent=2))


def show_json_line(value: object) -> None:
    """Print one JSON document on one line of stdout, at once."""
    import msgspec

    _write_json(msgspec.json.encode(value))
    sys.stdout.flush()


def _write_json(document: bytes) -> None:
    # Such characters stand within texts alone, where the escape means the same and no terminal obeys it.
    sys.stdout.write(_STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", document.decode()) + "\n")


def _write(document: str) -> None:
    """Write a document on stdout: as it is to a file, with the characters that could steer it escaped to a terminal."""
    sys.stdout.write(visible(document) if sys.stdout.isatty() else document)


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
