"""A real Dask scheduler with two workers, each a process of its own, and a dataset that they read."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bandit.logfiles import open_dataset
from tests.logfiles.dataset.conftest import made, odd, write

pytest.importorskip("distributed")

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Processes:
    """A scheduler and its workers."""

    address: str
    folder: Path
    running: list = field(default_factory=list)

    def add_worker(self):
        command = ["worker", self.address, "--nthreads", "1", "--no-dashboard", "--no-nanny", "--death-timeout", "60"]
        self.running.append(start(self.folder, *command))
        return self.running[-1]


def start(folder, *arguments):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", "dask", *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@pytest.fixture(scope="session")
def dataset(tmp_path_factory, made):
    """121 settled decisions of 19 customers in six partitions."""
    folder = tmp_path_factory.mktemp("cluster") / "log"
    write(made, folder, odd(), partitions=6)
    return open_dataset(folder)


@pytest.fixture
def processes(tmp_path):
    """A scheduler without workers."""
    file = tmp_path / "scheduler.json"
    scheduler = start(tmp_path, "scheduler", "--port", "0", "--no-dashboard", "--scheduler-file", str(file))
    for _ in range(600):
        if file.exists() and file.read_text().strip().endswith("}"):
            break
        time.sleep(0.1)
    import json  # noqa: PLC0415

    found = Processes(json.loads(file.read_text())["address"], tmp_path, [scheduler])
    yield found
    for process in reversed(found.running):
        process.kill()
        process.wait()


__all__ = ["made"]
