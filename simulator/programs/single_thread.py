"""Programs with one thread of linear algebra in each process.

The matrices here are small. Several threads gain nothing on them, and where another process keeps a core busy, as the
demo's second process does, they wait for each other at every product: learning then took forty times as long.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def run_single_threaded(module: str, main: Callable[[], int]) -> int:
    """Call `main` where the environment sets the number of threads, else run `python -m module` again with one thread.

    The libraries read their number of threads when they are loaded, which is before any code here runs.
    """
    if any(name in os.environ for name in _VARIABLES):
        return main()
    environment = os.environ | dict.fromkeys(_VARIABLES, "1")
    try:
        command = [sys.executable, "-m", module, *sys.argv[1:]]
        return subprocess.run(command, env=environment, check=False).returncode  # noqa: S603 - this very program
    except KeyboardInterrupt:
        return 130
