"""Taking decisions out of the log for good, with all that hangs on them, and leaving no byte of them in the file."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bandit.errors import StoreError
from bandit.store.learning.ledger import state_hash
from bandit.store.maintenance.copy import beside, unfinished
from bandit.store.maintenance.journal import UpkeepKind, record, runs
from bandit.store.spool.scrub import clean_refused, spools_with

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bandit.store.connection import Connection

_LIFT, _PENDING = "erasing", "scrub"
"""Rows of `meta`: the first lifts the guards within a transaction, the second says that the file is to be rewritten."""

_OF = {
    "customer": "SELECT seq FROM decisions WHERE customer_id = :value",
    "before": "SELECT seq FROM decisions WHERE time < :value",
}

_SETS = "SELECT DISTINCT eligible_set_id FROM decisions WHERE seq IN ({})"

# The batches that lose a decision and keep another: the generator of such a batch came from all of its ids, so that it
# cannot be drawn again, and its name is one of these ids.
_BREAK = """
UPDATE decisions SET seed = NULL, batch = NULL
WHERE batch IN (SELECT DISTINCT batch FROM decisions WHERE seq IN ({0}) AND policy_id IS NOT NULL)
    AND policy_id IS NOT NULL AND seq NOT IN ({0})
"""


@dataclass(frozen=True, slots=True)
class Doomed:
    """Which decisions go: those of one customer, by its number, or those made before a moment."""

    customer: int | None = None
    before: int | None = None

    @property
    def query(self) -> str:
        """The statement that selects their numbers, with one parameter, `value`."""
        return _OF["before" if self.customer is None else "customer"]

    @property
    def value(self) -> int:
        """The parameter of `query`."""
        return int((self.before if self.customer is None else self.customer) or 0)


@dataclass(frozen=True, slots=True)
class Restart:
    """A policy's states from a removal on.

    `seen` is the newest step when they were worked out, `state` the state of a step that follows it. The fold begins
    from `base`, which is the state of `base_step`; decisions made with a state before `decides_from` cannot be computed
    again. `first` replaces the state before anything was learned. A `state` of None makes the policy begin anew.
    """

    policy_id: int
    seen: int
    state: bytes | None
    base_step: int = 0
    base: bytes | None = None
    decides_from: int = 0
    first: bytes | None = None


@dataclass(frozen=True, slots=True)
class Removed:
    """How much was taken out."""

    decisions: int
    events: int
    customers: int


class Deletion:
    """Reads what a removal has to know, removes, and rewrites the file."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def customer_number(self, key: str) -> int | None:
        """Return the number of a customer as it is stored, None where there is none."""
        with self._connection.reading() as raw:
            row = raw.execute("SELECT id FROM customers WHERE key = ?", (key,)).fetchone()
        return None if row is None else int(row[0])

    def counted(self, doomed: Doomed) -> Removed:
        """Return how much a removal would take out."""
        with self._connection.reading() as raw:
            return _count(raw, doomed)

    def last_customer(self, doomed: Doomed) -> int:
        """Return the highest number of a customer among these decisions, 0 where there is none."""
        query = f"SELECT COALESCE(MAX(customer_id), 0) FROM decisions WHERE seq IN ({doomed.query})"  # noqa: S608
        with self._connection.reading() as raw:
            return int(raw.execute(query, {"value": doomed.value}).fetchone()[0])

    def last_learned_step(self, policy_id: int, doomed: Doomed) -> int | None:
        """Return the last step in which a policy learned one of these decisions, None where it learned none."""
        query = f"SELECT MAX(step) FROM learned WHERE policy_id = :policy AND seq IN ({doomed.query})"  # noqa: S608
        with self._connection.reading() as raw:
            row = raw.execute(query, {"policy": policy_id, "value": doomed.value}).fetchone()
        return None if row[0] is None else int(row[0])

    def states(self, policy_id: int) -> dict[int, bytes]:
        """Return all states that are kept of a policy, by step."""
        with self._connection.reading() as raw:
            rows = raw.execute("SELECT step, state FROM snapshots WHERE policy_id = ? ORDER BY step", (policy_id,))
            return dict(rows.fetchall())

    def leaving(self, before: int) -> frozenset[str]:
        """Return the customers, as they are stored, that have no decision at or after a moment."""
        with self._connection.reading() as raw:
            rows = raw.execute(
                "SELECT key FROM customers c WHERE NOT EXISTS "
                "(SELECT 1 FROM decisions d WHERE d.customer_id = c.id AND d.time >= ?)",
                (before,),
            )
            return frozenset(key for (key,) in rows)

    def remove(
        self, doomed: Doomed, restarts: Sequence[Restart], kind: UpkeepKind, details: Mapping[str, object]
    ) -> Removed:
        """Take decisions out in one transaction, with the policies' new states; StoreError where one learned since.

        What is freed is overwritten with zeros, and the file is marked for `scrub` to rewrite.
        """
        connection = self._connection
        with connection.lock, connection.plain_words():
            raw = connection.raw
            # To look up the children of each row that goes takes an index that nothing else needs; they go as well.
            raw.execute("PRAGMA foreign_keys = OFF")
            raw.execute("PRAGMA secure_delete = ON")
            try:
                with connection.transaction():
                    raw.execute("INSERT OR REPLACE INTO meta (name, value) VALUES (?, '1')", (_LIFT,))
                    removed = _remove_rows(raw, doomed)
                    for restart in restarts:
                        _restart(raw, restart, connection.path)
                    record(raw, kind, dict(details) | asdict(removed))
                    raw.execute("INSERT OR REPLACE INTO meta (name, value) VALUES (?, '1')", (_PENDING,))
                    raw.execute("DELETE FROM meta WHERE name = ?", (_LIFT,))
            finally:
                raw.execute("PRAGMA foreign_keys = ON")
            connection.forget()
        return removed

    def scrub_is_due(self) -> bool:
        """Say whether a removal ended before the file was rewritten."""
        with self._connection.reading() as raw:
            return raw.execute("SELECT 1 FROM meta WHERE name = ?", (_PENDING,)).fetchone() is not None

    def scrub(self, patience: float) -> None:
        """Rewrite the file and empty the write-ahead log, so that nothing removed is left in either.

        Others may read and write until the moment the log is emptied, for which all of them must have let go: waits
        for that up to `patience` seconds. StoreError where they do not; the mark stays for another `scrub`.
        """
        deadline = time.monotonic() + patience
        with self._connection.lock, self._connection.plain_words():
            raw = self._connection.raw

            def empty_log() -> None:
                if raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
                    raise sqlite3.OperationalError("database is locked")

            for work in (
                lambda: raw.execute("VACUUM"),
                empty_log,
                lambda: raw.execute("DELETE FROM meta WHERE name = ?", (_PENDING,)),
                empty_log,
            ):
                self._patiently(work, deadline)

    def copies(self) -> tuple[Path, ...]:
        """Return the known copies of the database that are still there: those of migrations, and recorded backups."""
        recorded = {Path(str(run.details.get("file"))) for run in runs(self._connection) if run.kind == "backup"}
        return tuple(sorted({*beside(self._connection.path), *(path for path in recorded if path.exists())}))

    def unfinished_copies(self) -> tuple[Path, ...]:
        """Return the copies of stores, beside the database or a recorded backup of it, whose making was ended early."""
        folders = {path.absolute().parent for path in (self._connection.path, *self.copies())}
        return tuple(sorted(path for folder in folders for path in unfinished(folder)))

    def decision_ids(self, doomed: Doomed) -> list[str]:
        """Return the ids of these decisions."""
        query = f"SELECT decision_id FROM decisions WHERE seq IN ({doomed.query})"  # noqa: S608
        with self._connection.reading() as raw:
            return [decision_id for (decision_id,) in raw.execute(query, {"value": doomed.value})]

    def spools_with(self, words: Sequence[str]) -> tuple[Path, ...]:
        """Return the spools in which one of these texts stands."""
        return spools_with(self._connection.path, words)

    def clean_refused(self, words: Sequence[str]) -> bool:
        """Take out of the lines that the database refused those in which one of these texts stands; say if any did."""
        with self._connection.transaction():  # whoever adds lines is in one
            return clean_refused(self._connection.path, words)

    def _patiently(self, work: Callable[[], object], deadline: float) -> None:
        while True:
            try:
                work()
            except sqlite3.OperationalError as fault:
                if "locked" not in str(fault):
                    raise
                if time.monotonic() > deadline:
                    raise StoreError(
                        f"{self._connection.path}: what was to go is out of the log, but others keep the file busy, so "
                        "that old bytes of it may still be there; give the command again when they are idle"
                    ) from fault
                time.sleep(0.02)
            else:
                return


def _count(raw: sqlite3.Connection, doomed: Doomed) -> Removed:
    row = raw.execute(
        f"SELECT (SELECT count(*) FROM ({doomed.query})), "  # noqa: S608 - put together of constants
        f"(SELECT count(*) FROM events WHERE seq IN ({doomed.query})), "
        f"(SELECT count(*) FROM (SELECT DISTINCT customer_id AS id FROM decisions WHERE seq IN ({doomed.query})) c "
        f"WHERE NOT EXISTS (SELECT 1 FROM decisions d WHERE d.customer_id = c.id AND d.seq NOT IN ({doomed.query})))",
        {"value": doomed.value},
    ).fetchone()
    return Removed(*row)


def _remove_rows(raw: sqlite3.Connection, doomed: Doomed) -> Removed:
    value = {"value": doomed.value}
    raw.execute(_BREAK.format(doomed.query), value)
    sets = {row[0] for row in raw.execute(_SETS.format(doomed.query), value)}
    for (policy_id,) in raw.execute("SELECT id FROM policies").fetchall():
        raw.execute(
            f"DELETE FROM learned WHERE policy_id = :policy AND seq IN ({doomed.query})",  # noqa: S608
            value | {"policy": policy_id},
        )
    n_events = raw.execute(f"DELETE FROM events WHERE seq IN ({doomed.query})", value).rowcount  # noqa: S608
    n_decisions = raw.execute(f"DELETE FROM decisions WHERE seq IN ({doomed.query})", value).rowcount  # noqa: S608
    n_customers = raw.execute(
        "DELETE FROM customers WHERE NOT EXISTS (SELECT 1 FROM decisions d WHERE d.customer_id = customers.id)"
    ).rowcount
    _remove_sets(raw, sets)
    return Removed(n_decisions, n_events, n_customers)


def _remove_sets(raw: sqlite3.Connection, sets: set[int]) -> None:
    """Take out the eligible sets that no decision has any more; never the last, whose number would be given again."""
    used = {row[0] for row in raw.execute("SELECT DISTINCT eligible_set_id FROM decisions")}
    last = raw.execute("SELECT COALESCE(MAX(id), 0) FROM eligible_sets").fetchone()[0]
    raw.executemany("DELETE FROM eligible_sets WHERE id = ?", [(number,) for number in sets - used - {last}])


def _restart(raw: sqlite3.Connection, restart: Restart, path: Path) -> None:
    policy, now = restart.policy_id, time.time_ns() // 1_000
    newest = raw.execute("SELECT MAX(step) FROM policy_steps WHERE policy_id = ?", (policy,)).fetchone()[0]
    if newest != restart.seen:
        raise StoreError(
            f"{path}: policy {policy} learned while its state was worked out anew, so nothing was removed; "
            "stop what learns, or give the command again"
        )
    if restart.state is None:
        for table in ("learned", "snapshots", "policy_steps", "learning_reach"):
            raw.execute(f"DELETE FROM {table} WHERE policy_id = ?", (policy,))  # noqa: S608 - one of four names
        raw.execute("UPDATE policies SET base_step = 0, decides_from = 0 WHERE id = ?", (policy,))
        return
    raw.execute(
        "UPDATE policy_steps SET n = (SELECT count(*) FROM learned l WHERE l.policy_id = policy_steps.policy_id AND "
        "l.step = policy_steps.step), state_hash = CASE WHEN step > 0 THEN '' ELSE state_hash END WHERE policy_id = ?",
        (policy,),
    )
    raw.execute("DELETE FROM snapshots WHERE policy_id = ? AND step > 0", (policy,))
    if restart.first is not None:
        _keep(raw, policy, 0, restart.first)
    if restart.base is not None and restart.base_step > 0:
        _keep(raw, policy, restart.base_step, restart.base)
    raw.execute(
        "INSERT INTO policy_steps (policy_id, step, n, state_hash, recorded_at) VALUES (?, ?, 0, '', ?)",
        (policy, restart.seen + 1, now),
    )
    _keep(raw, policy, restart.seen + 1, restart.state)
    raw.execute(
        "UPDATE policies SET base_step = ?, decides_from = ? WHERE id = ?",
        (restart.base_step, restart.decides_from, policy),
    )


def _keep(raw: sqlite3.Connection, policy_id: int, step: int, state: bytes) -> None:
    """Write a state and its hash."""
    raw.execute("INSERT OR REPLACE INTO snapshots (policy_id, step, state) VALUES (?, ?, ?)", (policy_id, step, state))
    raw.execute(
        "UPDATE policy_steps SET state_hash = ? WHERE policy_id = ? AND step = ?", (state_hash(state), policy_id, step)
    )
