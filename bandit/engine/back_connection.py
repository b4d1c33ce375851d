"""Work beside the decisions: one thread at a time, on a connection of its own that is opened when it is needed."""

from __future__ import annotations

import threading
from collections.abc import Callable

from bandit.engine.threads import new_thread, start_thread, wait_for
from bandit.store import Store


class BackConnection:
    """The thread and the connection of what an engine does beside its decisions; the base of its watches.

    `_working` is held while the connection `_back` is used.
    """

    def __init__(self, store: Store) -> None:
        self._front = store
        self._back: Store | None = None
        self._working = threading.Lock()
        self._thread: threading.Thread | None = None
        self.closed = False

    def close(self) -> None:
        """Wait for the thread and close the connection."""
        self.closed = True
        wait_for(self._thread)
        with self._working:
            if self._back is not None:
                self._back.close()

    def begin_child(self) -> None:
        """Become that of a forked child: it has no thread yet, and its lock is free."""
        self._working = threading.Lock()
        self._thread = None

    @property
    def _is_running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _start(self, work: Callable[[], None], name: str) -> None:
        """Start the thread; RuntimeError where none can be started."""
        self._thread = new_thread(work, name)
        start_thread(self._thread)
