"""Turns of processes that write decisions with ids of the caller's: one looks for an id and writes it before the next.

A turn is a lock (flock) on the folder of the database. A process that spools such decisions has it alone while it looks
into the other spools and the database and appends its line; one that writes them to the database shares it from its
look into the spools to its commit. So of two processes that answer one id at the same moment, the second finds what the
first has written. Where the folder cannot be locked, or somebody keeps the lock, the turn is gone without after
`TURN_WAIT`.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from typing import TYPE_CHECKING

from bandit.store.holdings import HOLDINGS, forget

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from pathlib import Path

TURN_WAIT = 0.05
"""Most seconds that a turn is waited for: another one lasts as long as a line takes to be written."""

_PAUSE = 0.0005


class Turn:
    """A turn in one folder, from `take` to `release`; an exception that leaves a `HoldingScope` ends it, too."""

    __slots__ = ("_fd", "_folder")

    def __init__(self, folder: Path) -> None:
        self._folder = os.fspath(folder)
        self._fd: int | None = None

    def take(self, *, alone: bool) -> bool:
        """Wait for the turn, alone or shared with others who share it; False if it is not to be had."""
        self.release()  # it is taken again where a transaction is done again
        if sys.platform == "win32":
            return False
        HOLDINGS.taken.append(self)
        try:
            self._fd = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            return False
        deadline = time.monotonic() + TURN_WAIT
        while True:
            try:
                fcntl.flock(self._fd, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    return False
                time.sleep(_PAUSE)
            except OSError:
                return False
            else:
                return True

    def release(self) -> None:
        """Let the next one have its turn; does nothing without one."""
        fd = self._fd
        if fd is not None:
            if sys.platform != "win32":
                with contextlib.suppress(OSError):
                    # First, and also where a forked child has the descriptor, too: cut short after it, nothing is held.
                    fcntl.flock(fd, fcntl.LOCK_UN)
            self._fd = None
            os.close(fd)
        forget(self)

    give_up = release
