"""The crash benchmark: processes on a small database get SIGKILL at random moments, and what they leave is checked."""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from numpy.random import Generator
from rich.console import Console

from bandit import Catalogue
from bandit.errors import InputError
from bandit.store import wal_path
from bandit.store.connection_setup import Durability
from simulator.bench.durability import templates
from simulator.bench.durability.acknowledgements import DatabaseContent
from simulator.bench.durability.activities import spooling
from simulator.bench.durability.activity_list import ACTIVITIES, Activity
from simulator.bench.durability.kill import run_and_kill, torn
from simulator.bench.durability.recovery_check import check_recovery
from simulator.bench.durability.worker import CRASH_CATALOGUE, AcknowledgementLog, Worker


@dataclass(slots=True)
class KillCounts:
    """Counts of the kills at one activity.

    `within` of them came while the process held the lock of a writer, a checkpoint or a recovery, `torn` left pages of
    an unfinished transaction in the write-ahead log, `ended` came after its work was done. `milliseconds` is how long
    the work takes, `acknowledged` the decisions that were acknowledged before the kills.
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
    """Kill so many processes, the same number at each activity, and return what each lost.

    InputError for an unknown activity, and on other systems than Linux.
    """
    names = list(ACTIVITIES) if only is None else list(only)
    for name in names:
        if name not in ACTIVITIES:
            raise InputError(f'there is no activity "{name}"; there are {", ".join(ACTIVITIES)}')
    if sys.platform != "linux":
        raise InputError("processes are forked and their locks read as Linux has them; run it there")
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
    """The templates of databases, and kills in a folder each."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.seed = seed
        self.catalogue = Catalogue.from_dict(CRASH_CATALOGUE)
        self.templates = templates.all_templates(folder / "templates", self.catalogue)

    def kill(self, name: str, kills: int) -> KillCounts:
        """Kill so many processes at one activity."""
        activity, counts = ACTIVITIES[name], KillCounts(name)
        place = list(ACTIVITIES).index(name)
        for number in range(-1, kills + 1):
            rng = np.random.default_rng([self.seed, place, number + 1])
            durability: Durability = "full" if number % 4 < 2 else "process"
            # The first two finish, which tells how long it takes; the others are killed at a random moment of that
            # time, every second of them at the next moment at which it holds a lock.
            after = None if number <= 0 else float(rng.uniform(0.0, counts.milliseconds / 1_000))
            lock_rng = rng if number % 2 else None
            with self._prepared(activity, rng) as folder:
                worker = Worker(
                    folder / "work.db", AcknowledgementLog(folder / "notes"), durability, rng, self.catalogue
                )
                before = DatabaseContent.read(worker.path)
                killed = run_and_kill(lambda: activity.work(worker), worker, after, lock_rng)  # noqa: B023 - called within this turn
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
                run_and_kill(lambda: spooling(first), first, float(rng.uniform(0.02, 0.1)))
            elif activity.template is not None:
                shutil.copy(self.templates / f"{activity.template}.db", path)
            yield folder
        finally:
            shutil.rmtree(folder)


def markdown(found: Sequence[KillCounts]) -> str:
    """Return the table and every problem as Markdown."""
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
