"""Killed at work: processes on a small database get SIGKILL at random moments, and what they leave is looked at.

Each process is forked from this one, which is warm and has no database open. It is stopped first, so that the locks it
holds can be seen, and killed then: a stopped process has done no more than a killed one.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import shutil
import signal
import struct
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.random import Generator
from rich.console import Console

from bandit import Catalogue
from bandit.errors import InputError
from bandit.store import wal_path
from simulator.bench.durability import activities as work
from simulator.bench.durability import templates
from simulator.bench.durability.acknowledgements import DatabaseContent
from simulator.bench.durability.recovery_check import check_recovery
from simulator.bench.durability.worker import CRASH_CATALOGUE, WAITING_DECISIONS, AcknowledgementLog, Durability, Worker

WRITER_LOCK_BYTE = 120
"""The byte of the -shm file that a writer locks; the next two are those of a checkpoint and of a recovery (SQLite)."""

LOCK_POLL_SECONDS = 0.002
"""Longest pause, in seconds, between two looks at the locks of a process that is to die while it holds one."""

HANG_SECONDS = 60.0
"""Seconds after which a process that was to be killed is taken to hang."""


@dataclass(frozen=True, slots=True)
class Activity:
    """What a process does, and the database that it finds; `template` is None where there is none."""

    work: Callable[[Worker], None]
    template: str | None = "grown"


ACTIVITIES: Mapping[str, Activity] = {
    "deciding": Activity(work.deciding),
    "recording and correcting": Activity(work.recording),
    "learning in small steps": Activity(work.learning_often),
    "learning in large steps": Activity(work.learning_much, "waiting"),
    "importing a CSV": Activity(work.importing),
    "creating a database": Activity(work.opening, None),
    "migrating from version 1": Activity(work.opening, "version 1"),
    "migrating from version 2": Activity(work.opening, "version 2"),
    "erasing": Activity(work.erasing),
    "retaining": Activity(work.retaining),
    "backing up": Activity(work.backing_up),
    "spooling while locked": Activity(work.spooling),
    "opening after a kill": Activity(work.opening, "killed"),
    "on a full disk": Activity(work.full_disk, "waiting"),
    "in a full database": Activity(work.full_database, "waiting"),
    "read-only": Activity(work.read_only, "waiting"),
}


@dataclass(slots=True)
class KillCounts:
    """What came of one activity's kills.

    `within` of them came while it held the lock of a writer, a checkpoint or a recovery, `torn` left pages of an
    unfinished transaction in the write-ahead log, `ended` came after its work was done.
    """

    activity: str
    kills: int = 0
    within: int = 0
    torn: int = 0
    ended: int = 0
    milliseconds: float = 0.0
    acknowledged: int = 0
    problems: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return asdict(self)


def run(kills: int, only: Sequence[str] | None, seed: int, console: Console) -> list[KillCounts]:
    """Kill so many processes, the same number at each activity, and say what was lost."""
    names = list(ACTIVITIES) if only is None else list(only)
    for name in names:
        if name not in ACTIVITIES:
            raise InputError(f'there is no activity "{name}"; there are {", ".join(ACTIVITIES)}')
    if sys.platform != "linux":
        raise InputError("processes are forked and their locks looked at as Linux has them; run it there")
    shares = [kills // len(names) + (place < kills % len(names)) for place in range(len(names))]
    found = []
    with tempfile.TemporaryDirectory() as folder:
        runner = KillRunner(Path(folder), seed)
        for name, share in zip(names, shares, strict=True):
            counts = runner.kill(name, share)
            found.append(counts)
            console.print(f"{name}: {counts.kills} kills, {counts.within} within, {len(counts.problems)} problems")
            for each in counts.problems[:5]:
                console.print(f"  {each}", soft_wrap=True, markup=False)
    return found


class KillRunner:
    """Where it happens: the databases that processes find, and a folder for each kill."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.seed = seed
        self.catalogue = Catalogue.from_dict(CRASH_CATALOGUE)
        self.templates = folder / "templates"
        self.templates.mkdir()
        templates.write_log(self.templates / "log.csv")
        templates.grow(self.templates / "grown.db", self.catalogue)
        templates.grow(self.templates / "waiting.db", self.catalogue, waiting=WAITING_DECISIONS)
        templates.grow(self.templates / "whole.db", self.catalogue, whole=True)
        for version in (1, 2):
            templates.earlier_version(self.templates / "whole.db", self.templates / f"version {version}.db", version)

    def kill(self, name: str, kills: int) -> KillCounts:
        """Kill so many processes at one activity."""
        activity, counts = ACTIVITIES[name], KillCounts(name)
        place = list(ACTIVITIES).index(name)
        for number in range(-1, kills + 1):
            rng = np.random.default_rng([self.seed, place, number + 1])
            durability: Durability = "full" if number % 4 < 2 else "process"
            # The first two are let be, to see how long it takes; the others die at any moment of that time, and every
            # second of them at the next moment from then on at which it holds a lock.
            after = None if number <= 0 else float(rng.uniform(0.0, counts.milliseconds / 1_000))
            lock_rng = rng if number % 2 else None
            with self._prepared(activity, rng) as folder:
                worker = Worker(
                    folder / "work.db", AcknowledgementLog(folder / "notes"), durability, rng, self.catalogue
                )
                before = DatabaseContent.of(worker.path)
                killed = run_and_kill(lambda: activity.work(worker), worker, after, lock_rng)  # noqa: B023 - done with before the next
                if after is None:
                    counts.milliseconds = min(killed.milliseconds, counts.milliseconds or np.inf)
                else:
                    counts.kills += 1
                    counts.within += killed.within
                    counts.ended += killed.ended
                    counts.torn += torn(wal_path(worker.path))
                    counts.acknowledged += sum("decided" in str(line["what"]) for line in worker.notes.read())
                if number >= 0:
                    counts.problems += [f"kill {number}: {each}" for each in check_recovery(worker, before)]
        return counts

    @contextlib.contextmanager
    def _prepared(self, activity: Activity, rng: Generator) -> Iterator[Path]:
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        try:
            shutil.copy(self.templates / "log.csv", folder)
            path = folder / "work.db"
            if activity.template == "killed":
                shutil.copy(self.templates / "grown.db", path)
                first = Worker(
                    path, AcknowledgementLog(folder / "notes"), "process", rng, self.catalogue, prefix="first"
                )
                run_and_kill(lambda: work.spooling(first), first, float(rng.uniform(0.02, 0.1)))
            elif activity.template is not None:
                shutil.copy(self.templates / f"{activity.template}.db", path)
            yield folder
        finally:
            shutil.rmtree(folder)


# -- one death -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class KilledProcess:
    """How a process died: whether it held a lock, whether its work was done, and how long it had lived."""

    within: bool
    ended: bool
    milliseconds: float


def run_and_kill(
    work: Callable[[], None], worker: Worker, after: float | None, lock_rng: Generator | None = None
) -> KilledProcess:
    """Fork a process that works, and kill it after so many seconds; None kills it when it is done.

    With `lock_rng` it is killed at one of the moments after that at which it holds a lock, if there is one.
    """
    done, said = os.pipe()
    begun = time.perf_counter()
    pid = os.fork()
    if not pid:
        _work_until_killed(work, worker.notes, said)
    os.close(said)
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


def _work_until_killed(work: Callable[[], None], notes: AcknowledgementLog, said: int) -> NoReturn:
    """Work, say that it is done, and wait for the end; never return into the parent's code."""
    try:
        warnings.simplefilter("ignore")  # a migration says where it keeps its copy
        work()
        notes.write("done")
    except BaseException:  # noqa: BLE001 - the parent is to read of it
        notes.write("fault", text=traceback.format_exc(limit=-4))
    os.write(said, b".")
    while True:
        signal.pause()


def _wait(fd: int, seconds: float) -> None:
    select.select([fd], [], [], seconds)


def _ready(fd: int) -> bool:
    return bool(select.select([fd], [], [], 0.0)[0])


def holds_a_lock(path: Path) -> bool:
    """Say whether another process writes to a database, checkpoints or recovers it, or changes it by a journal."""
    shared = path.with_name(path.name + "-shm")
    return _locked(shared, WRITER_LOCK_BYTE, 3) or _locked(path, 0x40000000, 2)


def _locked(path: Path, start: int, length: int) -> bool:
    """Say whether another process has a lock on some bytes of a file (F_GETLK); this one must have none on it."""
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
    """Say whether a write-ahead log ends in pages of a transaction that was not committed.

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


def markdown(found: Sequence[KillCounts]) -> str:
    """Return the table, and every problem."""
    text = [
        "| activity | kills | holding a lock | torn | when done | acknowledged | ms | lost, doubled, half done |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    total = KillCounts("all")
    for each in found:
        total.kills += each.kills
        total.within += each.within
        total.torn += each.torn
        total.ended += each.ended
        total.acknowledged += each.acknowledged
        total.problems += [f"{each.activity}, {problem}" for problem in each.problems]
    for each in (*found, total):
        line = (
            f"| {each.activity} | {each.kills} | {each.within} | {each.torn} | {each.ended} | {each.acknowledged:,} "
            f"| {each.milliseconds:,.0f} | {len(each.problems) or 'nothing'} |"
        )
        text += [line]
    return "\n".join([*text, "", *(f"- {problem}" for problem in total.problems)]).rstrip() + "\n"
