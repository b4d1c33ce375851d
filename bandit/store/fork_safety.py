"""Keeps registered objects safe over a fork: each waits for its threads before it, and goes on in parent and child."""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from typing import Protocol


class ForkAware(Protocol):
    """An object that no other thread may use during a fork, and that two processes cannot share."""

    def before_fork(self) -> None:
        """Wait until no thread uses the object, and keep threads out."""
        ...

    def after_fork(self, *, child: bool) -> None:
        """Let threads in again; a child has only one thread, which is not the one that called `before_fork`."""
        ...


_OUTER: weakref.WeakSet[ForkAware] = weakref.WeakSet()
_INNER: weakref.WeakSet[ForkAware] = weakref.WeakSet()
_FORK_LOCK = threading.Lock()

OPENING = threading.RLock()
"""Held while a database is opened, or its file is looked into: one at a time in a process.

Closing any descriptor of a file releases all locks that its process has on it (POSIX), so that a look at the file of a
connection that another thread opens at that moment would leave SQLite without its locks, and others could take the
write-ahead log away from under it. No connection's lock may be waited for inside.
"""
_WAITING: list[ForkAware] = []


def register_for_fork(each: ForkAware, *, outer: bool) -> None:
    """Call the object's hooks at each fork while it lives; outer objects come first, as they use inner ones."""
    (_OUTER if outer else _INNER).add(each)


def _before() -> None:
    _FORK_LOCK.acquire()
    for each in (*list(_OUTER), *list(_INNER)):
        _WAITING.append(each)  # first, so that it is let go of even where an exception cuts `before_fork` short
        each.before_fork()
    OPENING.acquire()  # last, as connections are opened under their own locks


def _after(*, child: bool) -> None:
    with contextlib.suppress(RuntimeError):  # an exception cut `_before` short
        OPENING.release()
    try:
        while _WAITING:
            _let_go(_WAITING.pop(), child=child)
    finally:
        # The interpreter only prints an exception of a hook and goes on, so the others must not be left waiting.
        while _WAITING:
            _let_go(_WAITING.pop(), child=child)
        _FORK_LOCK.release()


def _let_go(each: ForkAware, *, child: bool) -> None:
    with contextlib.suppress(RuntimeError):  # a lock that `before_fork` did not come to take
        each.after_fork(child=child)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before, after_in_parent=lambda: _after(child=False), after_in_child=lambda: _after(child=True)
    )
