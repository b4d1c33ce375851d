"""Deletes decisions from a store, rewrites the file so that none of their bytes is left, and finds copies of them."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from bandit.errors import StoreError
from bandit.store.chain.deletion import DeletedPlaces
from bandit.store.file_identity import kept_descriptor
from bandit.store.maintenance.copy import beside, unfinished
from bandit.store.maintenance.delete_rows import (
    DeletionCounts,
    DeletionTarget,
    StateReplacement,
    count,
    delete_rows,
    replace_states,
)
from bandit.store.maintenance.journal import JournalKind, record, runs
from bandit.store.maintenance.unused_bytes import UnknownLayoutError, free_share, wipe_unused
from bandit.store.spool.file import REFUSED, spools
from bandit.store.spool.scrub import remove_refused, spools_with

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bandit.domain import Progress
    from bandit.store.connection import Connection

LIFT_GUARDS, SCRUB_DUE = "erasing", "scrub"
"""Rows of `meta`: the first lifts the guards inside a transaction, the second says that the file is to be rewritten."""


SMALL_BYTES = 32 << 20
"""Size of a file up to which it is rewritten to leave no deleted byte in it: that takes a second."""

MOST_FREE = 0.25
"""Share of free pages above which a file is rewritten, which makes it smaller."""

_SCRUBBED = "DELETE FROM meta WHERE name = ?"


class Deletion:
    """Deletions from one store: their preparation, the deletion itself, and the rewriting of the file."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def customer_number(self, key: str) -> int | None:
        """Return the number of a customer given in stored form, None if it is unknown."""
        with self._connection.reading() as raw:
            row = raw.execute("SELECT id FROM customers WHERE key = ?", (key,)).fetchone()
        return None if row is None else int(row[0])

    def count(self, target: DeletionTarget) -> DeletionCounts:
        """Return how many rows a deletion would delete."""
        with self._connection.reading() as raw:
            return count(raw, target)

    def last_customer(self, target: DeletionTarget) -> int:
        """Return the highest customer number among these decisions, 0 without any."""
        query = f"SELECT COALESCE(MAX(customer_id), 0) FROM decisions WHERE seq IN ({target.query})"  # noqa: S608
        with self._connection.reading() as raw:
            return int(raw.execute(query, {"value": target.value}).fetchone()[0])

    def first_learned_step(self, policy_id: int, target: DeletionTarget) -> int | None:
        """Return the first step in which a policy learned one of these decisions, None if it learned none of them."""
        return self._learned_step("MIN", policy_id, target)

    def last_learned_step(self, policy_id: int, target: DeletionTarget) -> int | None:
        """Return the last step in which a policy learned one of these decisions, None if it learned none of them."""
        return self._learned_step("MAX", policy_id, target)

    def _learned_step(self, which: str, policy_id: int, target: DeletionTarget) -> int | None:
        query = f"SELECT {which}(step) FROM learned WHERE policy_id = :policy AND seq IN ({target.query})"  # noqa: S608
        with self._connection.reading() as raw:
            row = raw.execute(query, {"policy": policy_id, "value": target.value}).fetchone()
        return None if row[0] is None else int(row[0])

    def states(self, policy_id: int) -> dict[int, bytes]:
        """Return all snapshots of a policy, by step."""
        with self._connection.reading() as raw:
            rows = raw.execute("SELECT step, state FROM snapshots WHERE policy_id = ? ORDER BY step", (policy_id,))
            return dict(rows.fetchall())

    def customers_without_decisions_since(self, time: int) -> frozenset[str]:
        """Return the customers, in stored form, that have no decision at or after this time."""
        with self._connection.reading() as raw:
            rows = raw.execute(
                "SELECT key FROM customers c WHERE NOT EXISTS "
                "(SELECT 1 FROM decisions d WHERE d.customer_id = c.id AND d.time >= ?)",
                (time,),
            )
            return frozenset(key for (key,) in rows)

    def delete(
        self,
        target: DeletionTarget,
        replacements: Sequence[StateReplacement],
        kind: JournalKind,
        details: Mapping[str, object],
    ) -> DeletionCounts:
        """Delete decisions and replace policy states in one transaction; StoreError if a policy has learned since.

        Freed space is overwritten with zeros, and the file is marked for `scrub`.
        """
        connection = self._connection
        # Checking the references to deleted rows needs an index that nothing else uses; those rows go as well.
        with connection.without_foreign_keys():
            raw = connection.raw
            raw.execute("PRAGMA secure_delete = ON")
            with connection.transaction():
                raw.execute("INSERT OR REPLACE INTO meta (name, value) VALUES (?, '1')", (LIFT_GUARDS,))
                places = DeletedPlaces()
                removed = delete_rows(raw, target, places)
                for replacement in replacements:
                    replace_states(raw, replacement, connection.path, places)
                digest, links = places.digest(raw)
                said = dict(details) | asdict(removed) | ({"places": digest} if links else {})
                places.mark(raw, links, record(raw, connection.chain, kind, said))
                places.add_again(raw, connection.chain)
                raw.execute("INSERT OR REPLACE INTO meta (name, value) VALUES (?, '1')", (SCRUB_DUE,))
                raw.execute("DELETE FROM meta WHERE name = ?", (LIFT_GUARDS,))
                connection.clear_caches()  # other threads, which could fill them again, are kept out
        return removed

    def scrub_is_due(self) -> bool:
        """Say whether a deletion was interrupted before the file was rewritten."""
        with self._connection.reading() as raw:
            return raw.execute("SELECT 1 FROM meta WHERE name = ?", (SCRUB_DUE,)).fetchone() is not None

    def scrub(self, timeout: float, progress: Progress | None = None) -> None:
        """Leave no deleted byte in the file, and truncate the write-ahead log.

        In a large file the unused bytes are set to zero (`unused_bytes`), which reads it once and writes what was not
        zero; a small one, and one with much free space, is rewritten, which gives the space back. Others may read
        meanwhile, and write before and after. The log can be truncated only when no transaction is open: waits up to
        `timeout` seconds for that, then StoreError, and the mark stays for another `scrub`. `progress` is called with
        bytes done and in all.
        """
        deadline = time.monotonic() + timeout
        with self._connection.exclusive():
            if self._wipe_in_place(deadline, progress):
                return
            raw = self._connection.raw
            for work in (
                lambda: raw.execute("VACUUM"),
                self._empty_log,
                lambda: raw.execute(_SCRUBBED, (SCRUB_DUE,)),
                self._empty_log,
            ):
                self._retry_while_locked(work, deadline)

    def _empty_log(self) -> None:
        """Copy the write-ahead log to the file and truncate it; OperationalError while a transaction is open."""
        if self._connection.raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
            raise sqlite3.OperationalError("database is locked")

    def _wipe_in_place(self, deadline: float, progress: Progress | None) -> bool:
        """Set the unused bytes of the file to zero; False where it is to be rewritten instead."""
        path = self._connection.path
        fd = kept_descriptor(path, os.O_RDWR)
        if os.fstat(fd).st_size < SMALL_BYTES or free_share(fd) > MOST_FREE:
            return False
        # Another connection, which has read no page before: a page that it writes is as the file has it by then.
        with closing(sqlite3.connect(path, isolation_level=None, timeout=0.0)) as other:
            other.execute("PRAGMA secure_delete = ON")

            def wipe() -> None:
                self._empty_log()
                other.execute("BEGIN IMMEDIATE")
                try:
                    log = path.with_name(path.name + "-wal")
                    if log.exists() and log.stat().st_size:  # written between the two
                        raise sqlite3.OperationalError("database is locked")
                    if not os.path.samestat(path.stat(), os.fstat(fd)):
                        raise UnknownLayoutError("it is another file")
                    wipe_unused(fd, progress)
                    # With this commit all connections give up the pages that they remember, and with them old bytes.
                    other.execute(_SCRUBBED, (SCRUB_DUE,))
                    other.execute("COMMIT")
                finally:
                    if other.in_transaction:
                        other.execute("ROLLBACK")

            try:
                self._retry_while_locked(wipe, deadline)
            except UnknownLayoutError:
                return False
        self._retry_while_locked(self._empty_log, deadline)
        return True

    def copies(self) -> tuple[Path, ...]:
        """Return the existing copies of the database: those made by migrations and the backups in the journal."""
        recorded = {Path(str(run.details.get("file"))) for run in runs(self._connection) if run.kind == "backup"}
        return tuple(sorted({*beside(self._connection.path), *(path for path in recorded if path.exists())}))

    def unfinished_copies(self) -> tuple[Path, ...]:
        """Return the unfinished copies of stores beside the database and beside its recorded backups."""
        folders = {path.absolute().parent for path in (self._connection.path, *self.copies())}
        return tuple(sorted(path for folder in folders for path in unfinished(folder)))

    def decision_ids(self, target: DeletionTarget) -> list[str]:
        """Return the ids of these decisions and of their repeats."""
        with self._connection.reading() as raw:
            return [
                decision_id
                for table in ("decisions", "repeats")
                for (decision_id,) in raw.execute(
                    f"SELECT decision_id FROM {table} WHERE seq IN ({target.query})",  # noqa: S608 - constants
                    {"value": target.value},
                )
            ]

    def spools_with(self, texts: Sequence[str]) -> tuple[Path, ...]:
        """Return the spools that contain one of these texts."""
        return spools_with(self._connection.path, texts)

    def spools(self) -> tuple[Path, ...]:
        """Return the spools beside the database, and the file of refused lines."""
        refused = self._connection.path.with_name(self._connection.path.name + REFUSED)
        return (*spools(self._connection.path), *((refused,) if refused.exists() else ()))

    def remove_refused(self, texts: Sequence[str]) -> bool:
        """Remove the refused spool lines that contain one of these texts, and say whether there were any."""
        with self._connection.transaction():  # lines are added inside a transaction, so none is meanwhile
            return remove_refused(self._connection.path, texts)

    def _retry_while_locked(self, work: Callable[[], object], deadline: float) -> None:
        while True:
            try:
                work()
            except sqlite3.OperationalError as fault:
                if "locked" not in str(fault):
                    raise
                if time.monotonic() > deadline:
                    raise StoreError(
                        f"{self._connection.path}: the decisions are deleted, but other processes keep the file busy, "
                        "so that old bytes may still be in it; give the command again when they are idle"
                    ) from fault
                time.sleep(0.02)
            else:
                return
