"""The table `imports`: which files were imported, how many of their rows, and what was noticed about them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from bandit.printable import plain
from bandit.store.chain.kinds import IMPORTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bandit.store.connection import Connection

_APPEND = """
INSERT INTO imports (time, file, digest, catalogue_id, n_rows, n_imported, n_repeated, n_refused, details)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_HAS_CUSTOMERS = "SELECT EXISTS (SELECT 1 FROM customers WHERE key IN (SELECT value FROM json_each(?)))"
_HAS_LINES = "SELECT EXISTS (SELECT 1 FROM decisions WHERE decision_id >= ? AND decision_id < ?)"
_LINE_IDS = f"""
SELECT substr(decision_id, 1, 16), max(CAST(substr(decision_id, 18) AS INTEGER)) FROM decisions
WHERE decision_id GLOB '{"[0-9a-f]" * 16}-[0-9]*' GROUP BY substr(decision_id, 1, 16)
"""  # noqa: S608 - a constant
_WITH_EVENT = """
SELECT DISTINCT e.seq FROM events e WHERE e.seq IN (SELECT value FROM json_each(?)) AND e.event = ?
"""
_OF_OTHER_VERSIONS = """
SELECT j.key, d.seq, d.catalogue_id, d.offer, d.propensity
FROM json_each(?) j CROSS JOIN decisions d ON d.decision_id = j.value WHERE d.catalogue_id <> ?
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
        return f"when {plain(self.file)} was imported on {import_day(self.time)}, {self.text}"

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {"file": self.file, "time": self.time, "kind": self.kind, "text": self.text}


def import_day(time: int) -> str:
    """Return the day of a time in microseconds since 1970 UTC.

    >>> import_day(0)
    '1970-01-01'
    """
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time)).date().isoformat()


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
            content = (row.time, row.file, row.digest, row.catalogue_id, *numbers, details)
            number = self._connection.raw.execute(_APPEND, content).lastrowid
            self._connection.chain.add_one(IMPORTS, (0, number, *content))

    def all(self) -> tuple[ImportRow, ...]:
        """Return all imports, the oldest first."""
        with self._connection.reading() as raw:
            rows = raw.execute(_ALL).fetchall()
        return tuple(_row(row) for row in rows)

    def has_customers(self, keys: Sequence[str]) -> bool:
        """Return whether one of these customers, in stored form, is in the log."""
        with self._connection.reading() as raw:
            return bool(raw.execute(_HAS_CUSTOMERS, (msgspec.json.encode(keys).decode(),)).fetchone()[0])

    def has_lines_of(self, digest: str) -> bool:
        """Return whether decisions are named by the lines of the file with this digest."""
        with self._connection.reading() as raw:
            return bool(raw.execute(_HAS_LINES, (f"{digest}-", f"{digest}.")).fetchone()[0])

    def line_ids(self) -> tuple[tuple[str, int], ...]:
        """Return the digests of files whose lines name decisions, each with the last line; one pass over the log."""
        with self._connection.reading() as raw:
            rows = raw.execute(_LINE_IDS).fetchall()
        return tuple((digest, int(line)) for digest, line in rows)

    def of_other_versions(self, ids: Sequence[str], catalogue_id: int) -> list[tuple[int, int, int, int, float]]:
        """Return the decisions of these ids that are stored under other versions of the catalogue than this one.

        A row is (place in `ids`, number, catalogue, offer, propensity).
        """
        with self._connection.reading() as raw:
            return raw.execute(_OF_OTHER_VERSIONS, (msgspec.json.encode(ids).decode(), catalogue_id)).fetchall()

    def with_event(self, seqs: Sequence[int], event: str) -> int:
        """Return how many of these decisions have an event of this name."""
        with self._connection.reading() as raw:
            return len(raw.execute(_WITH_EVENT, (msgspec.json.encode(seqs).decode(), event)).fetchall())

    def findings(self) -> tuple[PastFinding, ...]:
        """Return what was noticed about the imports, the same of one file once, the oldest first."""
        found: dict[tuple[str, str], PastFinding] = {}
        for row in self.all():
            for each in row.details.get("findings", ()):
                key = (row.digest, each["text"])
                found.setdefault(key, PastFinding(row.file, row.time, each["kind"], each["text"]))
        return tuple(found.values())
