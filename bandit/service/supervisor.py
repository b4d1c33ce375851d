"""Keeps the worker processes of a service running: replaces those that end, and passes signals on.

Written because uvicorn's own supervisor kills a worker that needs more than its timeout to start, as on a busy machine,
and hears no signal while it waits for one.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing import connection, get_context
from multiprocessing.context import SpawnProcess
from typing import TYPE_CHECKING

from bandit.service.service_log import log_event

if TYPE_CHECKING:
    from bandit.service.options import ServiceOptions

Worker = Callable[[socket.socket, connection.Connection], None]
"""What a worker's process runs: it serves on the socket, and sends a byte each second, b"1" once it is ready."""

SILENT_FOR = 60.0
"""Seconds without a sign of life after which a worker is taken to hang, and is killed and replaced."""

START_WITHIN = 600.0
"""Seconds that a worker may take until its first sign of life."""

READY_WITHIN = 60.0
"""Seconds that a new worker may take, when all are replaced, until it is ready; else the old ones stay."""

QUICK_END = 5.0
"""A worker that ends sooner than this after its start is replaced later and later, up to this many seconds."""

_TICK = 0.5
_AT_THE_END = 10.0


@dataclass(slots=True, eq=False)
class _Process:
    """One worker's process, and what was last heard of it."""

    process: SpawnProcess
    signs: connection.Connection
    started: float = field(default_factory=time.monotonic)
    heard: float | None = None
    ready: bool = False

    def listen(self) -> None:
        """Take in the signs of life that have come."""
        with contextlib.suppress(OSError, EOFError):
            while self.signs.poll():
                self.ready = self.signs.recv_bytes() == b"1"
                self.heard = time.monotonic()

    @property
    def hangs(self) -> bool:
        """Whether nothing was heard for too long."""
        if self.heard is None:
            return time.monotonic() - self.started > START_WITHIN
        return time.monotonic() - self.heard > SILENT_FOR


class WorkerSupervisor:
    """Runs as many workers as the options say until SIGTERM or SIGINT; SIGHUP replaces them one after another."""

    def __init__(self, worker: Worker, listener: socket.socket, options: ServiceOptions) -> None:
        self._worker, self._listener, self._options = worker, listener, options
        self._running: list[_Process] = []
        self._ended = self._renewal = False
        self._quick_ends = 0
        self._start_at = 0.0

    def run(self) -> None:
        """Supervise, and return once all workers have ended."""
        with _signals(self._on_signal) as woken:
            try:
                while not self._ended:
                    self._fill()
                    self._wait(woken)
                    self._replace_ended()
                    if self._renewal:
                        self._renewal = False
                        self._renew(woken)
            finally:
                self._end_all()

    def _on_signal(self, number: int) -> None:
        if number == signal.SIGHUP:
            self._renewal = True
        else:
            self._ended = True

    def _fill(self) -> None:
        """Start workers until there are as many as there should be."""
        while len(self._running) < self._options.workers and time.monotonic() >= self._start_at:
            self._running.append(self._started())

    def _started(self) -> _Process:
        context = get_context("spawn")
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=self._worker, args=(self._listener, theirs), name="offer-bandit worker")
        process.start()
        theirs.close()
        log_event("worker started", worker=process.pid)
        return _Process(process, ours)

    def _wait(self, woken: socket.socket) -> None:
        """Wait until a worker ends, a signal or a sign of life comes, or for a moment."""
        sentinels = [each.process.sentinel for each in self._running]
        connection.wait([woken, *sentinels], _TICK)
        with contextlib.suppress(BlockingIOError):
            woken.recv(1_024)
        for each in self._running:
            each.listen()

    def _replace_ended(self) -> None:
        for each in list(self._running):
            if each.hangs:
                log_event("worker hangs, and is killed", level="error", worker=each.process.pid)
                each.process.kill()
                each.process.join()
            if each.process.is_alive():
                continue
            self._running.remove(each)
            each.signs.close()
            quick = time.monotonic() - each.started < QUICK_END
            self._quick_ends = self._quick_ends + 1 if quick else 0
            wait = min(QUICK_END, 0.25 * 2 ** min(self._quick_ends, 10)) if quick else 0.0
            self._start_at = time.monotonic() + wait
            log_event(
                "worker ended, and is replaced", level="error", worker=each.process.pid, code=each.process.exitcode
            )

    def _renew(self, woken: socket.socket) -> None:
        """Replace each worker by a new one that is ready; the old ones stay if a new one does not become so."""
        for old in list(self._running):
            new = self._started()
            self._running.append(new)
            until = time.monotonic() + READY_WITHIN
            while not new.ready and new.process.is_alive() and time.monotonic() < until and not self._ended:
                self._wait(woken)
            if self._ended:
                return
            self._running.remove(old if new.ready else new)
            if not new.ready:
                log_event("a new worker was not ready in time; the old ones stay", level="error")
                self._end([new])
                return
            self._end([old])

    def _end_all(self) -> None:
        self._end(self._running)
        self._running = []

    def _end(self, workers: list[_Process]) -> None:
        """Tell workers to end, and kill those that do not in time."""
        for each in workers:
            with contextlib.suppress(ProcessLookupError):
                if each.process.pid is not None and each.process.is_alive():
                    os.kill(each.process.pid, signal.SIGTERM)
        until = time.monotonic() + self._options.graceful + _AT_THE_END
        for each in workers:
            each.process.join(max(0.0, until - time.monotonic()))
            if each.process.is_alive():
                log_event("worker did not end in time, and is killed", level="error", worker=each.process.pid)
                each.process.kill()
                each.process.join()
            each.signs.close()


@contextlib.contextmanager
def _signals(take: Callable[[int], None]) -> Iterator[socket.socket]:
    """Call `take` for SIGTERM, SIGINT and SIGHUP, and yield a socket that can be read once one has come."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = {number: signal.signal(number, lambda n, _: take(n)) for number in numbers}
    waker = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
    try:
        yield ours
    finally:
        signal.set_wakeup_fd(waker)
        for number, handler in before.items():
            signal.signal(number, handler)
        ours.close()
        theirs.close()
