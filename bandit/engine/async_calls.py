"""Awaiting the engine's calls: each runs in a thread of the engine, so that no event loop waits for the database."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Concatenate, ParamSpec, Protocol, TypeVar

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

QUICK_THREADS = 1
"""Threads for decisions and events: the engine admits one at a time, and more would only wait for each other."""

LONG_THREADS = 2
"""Threads for calls that may take seconds, such as learning, which must not keep decisions waiting."""


class CallPool:
    """The threads in which one engine's awaited calls run; they are started when they are first needed.

    A call that was begun is always finished. After a fork the child has threads of its own; what waited for a thread in
    the parent is done there.
    """

    def __init__(self) -> None:
        self.begin_child()

    def begin_child(self) -> None:
        """Become the pool of a forked child, which has none of its parent's threads."""
        self._lock = threading.Lock()
        self._pools: dict[bool, ThreadPoolExecutor] = {}
        self._closed = False

    def submit(self, call: Callable[[], Result], *, long: bool = False) -> Future[Result]:
        """Hand a call to a thread and return its future; `long` for one that may take seconds.

        In a closed pool it is called at once, so that what it raises is what the closed engine raises.
        """
        with self._lock:
            if not self._closed:
                return self._pool(long=long).submit(call)
        done: Future[Result] = Future()
        try:
            done.set_result(call())
        except Exception as fault:  # noqa: BLE001 - whatever it is, the caller's await raises it
            done.set_exception(fault)
        return done

    async def run(self, call: Callable[[], Result], *, long: bool = False, whole: bool = False) -> Result:
        """Await a call; where the await is cancelled, a call that was begun is finished all the same.

        One that had not begun is dropped then, except with `whole`: it is done in any case.
        """
        future = self.submit(call, long=long)
        if not whole:
            return await asyncio.wrap_future(future)
        return await asyncio.shield(asyncio.wrap_future(future))

    def close(self) -> None:
        """Do what still waits for a thread, and end the threads."""
        with self._lock:
            self._closed = True
            pools = list(self._pools.values())
        for pool in pools:
            pool.shutdown(wait=True)

    def _pool(self, *, long: bool) -> ThreadPoolExecutor:
        if long not in self._pools:
            name, n = ("offer-bandit work", LONG_THREADS) if long else ("offer-bandit calls", QUICK_THREADS)
            self._pools[long] = ThreadPoolExecutor(n, thread_name_prefix=name)
        return self._pools[long]


class HasCalls(Protocol):
    """What has a pool of threads for its calls."""

    @property
    def calls(self) -> CallPool:
        """The pool."""
        ...


Owner = TypeVar("Owner", bound=HasCalls)


def awaited(
    call: Callable[Concatenate[Owner, Arguments], Result], about: str, *, long: bool = False, whole: bool = False
) -> Callable[Concatenate[Owner, Arguments], Coroutine[None, None, Result]]:
    """Return a method that awaits another one of the same engine; `about` is its docstring.

    `long` and `whole` are those of `CallPool.run`.
    """

    @functools.wraps(call)
    async def method(owner: Owner, /, *args: Arguments.args, **options: Arguments.kwargs) -> Result:
        return await owner.calls.run(functools.partial(call, owner, *args, **options), long=long, whole=whole)

    name = f"a{call.__name__}"
    method.__name__, method.__qualname__, method.__doc__ = name, call.__qualname__.replace(call.__name__, name), about
    return method
