"""Evaluates two policies on a log in a file, in this version or another: it imports nothing of the benchmark.

The task is a line of JSON. The answer is one, too: the seconds of the processor of the whole process, from its start
and with all threads, its largest memory, and every estimate with its interval.
"""

import json
import resource
import sys
import time
import warnings
from pathlib import Path


def main() -> None:
    """Serve one task."""
    task = json.loads(sys.stdin.readline())
    warnings.simplefilter("ignore")
    begun = time.perf_counter()

    from bandit import Catalogue, SegmentRules  # noqa: PLC0415 - its time and memory are measured
    from bandit.evaluate import evaluate  # noqa: PLC0415
    from bandit.logfiles import open_log  # noqa: PLC0415

    catalogue = Catalogue.from_dict(task["catalogue"])
    policies = {each["name"]: SegmentRules.from_dict(catalogue, each) for each in task["policies"]}
    log = open_log(task["path"], catalogue)
    opened = _processor_seconds()
    names = list(policies)
    result = evaluate(log, policies, names[0], estimators=task["estimators"])
    rows = [
        {
            "policy": row.name,
            "values": {each.name: [each.value, each.low, each.high] for each in row.estimates},
            "differences": {each.name: [each.value, each.low, each.high] for each in row.difference or ()},
        }
        for row in result.rows
    ]
    answer = {
        "seconds": _processor_seconds(),
        "opened": opened,
        "elapsed": time.perf_counter() - begun,
        "peak": _peak_bytes(),
        "n": result.n,
        "customers": result.customers,
        "rows": rows,
    }
    sys.stdout.write(json.dumps(answer) + "\n")


def _processor_seconds() -> float:
    """Return seconds in user and system mode, of this process and of children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def _peak_bytes() -> int:
    """Return the largest memory of this process, which on Linux does not include that of the one that started it."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(each for each in status.read_text(encoding="ascii").splitlines() if each.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale


if __name__ == "__main__":
    main()
