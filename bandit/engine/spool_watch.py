"""Folds spools while engines live: those of workers that have ended, and an idle engine's own."""

from __future__ import annotations

import contextlib
import threading
import time
from contextlib import AbstractContextManager
from functools import partial

from bandit.engine.threads import new_thread, start_thread, wait_for
from bandit.errors import OfferBanditError
from bandit.store import SpooledWriter, Store

SPOOL_LOOK_INTERVAL = 1.0
"""Seconds after which a decision, an event or learning looks again for spools of workers that have ended."""

SPOOL_RETRY_INTERVAL = 0.5
"""Seconds between two tries of the thread to fold the engine's own spool."""


class SpoolWatch:
    """Looks for spools beside the calls of one engine, and folds them in a thread that ends when nothing waits.

    A spool that is locked by a running process is left to it. `lock` is that of the engine, under which its own spool
    is folded, some lines at a time.
    """

    def __init__(self, store: Store, writer: SpooledWriter, lock: AbstractContextManager[object]) -> None:
        self._store, self._writer, self._lock = store, writer, lock
        self._next_look = 0.0
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()

    def poll(self) -> None:
        """Start the thread if there is something to fold; never raises. Called under the engine's lock."""
        due = time.monotonic() >= self._next_look
        if not (due or self._writer.spooled) or self._stop.is_set():
            return
        if self._thread is not None and self._thread.is_alive():
            return
        if due:
            self._next_look = time.monotonic() + SPOOL_LOOK_INTERVAL
        others = due and self._others_ended()
        if self._writer.spooled or others:
            self._thread = new_thread(partial(self._run, others), "spools")
            start_thread(self._thread)

    def begin_child(self) -> None:
        """Become the watch of a forked child, which has no thread and an empty spool."""
        self._thread, self._stop = None, threading.Event()

    def stop(self) -> None:
        """Let the thread end."""
        self._stop.set()

    def close(self) -> None:
        """Let the thread end, and wait for it."""
        self.stop()
        wait_for(self._thread)

    def _others_ended(self) -> bool:
        with contextlib.suppress(OSError):
            return self._writer.outage() is None and self._writer.others_ended()
        return False

    def _run(self, others: bool) -> None:
        with contextlib.suppress(OfferBanditError, OSError):  # an outage: the next look tries again
            if others:
                with self._store.another() as store:
                    store.fold_spools()
        while self._writer.spooled and not self._stop.wait(SPOOL_RETRY_INTERVAL):
            with self._lock:
                if not self._stop.is_set():
                    self._writer.fold_some()
