"""The table of leases: a lease lets one owner at a time do a task, until it expires."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bandit.domain import MICROSECONDS
from bandit.store.holdings import HOLDINGS, forget
from bandit.store.process_identity import has_ended

if TYPE_CHECKING:
    from collections.abc import Callable

    from bandit.store.connection import Connection

LEASE_DURATION = 60 * MICROSECONDS
"""Microseconds until a lease expires unless it is renewed: far longer than a step of learning takes."""


def learning_lease(policy_id: int) -> str:
    """Return the name of the lease that is needed to change what a policy has learned.

    >>> learning_lease(3)
    'learn/3'
    """
    return f"learn/{policy_id}"


# A lease that ends more than two durations from now was written by a wrong clock, and counts as expired.
_TAKE = """
INSERT INTO leases (name, owner, until) VALUES (:name, :owner, :now + :duration)
ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, until = excluded.until
WHERE owner = excluded.owner OR until <= :now OR until > :now + 2 * :duration
"""

_HOLDER = "SELECT owner, until FROM leases WHERE name = ?"

_TAKE_FROM = "UPDATE leases SET owner = ?, until = ? WHERE name = ? AND owner = ?"

_RENEW = "UPDATE leases SET until = MAX(until, ?) WHERE name = ? AND owner = ?"


@dataclass(frozen=True, slots=True)
class LeaseRow:
    """A lease as stored: its name, its owner and when it expires (microseconds since 1970 UTC)."""

    name: str
    owner: str
    until: int


class Leases:
    """The table `leases`; `owner` is a text that is unique to one process or engine.

    Where it is one of `process_identity.owner_name`, a lease whose owner's process has ended is free at once.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def take(self, name: str, owner: str, now: int, duration: int = LEASE_DURATION) -> bool:
        """Take a lease that is free, expired or already the owner's, until `now + duration`; False if it is not."""
        with self._connection.transaction():
            raw = self._connection.raw
            values = {"name": name, "owner": owner, "now": now, "duration": duration}
            if raw.execute(_TAKE, values).rowcount == 1:
                return True
            holder = raw.execute(_HOLDER, (name,)).fetchone()[0]
            if not has_ended(holder):
                return False
            return raw.execute(_TAKE_FROM, (owner, now + duration, name, holder)).rowcount == 1

    def renew(self, name: str, owner: str, now: int, duration: int = LEASE_DURATION) -> bool:
        """Renew the owner's lease; False if another owner has taken it.

        Called inside the transaction that the lease is for, this is its fencing check: an owner that was suspended
        while another took over gets False, and rolls back. An expired lease that no other owner took is renewed.
        """
        with self._connection.transaction():
            return self._connection.raw.execute(_RENEW, (now + duration, name, owner)).rowcount == 1

    def is_free(self, name: str, owner: str, now: int, duration: int = LEASE_DURATION) -> bool:
        """Say whether `take` would succeed; inside a transaction, nobody takes it before the transaction ends."""
        with self._connection.reading() as raw:
            row = raw.execute(_HOLDER, (name,)).fetchone()
        if row is None or row[0] == owner or not now < row[1] <= now + 2 * duration:
            return True
        return has_ended(row[0])

    def release(self, name: str, owner: str) -> None:
        """Give up the owner's lease; nothing happens if another owner has it."""
        with self._connection.transaction():
            self._connection.raw.execute("DELETE FROM leases WHERE name = ? AND owner = ?", (name, owner))

    def all(self) -> tuple[LeaseRow, ...]:
        """Return all leases by name, also expired ones."""
        with self._connection.reading() as raw:
            return tuple(LeaseRow(*row) for row in raw.execute("SELECT name, owner, until FROM leases ORDER BY name"))

    def get(self, name: str) -> LeaseRow | None:
        """Return a lease, also an expired one; None if nobody has taken it."""
        with self._connection.reading() as raw:
            row = raw.execute("SELECT name, owner, until FROM leases WHERE name = ?", (name,)).fetchone()
        return None if row is None else LeaseRow(*row)


@dataclass(frozen=True, slots=True)
class Lease:
    """One lease from the view of one owner, with a clock of microseconds; a thread that took it holds it."""

    leases: Leases
    name: str
    owner: str
    clock: Callable[[], int]

    def take(self) -> bool:
        """Take it, and say whether that succeeded."""
        HOLDINGS.taken.append(self)
        taken = self.leases.take(self.name, self.owner, self.clock())
        if not taken:
            forget(self)
        return taken

    def is_free(self) -> bool:
        """Say whether `take` would succeed."""
        return self.leases.is_free(self.name, self.owner, self.clock())

    def renew(self) -> bool:
        """Renew it; False if another owner has taken it."""
        return self.leases.renew(self.name, self.owner, self.clock())

    def release(self) -> None:
        """Give it up."""
        self.leases.release(self.name, self.owner)
        forget(self)

    def give_up(self) -> None:
        """Give it up, also where it was not taken."""
        self.leases.release(self.name, self.owner)
