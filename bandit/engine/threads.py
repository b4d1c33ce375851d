"""Starting the threads of an engine, which ends in the caller's own exception where a signal handler raises one."""

from __future__ import annotations

import threading
from collections.abc import Callable


def new_thread(work: Callable[[], None], name: str) -> threading.Thread:
    """Return a thread that does not keep its process alive; `name` is what it does."""
    return threading.Thread(target=work, name=f"offer-bandit {name}", daemon=True)


def start_thread(thread: threading.Thread) -> None:
    """Start a thread; RuntimeError where none can be started.

    Where an exception of a signal handler ends `Thread.start` after the thread has begun, Python (3.11 and 3.12) raises
    a KeyError of its own bookkeeping in its place.
    """
    try:
        thread.start()
    except KeyError as fault:
        if fault.__context__ is None:
            raise
        raise fault.__context__ from None


def wait_for(thread: threading.Thread | None) -> None:
    """Wait until a thread ends, unless it is the caller's own or was not started, as an exception came first."""
    if thread is not None and thread is not threading.current_thread() and thread.ident is not None:
        thread.join()
