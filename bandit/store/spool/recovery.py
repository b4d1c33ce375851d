"""Folds spools into the database, in the order of their lines, each line whole and exactly once.

How far a spool was folded is stored in the transaction that folds it. A line that the database refuses (the id of a
decision that is stored with other content, an event of an unknown decision) is kept, with the reason, in a file of its
own.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import msgspec

from bandit.catalogue.fact_hash import FactHash
from bandit.errors import InputError, StoreError, UnknownDecisionError
from bandit.store.maintenance.rekey_facts import rehashed_contexts
from bandit.store.spool.elsewhere import OtherSpools
from bandit.store.spool.file import abandoned_spool, keep_refused, spools
from bandit.store.spool.records import SpooledDecisions, read_spooled
from bandit.store.sqlite_errors import is_outage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from bandit.store.connection import Connection
    from bandit.store.records import DecisionRows, EventReceipt, EventRows
    from bandit.store.spool.file import SpoolLine
    from bandit.store.tables.decision_writer import DecisionWriter
    from bandit.store.tables.event_writer import EventWriter

LINES_PER_FOLD = 256
"""Lines of a spool that one transaction folds: it delays the write before it by some milliseconds."""

_META_PREFIX = "spool/"


@dataclass(frozen=True, slots=True)
class FoldReport:
    """Numbers of lines folded and refused, and of spools left alone: of running processes, or locked by others."""

    lines: int = 0
    refused: int = 0
    left: int = 0


class SpoolRecovery:
    """Folds lines of spools into one database."""

    def __init__(
        self,
        connection: Connection,
        decisions: DecisionWriter,
        events: EventWriter,
        own: Callable[[], Path | None] | None = None,
    ) -> None:
        """`own` returns the path of the caller's spool, None while there is none."""
        self._connection = connection
        self._decisions = decisions
        self._events = events
        self.others = OtherSpools(connection.path, own or (lambda: None))

    def append_events(self, rows: EventRows, *, correct: bool) -> EventReceipt:
        """Write events; decisions that wait in the spools of other writers are written first if they are named.

        A spool itself is left to its writer, which finds these decisions written when it folds.
        """
        try:
            return self._events.append(rows, correct=correct)
        except UnknownDecisionError:
            self.fetch(rows.decision_ids or ())
        return self._events.append(rows, correct=correct)

    def fetch(self, decision_ids: Sequence[str]) -> None:
        """Write the batches with these decisions that are in other spools; a decision in none may be folded by now."""
        fetched: set[str] = set()
        for decision_id in decision_ids if self.others.paths() else ():
            found = None if decision_id in fetched else self.others.find(decision_id)
            if found is not None:
                fetched.update(found[0].decision_ids)
                with contextlib.suppress(InputError):  # its writer's fold says what is wrong with it
                    self._decisions.append(self.under_present_keys(found[0]))

    def fetch_all(self) -> None:
        """Write all decisions that are in other spools, and leave the spools to their writers."""
        for rows in self.others.all():
            with contextlib.suppress(InputError):
                self._decisions.append(self.under_present_keys(rows))

    def fold_abandoned(self) -> FoldReport:
        """Fold the spools of ended processes, and delete them; StoreError if the database cannot be written."""
        lines = refused = left = 0
        for path in spools(self._connection.path):
            with abandoned_spool(path) as spool:
                if spool is None:
                    left += path.exists()
                    continue
                try:
                    while True:
                        part, done = self.fold(spool.token, spool.read)
                        lines, refused = lines + part.lines, refused + part.refused
                        if done:
                            break
                    path.unlink(missing_ok=True)
                except OSError:  # one that cannot be read or deleted does not stop the others
                    left += 1
                    continue
                self.forget(spool.token)
        return FoldReport(lines, refused, left)

    def has_abandoned(self) -> bool:
        """Say whether there is a spool whose writer has ended."""
        for path in self.others.paths():
            with abandoned_spool(path) as spool:
                if spool is not None:
                    return True
        return False

    def fold(self, token: str, read: Callable[[int], Iterator[SpoolLine]]) -> tuple[FoldReport, bool]:
        """Fold the next lines of a spool in one transaction, and say whether its end was reached."""
        lines = refused = 0
        done = True
        with self._connection.transaction():
            raw = self._connection.raw
            row = raw.execute("SELECT value FROM meta WHERE name = ?", (_META_PREFIX + token,)).fetchone()
            start = end = 0 if row is None else int(row[0])
            for line in read(start):
                if lines == LINES_PER_FOLD:
                    done = False
                    break
                reason = self._write(line)
                if reason is not None:
                    refused += 1
                    keep_refused(self._connection.path, line.text, reason)
                lines, end = lines + 1, line.end
            if end != start:
                raw.execute(
                    "INSERT INTO meta (name, value) VALUES (?, ?) "
                    "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                    (_META_PREFIX + token, str(end)),
                )
        return FoldReport(lines, refused), done

    def forget(self, token: str) -> None:
        """Delete the stored offset of a spool that was deleted."""
        with self._connection.transaction():
            self._connection.raw.execute("DELETE FROM meta WHERE name = ?", (_META_PREFIX + token,))

    def under_present_keys(self, rows: DecisionRows) -> DecisionRows:
        """Return decisions whose hashed facts, if they were made before a rotation of the key, are as they are now."""
        customers = self._decisions.customers
        n_keys = customers.n_keys_of(rows.key_check)
        if n_keys is None or n_keys == len(customers.hash.keys):
            return rows
        present = FactHash(customers.hash.keys)
        with self._connection.reading() as raw:
            contexts = rehashed_contexts(raw, rows.catalogue_id, rows.contexts_json, n_keys, present)
        return replace(rows, contexts_json=contexts)

    def _write(self, line: SpoolLine) -> str | None:
        """Write the content of a line inside the caller's transaction; return the reason if it is refused."""
        try:
            content = read_spooled(line.record)
        except msgspec.ValidationError as fault:
            return f"the line is damaged: {fault}"
        try:
            if isinstance(content, SpooledDecisions):
                self._decisions.append(self.under_present_keys(content.rows()))
            else:
                self.append_events(content.rows(), correct=content.correct)
        except (InputError, ValueError, LookupError, TypeError, OverflowError) as fault:
            return str(fault)
        except StoreError as fault:
            if is_outage(fault):
                raise
            return str(fault)
        return None
