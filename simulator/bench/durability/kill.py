"""Killing a process at work: SIGKILL at a chosen moment, and the locks and the write-ahead log it leaves.

The process is forked from this one, which has everything imported and no database open. It is stopped first, so that
its locks can be read, and killed then: a stopped process has done no more than a killed one.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import struct
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from numpy.random import Generator

from simulator.bench.durability.worker import AcknowledgementLog, Worker

WRITER_LOCK_BYTE = 120
"""The byte of the -shm file that a writer locks; the next two are those of a checkpoint and of a recovery (SQLite)."""

LOCK_POLL_SECONDS = 0.002
"""Longest pause between two reads of the locks of a process that is to be killed while it holds one."""

HANG_SECONDS = 60.0
"""Seconds after which a process that should have finished is taken to hang."""


@dataclass(frozen=True, slots=True)
class KilledProcess:
    """How a process was killed: holding a lock or not (`within`), with its work done or not, and after how long."""

    within: bool
    ended: bool
    milliseconds: float


def run_and_kill(
    work: Callable[[], None], worker: Worker, after: float | None, lock_rng: Generator | None = None
) -> KilledProcess:
    """Fork a process that works, and kill it after so many seconds, or when it is done if `after` is None.

    With `lock_rng`, a generator for the pauses, it is killed at the next moment found at which it holds a lock.
    """
    done, report = os.pipe()
    begun = time.perf_counter()
    pid = os.fork()
    if not pid:
        _work_until_killed(work, worker.notes, report)
    os.close(report)
    try:
        if after is None:
            _wait(done, HANG_SECONDS)
        else:
            time.sleep(after)
        spent = 1e3 * (time.perf_counter() - begun)
        while True:
            os.kill(pid, signal.SIGSTOP)
            os.waitpid(pid, os.WUNTRACED)
            ended, within = _ready(done), holds_a_lock(worker.path)
            if lock_rng is None or ended or within:
                break
            os.kill(pid, signal.SIGCONT)
            time.sleep(lock_rng.uniform(0.0, LOCK_POLL_SECONDS))
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(done)
    return KilledProcess(within, ended, spent)


def _work_until_killed(work: Callable[[], None], notes: AcknowledgementLog, report: int) -> NoReturn:
    """Work, report the end by the pipe `report`, and wait to be killed; never return into the parent's code."""
    try:
        warnings.simplefilter("ignore")  # a migration warns where it keeps its copy
        work()
        notes.write("done")
    except BaseException:  # noqa: BLE001 - the parent reports it
        notes.write("fault", text=traceback.format_exc(limit=-4))
    os.write(report, b".")
    while True:
        signal.pause()


def _wait(fd: int, seconds: float) -> None:
    select.select([fd], [], [], seconds)


def _ready(fd: int) -> bool:
    return bool(select.select([fd], [], [], 0.0)[0])


def holds_a_lock(path: Path) -> bool:
    """Return whether another process writes to a database, checkpoints or recovers it, or changes it by a journal."""
    shared = path.with_name(path.name + "-shm")
    return _locked(shared, WRITER_LOCK_BYTE, 3) or _locked(path, 0x40000000, 2)


def _locked(path: Path, start: int, length: int) -> bool:
    """Return whether another process has a lock on some bytes of a file (F_GETLK); this one must have none on it."""
    try:
        fd = os.open(path, os.O_RDWR)
    except OSError:
        return False
    try:
        asked = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, start, length, 0)
        kind: int = struct.unpack("hhqqi4x", fcntl.fcntl(fd, fcntl.F_GETLK, asked))[0]
        return kind != fcntl.F_UNLCK
    finally:
        os.close(fd)


def torn(wal: Path) -> bool:
    """Return whether a write-ahead log ends in pages of a transaction that was not committed.

    A frame has the number of its page, the size of the database after a commit or 0, and the salts of its log
    (https://www.sqlite.org/fileformat2.html, section 4.1).
    """
    try:
        content = wal.read_bytes()
    except FileNotFoundError:
        return False
    if len(content) < 32:
        return False
    page, salts, last = int.from_bytes(content[8:12], "big"), content[16:24], 1
    for start in range(32, len(content) - 23, 24 + page):
        head = content[start : start + 24]
        if head[8:16] != salts:
            break
        last = int.from_bytes(head[4:8], "big")
    return last == 0
