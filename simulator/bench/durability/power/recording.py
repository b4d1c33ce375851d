"""Runs a program under the recorder, and reads the recorded file operations."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from bandit.errors import InputError

_HEAD = struct.Struct("<BiqII")
RECORD_SECONDS = 300.0
"""Seconds that a recorded program may take."""


class FileOperation(IntEnum):
    """What was done; the numbers are those of `recorder.c`."""

    OPEN = 1
    CLOSE = 2
    WRITE = 3
    TRUNCATE = 4
    SYNC_BEGIN = 5
    SYNC_END = 6
    UNLINK = 7
    RENAME = 8


@dataclass(frozen=True, slots=True)
class RecordedOperation:
    """One operation: on a descriptor, or on a name; `name` and `target` are paths, `data` what was written."""

    kind: FileOperation
    descriptor: int
    offset: int
    name: str
    data: bytes

    @property
    def target(self) -> str:
        """The new name of a renamed file."""
        return self.data.decode()


def compiled_recorder(folder: Path) -> Path:
    """Compile the recorder into a folder and return it; InputError without a C compiler, or not on Linux."""
    if sys.platform != "linux":
        raise InputError("file operations are recorded as Linux loads libraries; run it there")
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise InputError("there is no C compiler (cc, gcc, clang), which compiles the recorder; install one")
    library = folder / "recorder.so"
    source = Path(__file__).with_name("recorder.c")
    command = [compiler, "-O1", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl", "-lpthread"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - a compiler found above
    if done.returncode:
        raise InputError(f"the recorder cannot be compiled: {done.stderr.strip().splitlines()[0]}")
    return library


def record(library: Path, root: Path, trace: Path, module: str, arguments: Sequence[str]) -> list[RecordedOperation]:
    """Run a module of Python, and return what it did to the files under `root`; InputError if it fails."""
    environment = os.environ | {"LD_PRELOAD": str(library), "POWER_ROOT": str(root), "POWER_TRACE": str(trace)}
    environment["OPENBLAS_NUM_THREADS"] = "1"
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(  # noqa: S603 - this program's own interpreter and module
        command, env=environment, capture_output=True, text=True, check=False, timeout=RECORD_SECONDS
    )
    if done.returncode:
        raise InputError(f"the recorded program failed: {done.stderr.strip()[-400:]}")
    return list(operations(trace.read_bytes()))


def operations(content: bytes) -> Iterator[RecordedOperation]:
    """Read a recording."""
    place = 0
    while place < len(content):
        kind, descriptor, offset, n_name, n_data = _HEAD.unpack_from(content, place)
        place += _HEAD.size
        name, data = content[place : place + n_name], content[place + n_name : place + n_name + n_data]
        place += n_name + n_data
        yield RecordedOperation(FileOperation(kind), descriptor, offset, name.decode(), data)
