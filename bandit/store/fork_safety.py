"""What must be still when the process forks, and go on in parent and child."""

from __future__ import annotations

import os
import threading
import weakref
from typing import Protocol


class Forked(Protocol):
    """Something that a fork must find still: no other thread within, nothing open that two processes cannot share."""

    def before_fork(self) -> None:
        """Wait until no thread is within, and keep others out."""
        ...

    def after_fork(self, *, child: bool) -> None:
        """Let threads in again; in the child there is but one thread, and this is another than the parent's."""
        ...


_OUTER: weakref.WeakSet[Forked] = weakref.WeakSet()
_INNER: weakref.WeakSet[Forked] = weakref.WeakSet()
_ONE_AT_A_TIME = threading.Lock()
_HELD: list[Forked] = []


def watch(each: Forked, *, outer: bool) -> None:
    """Have it told of forks for as long as it lives; what is outer first, as it uses what is inner."""
    (_OUTER if outer else _INNER).add(each)


def _before() -> None:
    _ONE_AT_A_TIME.acquire()
    for each in (*list(_OUTER), *list(_INNER)):
        each.before_fork()
        _HELD.append(each)


def _after(*, child: bool) -> None:
    while _HELD:
        _HELD.pop().after_fork(child=child)
    _ONE_AT_A_TIME.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before, after_in_parent=lambda: _after(child=False), after_in_child=lambda: _after(child=True)
    )
