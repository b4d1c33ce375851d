"""Execute every notebook of this directory in a temporary one; fail on an error, and on outputs that were stored."""  # noqa: INP001

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

HERE = Path(__file__).resolve().parent
TIMEOUT = 300
"""Seconds a cell may take."""


def stored(notebook: nbformat.NotebookNode) -> list[int]:
    """Return the numbers, from 1, of the cells with outputs or an execution count."""
    return [
        number
        for number, cell in enumerate(notebook.cells, start=1)
        if cell.cell_type == "code" and (cell.outputs or cell.execution_count is not None)
    ]


def fault_of(path: Path) -> str | None:
    """Execute one notebook and return what is wrong with it, or None."""
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    kept = stored(notebook)
    if kept:
        return f"cells {', '.join(map(str, kept))} have stored outputs; clear all outputs and save"
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook,
            timeout=TIMEOUT,
            kernel_name="python3",
            resources={"metadata": {"path": folder}},
            extra_arguments=["--IPKernelApp.log_level=40"],
        )
        try:
            client.execute()
        except CellExecutionError as fault:
            return str(fault)
    return None


def main(paths: Sequence[str]) -> int:
    """Execute the notebooks named, or all of this directory; returns 1 where one fails."""
    os.environ.setdefault("MPLBACKEND", "Agg")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if sys.platform == "win32":  # the kernel's sockets need the older event loop there
        asyncio.set_event_loop_policy(asyncio.WindowsSelectorEventLoopPolicy())
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    found = [Path(path) for path in paths] or sorted(HERE.glob("*.ipynb"))
    failed = 0
    for path in found:
        begun = time.perf_counter()
        fault = fault_of(path)
        sys.stdout.write(f"{path.name}: {'ok' if fault is None else fault} ({time.perf_counter() - begun:.0f} s)\n")
        failed += fault is not None
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
