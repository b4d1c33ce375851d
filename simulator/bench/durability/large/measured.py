"""Measures a step in a process of its own: seconds, of them the processor's, and the largest memory of that process."""

from __future__ import annotations

import math
import os
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from bandit.errors import StoreError


@dataclass(frozen=True, slots=True)
class LargeStep:
    """One step: what it was, how many things it did, its seconds, and the memory in MiB that its process reached.

    `cpu` are the seconds of the processor, which other programs on the machine do not lengthen much.
    """

    what: str
    n: int
    seconds: float
    cpu: float
    rss: float
    note: str = ""

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return asdict(self)


def measured(what: str, work: Callable[[], tuple[int, str]], *, alone: bool = True) -> LargeStep:
    """Do the work, in a forked process if `alone`, and return what it took; `work` returns how many and a note.

    StoreError if the process fails, with its traceback on the standard error.
    """
    if not alone:
        begun, worked = time.perf_counter(), time.process_time()
        n, note = work()
        return LargeStep(what, n, time.perf_counter() - begun, time.process_time() - worked, float("nan"), note)
    back, there = os.pipe()
    begun = time.perf_counter()
    pid = os.fork()
    if not pid:
        _work_and_tell(work, there)
    os.close(there)
    with os.fdopen(back, encoding="utf-8") as pipe:
        told = pipe.read()
    _, code, used = os.wait4(pid, 0)
    if code:
        raise StoreError(f"{what}: the process failed with {code}; its traceback is above")
    number, _, note = told.partition(" ")
    worked = used.ru_utime + used.ru_stime
    return LargeStep(what, int(number), time.perf_counter() - begun, worked, used.ru_maxrss / 1024, note)


def _work_and_tell(work: Callable[[], tuple[int, str]], there: int) -> None:
    code = 1
    try:
        n, note = work()
        os.write(there, f"{n} {note}".encode())
        code = 0
    except BaseException:  # noqa: BLE001 - the parent reports it
        traceback.print_exc()
    finally:
        os._exit(code)


def steps_markdown(steps: Sequence[LargeStep]) -> str:
    """Return the table."""
    text = ["| step | number | seconds | of it CPU | CPU ms each | RSS MiB | |", "|---|---:|---:|---:|---:|---:|---|"]
    return "\n".join([*text, *map(step_line, steps)]) + "\n"


def step_line(step: LargeStep) -> str:
    """Return one row of the table."""
    shown = (
        step.what,
        f"{step.n:,}",
        f"{step.seconds:,.2f}",
        f"{step.cpu:,.2f}",
        f"{1e3 * step.cpu / max(step.n, 1):,.3f}",
        "" if math.isnan(step.rss) else f"{step.rss:,.0f}",
        step.note,
    )
    return f"| {' | '.join(shown)} |"
