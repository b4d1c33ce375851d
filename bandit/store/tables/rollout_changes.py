"""The table `rollout_changes`: who changed the roll-out of the policies, when, why, and the state after it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bandit.store.chain.kinds import CHANGES
from bandit.store.text import reject_zero_characters

if TYPE_CHECKING:
    from bandit.store.connection import Connection

_COLUMNS = "id, time, author, action, reason, state"

_LATEST = f"SELECT {_COLUMNS} FROM rollout_changes ORDER BY id DESC LIMIT 1"  # noqa: S608 - constants
_ONE = f"SELECT {_COLUMNS} FROM rollout_changes WHERE id = ?"  # noqa: S608 - constants
_ALL = f"SELECT {_COLUMNS} FROM rollout_changes ORDER BY id"  # noqa: S608 - constants


@dataclass(frozen=True, slots=True)
class RolloutChangeRow:
    """One change: its number, its time (microseconds since 1970 UTC), and the state after it as JSON text."""

    id: int
    time: int
    author: str
    action: str
    reason: str
    state: str


class RolloutChanges:
    """The table `rollout_changes`; the newest row has the state in force."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def append(self, time: int, author: str, action: str, reason: str, state: str) -> RolloutChangeRow:
        """Add a change and return it; `state` is JSON text."""
        for what, text in (("author", author), ("action", action), ("reason", reason)):
            reject_zero_characters(what, [text])
        with self._connection.transaction():
            cursor = self._connection.raw.execute(
                "INSERT INTO rollout_changes (time, author, action, reason, state) VALUES (?, ?, ?, ?, ?)",
                (time, author, action, reason, state),
            )
            self._connection.chain.add_one(CHANGES, (0, cursor.lastrowid, time, author, action, reason, state))
            return RolloutChangeRow(int(cursor.lastrowid or 0), time, author, action, reason, state)

    def latest_id(self) -> int:
        """Return the number of the newest change, 0 if there is none."""
        with self._connection.reading() as raw:
            return int(raw.execute("SELECT COALESCE(MAX(id), 0) FROM rollout_changes").fetchone()[0])

    def latest(self) -> RolloutChangeRow | None:
        """Return the newest change; None if there is none."""
        rows = self._select(_LATEST, ())
        return rows[0] if rows else None

    def get(self, number: int) -> RolloutChangeRow | None:
        """Return one change by its number; None if it is not there."""
        rows = self._select(_ONE, (number,))
        return rows[0] if rows else None

    def all(self) -> tuple[RolloutChangeRow, ...]:
        """Return all changes, oldest first."""
        return self._select(_ALL, ())

    def _select(self, query: str, values: tuple[int, ...]) -> tuple[RolloutChangeRow, ...]:
        with self._connection.reading() as raw:
            rows = raw.execute(query, values).fetchall()
        return tuple(RolloutChangeRow(*row) for row in rows)
