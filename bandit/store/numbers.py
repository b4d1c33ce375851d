"""Numbers of customers, decisions and events, of which none is given twice, whatever is deleted.

A new row gets the number after the last one that is there. So a deletion first notes the last numbers in `meta`, and
where one is noted, new rows get numbers above it. Learning remembers by numbers how far it has looked, and would miss a
row that took the number of a deleted one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

NUMBERED = {"customers": "id", "decisions": "seq", "events": "id"}
"""The tables whose numbers are never given twice, and the column of each number."""

_LAST = {table: f"SELECT COALESCE(MAX({column}), 0) FROM {table}" for table, column in NUMBERED.items()}  # noqa: S608

_NOTE = """
INSERT INTO meta (name, value) VALUES ('last number of ' || ?1, ?2)
ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE CAST(value AS INTEGER) < CAST(excluded.value AS INTEGER)
"""

_NOTED = "SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'last number of ' || ?"


def number_of_new(table: str) -> str:
    """Return the expression of a new row's number: NULL, the one after the last row's, unless a number is noted.

    >>> number_of_new("customers")[:31]
    '(SELECT MAX(CAST(value AS INTEG'
    """
    last = _LAST[table]
    return f"(SELECT MAX(CAST(value AS INTEGER), ({last})) + 1 FROM meta WHERE name = 'last number of {table}')"  # noqa: S608


def last_number(raw: sqlite3.Connection, table: str) -> int:
    """Return the last number of a table that was given: that of its last row, or the one noted."""
    return max(int(raw.execute(_LAST[table]).fetchone()[0]), noted_number(raw, table))


def noted_number(raw: sqlite3.Connection, table: str) -> int:
    """Return the number noted for a table, 0 if none is."""
    row = raw.execute(_NOTED, (table,)).fetchone()
    return 0 if row is None else int(row[0])


def note_number(raw: sqlite3.Connection, table: str, number: int) -> None:
    """Note a number of a table: new rows get numbers above it."""
    raw.execute(_NOTE, (table, str(number)))


def note_last_numbers(raw: sqlite3.Connection) -> None:
    """Note the last number of each table, before rows are deleted."""
    for table in NUMBERED:
        number = last_number(raw, table)
        if number:
            note_number(raw, table, number)
