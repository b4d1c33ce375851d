"""Copies the write-ahead log into the database beside the decisions, which would else wait for the disk at times."""

from __future__ import annotations

import contextlib
import time

from bandit.engine.back_connection import BackConnection
from bandit.errors import OfferBanditError
from bandit.store import Store
from bandit.store.connection_setup import CHECKPOINT_BYTES

FIRST_PAUSE, LONGEST_PAUSE = 0.25, 30.0
"""Seconds between two checkpoints of one engine: at first, and at most."""


class CheckpointWatch(BackConnection):
    """Checkpoints the write-ahead log in a thread, on a connection of its own, about every `CHECKPOINT_BYTES` of it.

    SQLite does so at the commit that reaches that size, and that decision waits until the database is on the disk. Here
    the commits of decisions do so only at a multiple of that size, which is not reached while the thread keeps up. How
    much is in the log cannot be seen from outside, so the pause follows what was found in it: it is doubled where
    that was less than half of `CHECKPOINT_BYTES`, and halved where it was more than that. So engines in many processes
    share the work.
    """

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._pause = FIRST_PAUSE
        self._next = time.monotonic() + self._pause
        store.postpone_checkpoints()

    def poll(self) -> None:
        """If it is time to, and the log is large, start a checkpoint in a thread; never raises."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + self._pause
        if self._front.log_bytes() < CHECKPOINT_BYTES or self._is_running:
            return
        with contextlib.suppress(RuntimeError):  # no thread can be started: the commits do it
            self._start(self._run, "checkpoint")

    def _run(self) -> None:
        # What is not copied now is copied by the next checkpoint, or by a commit.
        with self._working, contextlib.suppress(OfferBanditError, OSError):
            if self.closed:
                return
            if self._back is None:
                self._back = self._front.another()
            found = self._back.checkpoint()
            if found < CHECKPOINT_BYTES // 2:
                self._pause = min(2.0 * self._pause, LONGEST_PAUSE)
            elif found > CHECKPOINT_BYTES:
                self._pause = max(0.5 * self._pause, FIRST_PAUSE)
