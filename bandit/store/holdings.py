"""What each thread holds (transactions, locks, leases), so that an exception at any line lets go of all of it.

The handler of a signal may raise at any line, also in the `finally` or the `__exit__` that was to end a transaction.
So what is held is noted, too, in a list of the thread, and each public call that writes is wrapped: if it ends by an
exception, whatever it has taken and not given back is given up on its way out.
"""

from __future__ import annotations

import contextlib
import threading
from contextlib import AbstractContextManager
from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

P = ParamSpec("P")
R = TypeVar("R")


class Holding(Protocol):
    """Something that a thread holds for the duration of a call."""

    def give_up(self) -> None:
        """Undo what is unfinished and let go; does nothing where that has been done."""
        ...


class _Holdings(threading.local):
    """The holdings of one thread, in the order in which it took them."""

    def __init__(self) -> None:
        self.taken: list[Holding] = []


HOLDINGS = _Holdings()
"""The holdings of the present thread."""


def forget(holding: Holding) -> None:
    """Take a holding off the list of the thread; does nothing where it is not there."""
    taken = HOLDINGS.taken
    if taken and taken[-1] is holding:
        del taken[-1]
        return
    for place in range(len(taken) - 1, -1, -1):  # a generator may end later than what was begun after it
        if taken[place] is holding:
            del taken[place]
            return


def give_up_from(n: int) -> None:
    """Give up all but the first n holdings of the thread, the newest first."""
    taken = HOLDINGS.taken
    while len(taken) > n:
        newest = taken[-1]
        with contextlib.suppress(Exception):  # the exception that led here is the one to be seen
            newest.give_up()
        forget(newest)


def give_up_after(holding: Holding) -> None:
    """Give up what the thread has taken after a holding that it still has."""
    taken = HOLDINGS.taken
    for place in range(len(taken) - 1, -1, -1):
        if taken[place] is holding:
            give_up_from(place + 1)
            return


class HoldingScope(AbstractContextManager[None]):
    """Gives up, when an exception leaves it, what the thread has taken inside; what it held before is left alone."""

    __slots__ = ("_before",)

    def __enter__(self) -> None:
        self._before = len(HOLDINGS.taken)

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            give_up_from(self._before)


def leaves_nothing_held(function: Callable[P, R]) -> Callable[P, R]:
    """Wrap a function in a `HoldingScope`."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        with HoldingScope():
            return function(*args, **kwargs)

    return call
