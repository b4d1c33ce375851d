"""Processes of the disturbed soak that keep the database up, hold its locks, or move and replace its file."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import sqlite3
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import numpy as np

from bandit.errors import OfferBanditError
from bandit.governance.erasure import erase
from bandit.governance.retention import retain
from bandit.governance.verify import verify
from bandit.store import Store
from simulator.bench.durability.disturbed.decider import shared_lock
from simulator.bench.durability.disturbed.notes import NoteWriter
from simulator.bench.durability.disturbed.settings import (
    DISTURBANCES,
    GUEST_REST,
    GUEST_SECONDS,
    OPENING_LOCK,
    RETAINED_SECONDS,
    SoakSettings,
)
from simulator.bench.engines import BENCH_KEY

ERASE_TRIES = 20
MOVE_PATIENCE = 60
"""Seconds that a move waits for upkeep and for engines that open."""

LONG_READ_SECONDS = 40.0


class Upkeep:
    """Erases, retains, backs up and verifies in turn, each in its own time."""

    def __init__(self, settings: SoakSettings, life: int) -> None:
        self.settings = settings
        self.rng = np.random.default_rng([settings.seed, 10_000, life])
        self.notes = NoteWriter(settings.notes, f"upkeep.{life}")
        self.unerased = int(time.time()) // GUEST_SECONDS - GUEST_REST
        self.backups = life * 1_000

    def run(self) -> NoReturn:
        """Work until killed."""
        warnings.simplefilter("ignore")
        tasks: dict[str, Callable[[Store], None]] = {
            "erase": self._erase,
            "retain": self._retain,
            "backup": self._backup,
            "verify": self._verify,
        }
        tasks = {name: task for name, task in tasks.items() if name in self.settings.activities}
        due = {name: time.monotonic() + self.rng.uniform(0.3, 1.0) * DISTURBANCES[name] for name in tasks}
        while True:
            time.sleep(0.5)
            for name, task in tasks.items():
                if time.monotonic() < due[name]:
                    continue
                due[name] = time.monotonic() + self.rng.exponential(DISTURBANCES[name])
                try:
                    with shared_lock(self.settings), self._store() as store:
                        self.notes.write("happened", event=name)
                        task(store)
                except OfferBanditError as fault:
                    self.notes.write("refused", sentence=f"{type(fault).__name__}: {fault}", during=name)
                except Exception:  # noqa: BLE001 - whatever it is, it is reported
                    self.notes.write("fault", text=traceback.format_exc(limit=-6))

    def _store(self) -> Store:
        return Store.open(self.settings.path, customer_key=BENCH_KEY)

    def _erase(self, store: Store) -> None:
        """Erase the customers of past periods, again while a running process's spool has something of them."""
        while self.unerased < int(time.time()) // GUEST_SECONDS - GUEST_REST:
            customer = f"guest-{self.unerased}"
            key = store.customers.stored(customer)
            if store.deletion.customer_number(key) is not None:
                self.notes.write("erasing", customer=customer)
                for _ in range(ERASE_TRIES):
                    found = erase(store, customer)
                    if not found.spools:
                        break
                    time.sleep(1.0)
                self.notes.write("erased", customer=customer, key=key, spools=len(found.spools))
            self.unerased += 1

    def _retain(self, store: Store) -> None:
        before = time.time_ns() // 1_000 - RETAINED_SECONDS * 1_000_000
        self.notes.write("retaining", before=before)
        found = retain(store, before)
        self.notes.write("retained", before=before, decisions=found.decisions)

    def _backup(self, store: Store) -> None:
        self.backups += 1
        target = self.settings.folder / "backups" / f"backup-{self.backups}.db"
        begun = time.time()
        store.backup(target)
        self.notes.write("backed up", path=str(target), begun=begun)

    def _verify(self, store: Store) -> None:
        for problem in verify(store).problems[:3]:
            self.notes.write("problem", sentence=f"verify beside writers: {problem}")


def hold_locks(settings: SoakSettings, life: int) -> NoReturn:
    """Hold the database's lock, or one state of it, for some time, by plain sqlite3."""
    rng = np.random.default_rng([settings.seed, 20_000, life])
    notes = NoteWriter(settings.notes, f"locks.{life}")
    while True:
        time.sleep(rng.exponential(DISTURBANCES["locks"]))
        with contextlib.suppress(sqlite3.Error), shared_lock(settings):
            raw = sqlite3.connect(settings.path, timeout=5.0, isolation_level=None)
            with contextlib.closing(raw):
                notes.write("happened", event="locks")
                kind = rng.integers(4)
                if kind == 0:
                    raw.execute("PRAGMA locking_mode = EXCLUSIVE")
                raw.execute("BEGIN" if kind == 1 else "BEGIN IMMEDIATE")
                raw.execute("SELECT count(*) FROM meta").fetchone()
                time.sleep(rng.exponential(LONG_READ_SECONDS / 4 if kind == 1 else 1.5))
                raw.execute("ROLLBACK")


def move_database(settings: SoakSettings, number: int, *, replace: bool) -> NoReturn:
    """Move the file away and back, or put a copy in its place as restoring a backup does, while engines serve.

    Nobody opens the database meanwhile. The copy is made under the database's lock, so that nothing can be acknowledged
    into the file after it is copied.
    """
    path, away = settings.path, settings.folder / "away" / f"{number}.db"
    notes = NoteWriter(settings.notes, f"mover.{number}")
    signal.alarm(MOVE_PATIENCE)  # ends this process, before anything is moved
    try:
        with (settings.folder / OPENING_LOCK).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            signal.alarm(0)
            notes.write("happened", event="replaced" if replace else "moved")
            if not replace:
                path.rename(away)
                time.sleep(np.random.default_rng([settings.seed, number]).uniform(0.2, 2.0))
                if path.exists():
                    notes.write("problem", sentence="an engine made another database where its file was moved away")
                away.rename(path)
            else:
                _restore_copy(path, away)
    except Exception:  # noqa: BLE001 - whatever it is, it is reported
        notes.write("fault", text=traceback.format_exc(limit=-6))
    finally:
        os._exit(0)


def _restore_copy(path: Path, away: Path) -> None:
    copy = path.with_name("copy.db")
    raw = sqlite3.connect(path, timeout=20.0, isolation_level=None)
    raw.execute("BEGIN IMMEDIATE")
    with contextlib.closing(sqlite3.connect(path)) as source, contextlib.closing(sqlite3.connect(copy)) as target:
        source.backup(target)
        target.execute("PRAGMA journal_mode = DELETE")
    for suffix in ("", "-wal", "-shm"):
        beside = path.with_name(path.name + suffix)
        if beside.exists():
            beside.rename(away.with_name(away.name + suffix))
    copy.rename(path)
    raw.execute("ROLLBACK")
    # Closing would truncate a log by the name that the new database may have by now.
    os._exit(0)
