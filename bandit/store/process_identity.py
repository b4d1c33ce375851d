"""Names processes so that another process of the same machine can tell whether one has ended.

The name of an owner ends with "@BOOT/NAMESPACE/PID/START": the kernel's id of this boot, the inode of the process's pid
namespace, its id there, and when it started (clock ticks since boot), since ids are used again. Where a part cannot be
read, as on macOS and Windows, the name has none of this, and nothing is concluded from it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

_PROC = Path("/proc")
_OWNER = re.compile(r"[^@]*@(?P<boot>[0-9a-f-]+)/(?P<namespace>\d+)/(?P<pid>[1-9]\d{0,9})/(?P<start>\d+)", re.ASCII)


def owner_name(unique: str) -> str:
    """Return the name of an owner in this process: a text that is unique to it, and the identity of the process."""
    here = _here()
    start = None if here is None else _start(os.getpid())
    return unique if here is None or start is None else f"{unique}@{here[0]}/{here[1]}/{os.getpid():d}/{start:d}"


def has_ended(owner: str) -> bool:
    """Say whether the process of an owner has certainly ended; False where that cannot be known from here.

    It can be known in the same boot of the machine and the same pid namespace: another container's processes are not
    seen from this one, and neither are those of another machine.
    """
    found = _OWNER.fullmatch(owner)
    if found is None or (found["boot"], found["namespace"]) != _here():
        return False
    pid = int(found["pid"])
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):  # of another user: it exists
        pass
    start = _start(pid)  # None where the files of other users' processes are hidden
    return start is not None and start != int(found["start"])


def _here() -> tuple[str, str] | None:
    """Return the id of this boot and of the pid namespace; None where they are not known.

    /proc may show another namespace than that of this process, and then says nothing about its neighbours.
    """
    try:
        if str((_PROC / "self").readlink()) != str(os.getpid()):
            return None
        boot = (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        namespace = str((_PROC / "self/ns/pid").readlink())
    except (OSError, ValueError):
        return None
    return boot, re.sub(r"\D", "", namespace)


def _start(pid: int) -> int | None:
    """Return when a process started, -1 if it has ended and its parent has not asked for its end yet."""
    try:
        # The second field is the program's name in parentheses, and may contain any character (proc(5)).
        fields = (_PROC / f"{pid:d}/stat").read_bytes().rpartition(b")")[2].split()
        state, threads, start = fields[0], int(fields[17]), int(fields[19])
    except (OSError, ValueError, IndexError):
        return None
    return -1 if state in {b"Z", b"X"} and threads <= 1 else start
