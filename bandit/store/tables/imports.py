"""The table `imports`: which files were imported, how many of their rows, and what was noticed about them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from bandit.printable import plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bandit.store.connection import Connection

_APPEND = """
INSERT INTO imports (time, file, digest, catalogue_id, n_rows, n_imported, n_repeated, n_refused, details)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_ALL = """
SELECT id, time, file, digest, catalogue_id, n_rows, n_imported, n_repeated, n_refused, details FROM imports ORDER BY id
"""


@dataclass(frozen=True, slots=True)
class ImportRow:
    """One import: its time (microseconds since 1970 UTC), the file's name and digest, numbers of rows, and `details`.

    `details` is JSON: its "findings" are what was noticed about the file; the other keys belong to the importer.
    """

    time: int
    file: str
    digest: str
    catalogue_id: int
    n_rows: int
    n_imported: int
    n_repeated: int
    n_refused: int
    details: Mapping[str, Any]
    id: int = 0


@dataclass(frozen=True, slots=True)
class PastFinding:
    """What was noticed when a file was imported: its name, the time (microseconds), the kind and the sentence."""

    file: str
    time: int
    kind: str
    text: str

    @property
    def sentence(self) -> str:
        """What was noticed, with the file and the day, without a full stop."""
        day = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=self.time)).date().isoformat()
        return f"when {plain(self.file)} was imported on {day}, {self.text}"

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {"file": self.file, "time": self.time, "kind": self.kind, "text": self.text}


def _row(row: tuple[Any, ...]) -> ImportRow:
    number, time, file, digest, catalogue_id, *counts, details = row
    n_rows, n_imported, n_repeated, n_refused = counts
    content = msgspec.json.decode(details)
    return ImportRow(time, file, digest, catalogue_id, n_rows, n_imported, n_repeated, n_refused, content, number)


class Imports:
    """The table `imports`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def append(self, row: ImportRow) -> None:
        """Add an import, whose number the database gives."""
        details = msgspec.json.encode(row.details).decode()
        numbers = (row.n_rows, row.n_imported, row.n_repeated, row.n_refused)
        with self._connection.transaction():
            self._connection.raw.execute(_APPEND, (row.time, row.file, row.digest, row.catalogue_id, *numbers, details))

    def all(self) -> tuple[ImportRow, ...]:
        """Return all imports, the oldest first."""
        with self._connection.reading() as raw:
            rows = raw.execute(_ALL).fetchall()
        return tuple(_row(row) for row in rows)

    def findings(self) -> tuple[PastFinding, ...]:
        """Return what was noticed about the imports, the same of one file once, the oldest first."""
        found: dict[tuple[str, str], PastFinding] = {}
        for row in self.all():
            for each in row.details.get("findings", ()):
                key = (row.digest, each["text"])
                found.setdefault(key, PastFinding(row.file, row.time, each["kind"], each["text"]))
        return tuple(found.values())
