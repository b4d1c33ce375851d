"""The protocol of log files: chunks of columns of text, whatever the format."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from bandit.domain import IntArray, Progress
from bandit.errors import LogFileError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bandit.logfiles.events.attached import AttachedEvents


@dataclass(frozen=True, slots=True, eq=False)
class SourceChunk:
    """n rows of a source: `lines` (n,) are their line numbers, `columns` the columns asked for, n texts each.

    `misfits` are (line, number of fields) of the rows that do not have the header's `n_fields`; they are not among
    the n. `left_out` counts, by reason, the lines that the file itself says are no decisions; they are not among the
    n either. `absent` are the columns asked for that none of these rows has, in formats whose rows need not have them
    all; they are blank here. `notes` are sentences on how lines were put together. `events` has what came of the rows
    where the outcomes stand in rows of their own. `split` has the columns of those misfits whose fields too many are
    parts of a number, as they would be with the number in quotes; they are refused all the same.
    """

    lines: IntArray
    columns: Mapping[str, Sequence[str]]
    misfits: Sequence[tuple[int, int]]
    n_fields: int
    left_out: Mapping[str, int] = field(default_factory=dict)
    absent: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()
    events: AttachedEvents | None = None
    split: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.lines)


class Source(Protocol):
    """A log file or frame that can be read any number of times; LogFileError where it is malformed."""

    @property
    def digest(self) -> str:
        """A digest of the content: 16 hex digits, the same for the same content."""
        ...

    @property
    def columns(self) -> Sequence[str]:
        """The names of its columns."""
        ...

    @property
    def has_weights(self) -> bool:
        """Whether a column "weight" has how many decisions each line stands for, as its format says."""
        ...

    def chunks(self, columns: Sequence[str], size: int, progress: Progress | None) -> Iterator[SourceChunk]:
        """Yield the rows in order, at most `size` at a time, with the columns named.

        `progress` is called after each chunk with what is done and what there is in all, in bytes or rows.
        """
        ...


def require_columns(path: Path, place: str, present: Sequence[str], wanted: Sequence[str]) -> None:
    """LogFileError where a column is missing or is there twice; `place` says where the names stand."""
    counts = Counter(present)
    for column in wanted:
        n = counts[column]
        if n == 0:
            shown = ", ".join(f'"{name}"' for name in present[:40]) + (", ..." if len(present) > 40 else "")
            raise LogFileError(
                f'{path}: {place} has no column "{column}"; the columns are {shown}: correct the mapping or the file'
            )
        if n > 1:
            raise LogFileError(f'{path}: {place} has the column "{column}" {n} times; give each a name of its own')
