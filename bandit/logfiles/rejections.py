"""Rows that cannot be used: counted by reason, and the first of them listed with their lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from bandit.catalogue.undeclared import UndeclaredValues
from bandit.domain import BoolArray, IntArray, OutsideReason
from bandit.logfiles.events.counts import EventRowCounts
from bandit.printable import plain
from bandit.tabular import Cell, Tabular


@dataclass(frozen=True, slots=True)
class Rejection:
    """One row that cannot be used: its line in the file (its row number in Parquet and frames) and the reason."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class ImportFinding:
    """Something that was noticed about a log: what was seen, as a sentence, and what to do about it.

    `kind` names it for programs. A finding that `refuses` is an error, unless the mapping or the caller accepts it. One
    that is `lasting` limits what the log can say, and is repeated with every result.
    """

    kind: str
    text: str
    cure: str = ""
    refuses: bool = False
    lasting: bool = True

    @property
    def sentence(self) -> str:
        """What was seen and what to do, as one sentence without its full stop."""
        return f"{self.text}; {self.cure}" if self.cure else self.text

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {"kind": self.kind, "text": self.text, "cure": self.cure}


@dataclass(frozen=True, slots=True)
class ImportReport(Tabular):
    """The numbers of rows of a file: n_rows = n_imported + n_repeated + n_refused.

    `n_repeated` rows were in the log before, with the same content. `refused` lists the first rows that cannot be
    used by line, `by_reason` counts all of them by kind of fault, the most frequent first. `left_out` counts, by
    reason, the lines that the file itself says are no decisions to judge or to learn from; they are not among the
    `n_rows`. `notices` are sentences on what the mapping did not find in the file. `outside` says which of the rows
    that can be used have an offer that no policy of the catalogue can choose, with their numbers. `findings` is what
    was noticed about the rows as a whole. Of a file with a row an event the rows are those of its decisions, and
    `event_rows` says what became of all of them. `undeclared` are the facts with values that the catalogue does not
    declare.
    """

    n_rows: int
    n_imported: int
    n_repeated: int
    n_refused: int
    refused: tuple[Rejection, ...]
    by_reason: Mapping[str, int]
    left_out: Mapping[str, int] = field(default_factory=dict)
    notices: tuple[str, ...] = ()
    outside: tuple[OutsideReason, ...] = ()
    findings: tuple[ImportFinding, ...] = ()
    event_rows: EventRowCounts | None = None
    undeclared: tuple[UndeclaredValues, ...] = ()

    @property
    def n_left_out(self) -> int:
        """The number of lines that are left out."""
        return sum(self.left_out.values())

    @property
    def n_outside(self) -> int:
        """The number of rows with an offer that no policy of the catalogue can choose."""
        return sum(each.n for each in self.outside)

    def to_rows(self) -> list[dict[str, Cell]]:
        """Return one row a kind of result: the rows imported, there before, refused by reason, and left out."""
        counted = {"imported": self.n_imported, "there before, unchanged": self.n_repeated}
        rows: list[dict[str, Cell]] = [{"result": name, "reason": None, "rows": n} for name, n in counted.items()]
        rows += [{"result": "refused", "reason": reason, "rows": n} for reason, n in self.by_reason.items()]
        return rows + [{"result": "left out", "reason": reason, "rows": n} for reason, n in self.left_out.items()]


class Rejections:
    """The rows of a file that cannot be used: the first `max_listed` with their reasons, and counts of all."""

    def __init__(self, max_listed: int) -> None:
        self.max_listed = max_listed
        self.by_reason: Counter[str] = Counter()
        self.listed: list[Rejection] = []

    @property
    def n(self) -> int:
        """The number of rows rejected so far."""
        return self.by_reason.total()

    def chunk(self, lines: IntArray) -> ChunkRejections:
        """Return the rejections of the next rows, which stand on these lines."""
        return ChunkRejections(self, lines)


class ChunkRejections:
    """The rejections of one chunk of rows; `ok` marks the rows that nothing has rejected yet."""

    def __init__(self, file: Rejections, lines: IntArray) -> None:
        self._file = file
        self._lines = lines
        self.ok: BoolArray = np.ones(len(lines), dtype=np.bool_)
        self._listed: list[Rejection] = []

    def reject(self, rows: BoolArray, kind: str, message: Callable[[int], str]) -> None:
        """Reject the rows marked, unless they are rejected already; `message` gives the reason for one row."""
        new = np.flatnonzero(rows & self.ok)
        if not len(new):
            return
        self.ok[new] = False
        self._file.by_reason[kind] += len(new)
        room = self._file.max_listed - len(self._file.listed)
        self._listed += [Rejection(int(self._lines[row]), plain(message(row))) for row in new[:room].tolist()]

    def add(self, line: int, kind: str, message: str) -> None:
        """Reject a row that is not among the chunk's rows, such as one with another number of fields."""
        self._file.by_reason[kind] += 1
        if len(self._listed) + len(self._file.listed) < self._file.max_listed:
            self._listed.append(Rejection(line, message))

    def close(self) -> BoolArray:
        """List the chunk's rejections by line and return which rows can be used, (n,)."""
        self._listed.sort(key=lambda rejection: rejection.line)
        room = self._file.max_listed - len(self._file.listed)
        self._file.listed += self._listed[:room]
        return self.ok
