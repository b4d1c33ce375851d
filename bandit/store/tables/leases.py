"""Leases: who may do what only one may do at a time, and until when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bandit.domain import MICROSECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from bandit.store.connection import Connection

LENGTH = 60 * MICROSECONDS
"""How long a lease lasts unless it is renewed, in microseconds: far longer than a step of learning takes."""


def learner(policy_id: int) -> str:
    """Return the name of the lease that whoever learns a policy has, or takes away what it learned."""
    return f"learn/{policy_id}"


# One that ends later than any honest one does is of a clock that was wrong; it would never run out.
_TAKE = """
INSERT INTO leases (name, owner, until) VALUES (:name, :owner, :now + :length)
ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, until = excluded.until
WHERE owner = excluded.owner OR until <= :now OR until > :now + 2 * :length
"""

_RENEW = "UPDATE leases SET until = MAX(until, ?) WHERE name = ? AND owner = ?"


@dataclass(frozen=True, slots=True)
class Held:
    """A lease as it is in the store: its name, who has it, and until when (microseconds)."""

    name: str
    owner: str
    until: int


class Leases:
    """The table `leases`; `owner` is a text that no other process or engine has."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def take(self, name: str, owner: str, now: int, length: int = LENGTH) -> bool:
        """Take a lease that is free, has run out or is one's own, until `now + length`; say whether it was had."""
        with self._connection.transaction():
            cursor = self._connection.raw.execute(_TAKE, {"name": name, "owner": owner, "now": now, "length": length})
            return cursor.rowcount == 1

    def renew(self, name: str, owner: str, now: int, length: int = LENGTH) -> bool:
        """Renew one's own lease and say whether it still was one's own.

        Within the transaction that writes what the lease is for, this is the fence: whoever was suspended until
        another had taken over learns of it here, and takes its transaction back. A lease that has run out and that
        nobody took is still one's own.
        """
        with self._connection.transaction():
            return self._connection.raw.execute(_RENEW, (now + length, name, owner)).rowcount == 1

    def release(self, name: str, owner: str) -> None:
        """Give one's own lease back; nothing happens where another has it."""
        with self._connection.transaction():
            self._connection.raw.execute("DELETE FROM leases WHERE name = ? AND owner = ?", (name, owner))

    def held(self, name: str) -> Held | None:
        """Return a lease, None where nobody has taken it; it may have run out."""
        with self._connection.reading() as raw:
            row = raw.execute("SELECT name, owner, until FROM leases WHERE name = ?", (name,)).fetchone()
        return None if row is None else Held(*row)


@dataclass(frozen=True, slots=True)
class Lease:
    """One owner's wish for one lease, by a clock of microseconds."""

    leases: Leases
    name: str
    owner: str
    clock: Callable[[], int]

    def take(self) -> bool:
        """Take it if it can be had."""
        return self.leases.take(self.name, self.owner, self.clock())

    def renew(self) -> bool:
        """Renew it, and say whether it still was one's own."""
        return self.leases.renew(self.name, self.owner, self.clock())

    def release(self) -> None:
        """Give it back."""
        self.leases.release(self.name, self.owner)
