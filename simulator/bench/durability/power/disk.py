"""A model of a disk: what is in files and folders, what was flushed, and what a power cut may leave.

A write or a cut of a file is certain once the file is flushed (fsync, fdatasync); until then each sector of a write may
be on the disk or not. A new name, a new place or a removal is certain once its folder is flushed; until then a first
part of such changes may be there. Flushing a file says nothing about its name, as in POSIX; most file systems promise
more. SQLite's own tests of crashes lose writes in the same way (https://www.sqlite.org/testing.html, section 3.3).
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Literal

from numpy.random import Generator

from simulator.bench.durability.power.recording import FileOperation, RecordedOperation

SECTOR = 512
"""Bytes that a disk writes whole."""

PowerCut = Literal["kept", "dropped", "some"]
"""What becomes of what was not flushed: all of it stays, none, or each sector by chance."""


@dataclass(slots=True)
class DiskFile:
    """A file: its content on the disk, and the writes (offset, data) and cuts (length) that were not flushed yet."""

    content: bytearray
    waiting: list[tuple[int, bytes] | int] = field(default_factory=list)

    def flush(self, n: int) -> None:
        """Put the first n waiting changes on the disk."""
        _apply(self.content, self.waiting[:n])
        del self.waiting[:n]

    def after(self, cut: PowerCut, rng: Generator) -> bytes:
        """Return the content after a power cut."""
        content = bytearray(self.content)
        if cut == "kept":
            _apply(content, self.waiting)
        elif cut == "some":
            _apply(content, (part for change in self.waiting for part in _some(change, rng)))
        return bytes(content)


_Rename = tuple[str, str | None, "DiskFile | None"]
"""A name, a second name of a renamed file, and the file that gets the name; None for one that is removed."""


@dataclass(slots=True)
class Disk:
    """The files under a folder by name, those on the disk by the folder's last flush, and the changes since."""

    names: dict[str, DiskFile]
    on_disk: dict[str, DiskFile]
    waiting: list[_Rename] = field(default_factory=list)
    descriptors: dict[int, DiskFile | str] = field(default_factory=dict)
    flushing: dict[int, int] = field(default_factory=dict)

    @staticmethod
    def of(files: Mapping[str, bytes]) -> Disk:
        """Return a disk with files that were flushed."""
        names = {name: DiskFile(bytearray(content)) for name, content in files.items()}
        return Disk(names, dict(names))

    def copy(self) -> Disk:
        """Return a copy that shares nothing."""
        return copy.deepcopy(self)

    def do(self, done: RecordedOperation, root: str) -> None:
        """Do one operation of a recording of the folder `root`."""
        name = str(PurePosixPath(done.name).relative_to(root)) if done.name else ""
        match done.kind:
            case FileOperation.OPEN:
                self._open(name, done.descriptor, cut=bool(done.offset))
            case FileOperation.CLOSE:
                self.descriptors.pop(done.descriptor, None)
            case FileOperation.UNLINK:
                self.names.pop(name, None)
                self.waiting.append((name, None, None))
            case FileOperation.RENAME:
                target = str(PurePosixPath(done.target).relative_to(root))
                self.names[target] = self.names.pop(name)
                self.waiting.append((name, target, self.names[target]))
            case _:
                self._change(done)

    def _open(self, name: str, descriptor: int, *, cut: bool) -> None:
        if name == ".":
            self.descriptors[descriptor] = name
            return
        file = self.names.get(name)
        if file is None:
            file = self.names[name] = DiskFile(bytearray())
            self.waiting.append((name, name, file))
        elif cut:
            file.waiting.append(0)
        self.descriptors[descriptor] = file

    def _change(self, done: RecordedOperation) -> None:
        file = self.descriptors.get(done.descriptor)
        if file is None:
            return
        waiting = self.waiting if isinstance(file, str) else file.waiting
        if done.kind is FileOperation.SYNC_BEGIN:
            self.flushing[done.descriptor] = len(waiting)
        elif done.kind is FileOperation.SYNC_END:
            n = self.flushing.pop(done.descriptor)
            if isinstance(file, str):
                _rename(self.on_disk, self.waiting[:n])
                del self.waiting[:n]
            else:
                file.flush(n)
        elif not isinstance(file, str):
            file.waiting.append((done.offset, done.data) if done.kind is FileOperation.WRITE else done.offset)

    def after(self, cut: PowerCut, rng: Generator) -> dict[str, bytes]:
        """Return the files after a power cut now."""
        names = dict(self.on_disk)
        n = int(rng.integers(len(self.waiting) + 1)) if cut == "some" else len(self.waiting) * (cut == "kept")
        _rename(names, self.waiting[:n])
        return {name: file.after(cut, rng) for name, file in names.items()}


def _rename(names: dict[str, DiskFile], changes: Iterable[_Rename]) -> None:
    for name, target, file in changes:
        names.pop(name, None)
        if target is not None and file is not None:
            names[target] = file


def _apply(content: bytearray, changes: Iterable[tuple[int, bytes] | int]) -> None:
    for change in changes:
        if isinstance(change, int):
            del content[change:]
            content.extend(bytes(max(0, change - len(content))))
        else:
            offset, data = change
            content.extend(bytes(max(0, offset - len(content))))
            content[offset : offset + len(data)] = data


def _some(change: tuple[int, bytes] | int, rng: Generator) -> list[tuple[int, bytes] | int]:
    """Return the sectors of a write that reached the disk; of a cut, itself or nothing."""
    if isinstance(change, int):
        return [change] if rng.random() < 0.5 else []
    offset, data = change
    # Half of the writes are whole or not there at all: torn ones alone would hardly ever leave a valid frame.
    whole = rng.random()
    if whole < 0.25:
        return []
    if whole < 0.5:
        return [change]
    parts: list[tuple[int, bytes] | int] = []
    start = 0
    while start < len(data):
        end = min(len(data), start + SECTOR - (offset + start) % SECTOR)
        if rng.random() < 0.5:
            parts.append((offset + start, data[start:end]))
        start = end
    return parts
