"""The table `carried_policies`: which policies began with what another one had learned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from bandit.store.chain.kinds import POLICIES
from bandit.store.corruption import decoding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bandit.store.connection import Connection


@dataclass(frozen=True, slots=True)
class CarriedPolicyRow:
    """A policy that began with the belief that another had after a step; `time` in microseconds."""

    policy_id: int
    from_policy_id: int
    from_step: int
    time: int
    details: Mapping[str, object]


_COLUMNS = "SELECT policy_id, from_policy_id, from_step, time, details FROM carried_policies"
_ONE = f"{_COLUMNS} WHERE policy_id = ?"
_ALL = f"{_COLUMNS} ORDER BY policy_id"
_INSERT = "INSERT INTO carried_policies (policy_id, from_policy_id, from_step, time, details) VALUES (?, ?, ?, ?, ?)"


class CarriedPolicies:
    """Reads and writes the table `carried_policies`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, row: CarriedPolicyRow) -> None:
        """Insert a row."""
        text = msgspec.json.encode(row.details).decode()
        with self._connection.transaction():
            raw = self._connection.raw
            raw.execute(_INSERT, (row.policy_id, row.from_policy_id, row.from_step, row.time, text))
            self._connection.chain.add_stored(raw, POLICIES, row.policy_id)

    def of(self, policy_id: int) -> CarriedPolicyRow | None:
        """Return the row of a policy, None for one that began untrained."""
        with self._connection.reading() as raw:
            row = raw.execute(_ONE, (policy_id,)).fetchone()
        return None if row is None else self._row(*row)

    def all(self) -> tuple[CarriedPolicyRow, ...]:
        """Return all rows, by policy."""
        with self._connection.reading() as raw:
            rows = raw.execute(_ALL).fetchall()
        return tuple(self._row(*row) for row in rows)

    def _row(self, policy_id: int, from_policy_id: int, from_step: int, time: int, details: str) -> CarriedPolicyRow:
        with decoding(self._connection.path, f"what policy {policy_id} took over"):
            plain = msgspec.json.decode(details, type=dict[str, object])
        return CarriedPolicyRow(policy_id, from_policy_id, from_step, time, plain)
