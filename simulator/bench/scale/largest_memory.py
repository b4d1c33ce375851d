"""The largest resident memory of a process."""

from __future__ import annotations

from pathlib import Path


def largest_memory() -> float:
    """Return the most resident memory that this process had, in mebibytes; NaN where the system does not report it.

    `getrusage` counts, for a process that was started by a larger one, what that one had.
    """
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return float("nan")
    found = (int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:"))
    return next(found, float("nan"))
