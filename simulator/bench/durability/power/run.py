"""The power-cut benchmark: activities are recorded, and the files that a power cut may leave are opened and checked."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from numpy.random import Generator
from rich.console import Console

from bandit import Catalogue
from bandit.errors import InputError
from simulator.bench.durability import templates
from simulator.bench.durability.acknowledgements import DatabaseContent
from simulator.bench.durability.activity_list import ACTIVITIES
from simulator.bench.durability.power.disk import Disk, PowerCut
from simulator.bench.durability.power.recording import FileOperation, RecordedOperation, compiled_recorder, record
from simulator.bench.durability.power.survival import cut_to_survivors, removed_bytes_left
from simulator.bench.durability.power.workload import power_worker
from simulator.bench.durability.recovery_check import check_recovery
from simulator.bench.durability.worker import CRASH_CATALOGUE

POWER_ACTIVITIES = (
    "deciding",
    "recording and correcting",
    "learning in small steps",
    "learning in large steps",
    "importing a CSV",
    "creating a database",
    "migrating from version 1",
    "migrating from version 2",
    "erasing",
    "retaining",
    "backing up",
    "spooling while locked",
)
PROCESS_ACTIVITIES = (
    "deciding",
    "recording and correcting",
    "learning in small steps",
    "learning in large steps",
    "creating a database",
    "migrating from version 1",
)
"""Activities that are also checked for what durability "process" promises."""

_MEMORY = "/dev/shm"  # noqa: S108 - a new folder is made in it
"""Where the files lie, if it exists: flushes are recorded, and need not be waited for."""

CUTS: tuple[PowerCut, ...] = ("dropped", "some", "some", "kept")
_AFTER_AN_ANSWER = 0.5
"""Share of the power cuts that come at once after an acknowledgement."""


@dataclass(slots=True)
class PowerCounts:
    """Counts of one activity: file operations recorded, flushes among them, power cuts, problems."""

    activity: str
    durability: str
    operations: int = 0
    flushes: int = 0
    cuts: int = 0
    acknowledged: int = 0
    problems: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return asdict(self)


def run(cuts: int, only: Sequence[str] | None, seed: int, console: Console) -> list[PowerCounts]:
    """Record each activity once with each durability, and check so many power cuts in all; return what was lost.

    InputError for an unknown activity, without a C compiler, and on other systems than Linux.
    """
    for name in only or ():
        if name not in POWER_ACTIVITIES:
            raise InputError(f'there is no activity "{name}"; there are {", ".join(POWER_ACTIVITIES)}')
    jobs = [
        (name, durability)
        for durability, names in (("full", POWER_ACTIVITIES), ("process", PROCESS_ACTIVITIES))
        for name in names
        if only is None or name in only
    ]
    found = []
    with tempfile.TemporaryDirectory(dir=_MEMORY if os.access(_MEMORY, os.W_OK) else None) as folder:
        cutter = PowerCutter(Path(folder).resolve(), seed)
        for place, (name, durability) in enumerate(jobs):
            counts = cutter.cut(name, durability, cuts // len(jobs) + (place < cuts % len(jobs)))
            found.append(counts)
            console.print(f"{name}, {durability}: {counts.cuts} power cuts, {len(counts.problems)} problems")
            for each in counts.problems[:5]:
                console.print(f"  {each}", soft_wrap=True, markup=False)
    return found


class PowerCutter:
    """The templates of databases, recordings, and power cuts in a folder each."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.seed = seed
        self.library = compiled_recorder(folder)
        self.templates = templates.all_templates(folder / "templates", Catalogue.from_dict(CRASH_CATALOGUE))

    def cut(self, name: str, durability: str, cuts: int) -> PowerCounts:
        """Record an activity, and check so many power cuts."""
        counts = PowerCounts(name, durability)
        place = list(ACTIVITIES).index(name)
        rng = np.random.default_rng([self.seed, place, durability == "full"])
        root = self._prepared(name)
        files = {path.name: path.read_bytes() for path in root.iterdir()}
        before = DatabaseContent.read(root / "work.db")
        for beside in ("work.db-wal", "work.db-shm"):
            (root / beside).unlink(missing_ok=True)  # left by the reading above
        trace = self.folder / "trace"
        trace.unlink(missing_ok=True)
        module = "simulator.bench.durability.power.workload"
        done = record(self.library, root, trace, module, [str(root), name, durability, str(self.seed)])
        shutil.rmtree(root)
        counts.operations = len(done)
        counts.flushes = sum(each.kind is FileOperation.SYNC_END for each in done)
        for at, disk in _moments(done, files, str(root), cuts, rng):
            cut = CUTS[counts.cuts % len(CUTS)]
            image = self._image(disk, cut, rng)
            left = removed_bytes_left(image, before)
            problems = [] if durability == "full" else cut_to_survivors(image)
            worker = power_worker(image, durability, self.seed)
            counts.acknowledged += sum("decided" in str(line["what"]) for line in worker.notes.read())
            problems = left + (problems or check_recovery(worker, before))
            counts.problems += [f"after operation {at}, {cut}: {each}" for each in problems]
            counts.cuts += 1
            shutil.rmtree(image)
        return counts

    def _prepared(self, name: str) -> Path:
        """Return a new folder with what the activity finds."""
        root = Path(tempfile.mkdtemp(dir=self.folder))
        shutil.copy(self.templates / "log.csv", root)
        template = ACTIVITIES[name].template
        if template is not None:
            shutil.copy(self.templates / f"{template}.db", root / "work.db")
        return root

    def _image(self, disk: Disk, cut: PowerCut, rng: Generator) -> Path:
        """Write what a power cut leaves to a new folder; acknowledgements are those of another machine, and stay."""
        image = Path(tempfile.mkdtemp(dir=self.folder))
        files = disk.after(cut, rng) | {
            name: file.after("kept", rng) for name, file in disk.names.items() if name == "notes"
        }
        for name, content in files.items():
            if not name.endswith("-shm"):  # the index of the log, which is not recorded and made anew
                (image / name).write_bytes(content)
        return image


def _moments(
    done: Sequence[RecordedOperation], files: dict[str, bytes], root: str, cuts: int, rng: Generator
) -> Iterator[tuple[int, Disk]]:
    """Yield moments of a recording, in order: the number of operations done, and the disk then."""
    answers = [
        place + 1
        for place, each in enumerate(done)
        if each.kind is FileOperation.WRITE and each.data.startswith(b'{"what":"') and b'ing"' not in each.data[:24]
    ]
    wanted = [
        int(rng.choice(answers)) if answers and rng.random() < _AFTER_AN_ANSWER else int(rng.integers(1, len(done) + 1))
        for _ in range(cuts)
    ]
    disk, n = Disk.of(files), 0
    for at in sorted(wanted):
        while n < at:
            disk.do(done[n], root)
            n += 1
        yield at, disk


def markdown(found: Sequence[PowerCounts]) -> str:
    """Return the table and every problem as Markdown."""
    text = [
        "| activity | durability | file operations | flushes | power cuts | acknowledged | lost, doubled, half done |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for each in found:
        line = (
            f"| {each.activity} | {each.durability} | {each.operations:,} | {each.flushes:,} | {each.cuts} "
            f"| {each.acknowledged:,} | {len(each.problems) or 'nothing'} |"
        )
        text.append(line)
    problems = [f"- {each.activity}, {each.durability}, {problem}" for each in found for problem in each.problems]
    return "\n".join([*text, "", *problems]).rstrip() + "\n"
