"""Notes of working processes: small files of JSON lines, read by the process that started them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from bandit.domain import IntArray

NOTE_FILE_BYTES = 200_000
"""Size at which a process begins another file: smaller than the files that a full disk allows."""

_EDGES = np.geomspace(1e-5, 1e3, 401)
"""Limits of the latency classes in seconds, 5 % apart."""


@dataclass(slots=True)
class NoteWriter:
    """Writes one line a system call, so that lines survive the process; a forked child writes files of its own."""

    folder: Path
    name: str
    _fd: int = -1
    _pid: int = 0
    _size: int = 0
    _files: int = 0

    def write(self, what: str, **content: object) -> None:
        """Append a line, with the time of the real clock in seconds."""
        line = msgspec.json.encode({"what": what, "by": self.name, "at": time.time(), **content}) + b"\n"
        if self._pid != os.getpid() or self._size > NOTE_FILE_BYTES:
            if self._fd >= 0:
                os.close(self._fd)
            # The child keeps the number of its parent's file, which its own process id makes another name.
            self._pid, self._size, self._files = os.getpid(), 0, self._files + 1
            path = self.folder / f"{self.name}-{self._pid}-{self._files:05d}.jsonl"
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._size += os.write(self._fd, line)


@dataclass(slots=True)
class NoteReader:
    """Reads what is new in a folder of notes, in order for each process, and deletes files that are read."""

    folder: Path
    _ends: dict[str, int] = field(default_factory=dict)

    def read(self) -> Iterator[dict[str, Any]]:
        """Yield the complete lines that were not read yet."""
        names = sorted(each.name for each in self.folder.iterdir())
        for place, name in enumerate(names):
            path = self.folder / name
            begun = self._ends.get(name, 0)
            with path.open("rb") as file:
                file.seek(begun)
                *lines, _ = file.read().split(b"\n")
            self._ends[name] = begun + sum(len(line) + 1 for line in lines)
            yield from map(msgspec.json.decode, lines)
            follows = place + 1 < len(names) and names[place + 1].rpartition("-")[0] == name.rpartition("-")[0]
            if follows and self._ends[name] == path.stat().st_size:
                path.unlink()
                del self._ends[name]


@dataclass(slots=True)
class LatencyCounts:
    """How many calls took how long, by classes 5 % apart; counts of several processes can be added."""

    counts: IntArray = field(default_factory=lambda: np.zeros(len(_EDGES) + 1, dtype=np.int64))
    longest: float = 0.0

    def add(self, seconds: float) -> None:
        """Count a call."""
        self.counts[np.searchsorted(_EDGES, seconds)] += 1
        self.longest = max(self.longest, seconds)

    def taken(self) -> dict[str, object]:
        """Return the counts as JSON values, and begin anew."""
        (places,) = np.nonzero(self.counts)
        found = {"classes": places.tolist(), "counts": self.counts[places].tolist(), "longest": self.longest}
        self.counts[:], self.longest = 0, 0.0
        return found

    def merge(self, found: dict[str, Any]) -> None:
        """Add what another process has counted."""
        self.counts[found["classes"]] += np.asarray(found["counts"], dtype=np.int64)
        self.longest = max(self.longest, found["longest"])

    def percentile(self, share: float) -> float:
        """Return the seconds that a share of the calls did not pass, up to 5 %; NaN where there were none."""
        total = int(self.counts.sum())
        if not total:
            return float("nan")
        place = int(np.searchsorted(np.cumsum(self.counts), share * total))
        return min(float(_EDGES[min(place, len(_EDGES) - 1)]), self.longest)
