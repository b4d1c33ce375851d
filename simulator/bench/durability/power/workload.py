"""The recorded program: one activity of the crash benchmark on the database of a folder, until it is done."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import numpy as np

from bandit import Catalogue
from bandit.store.connection_setup import Durability
from simulator.bench.durability.activity_list import ACTIVITIES
from simulator.bench.durability.worker import CRASH_CATALOGUE, AcknowledgementLog, Worker


def power_worker(folder: Path, durability: str, seed: int) -> Worker:
    """Return the worker on a folder's database, with its acknowledgements beside it."""
    chosen: Durability = "full" if durability == "full" else "process"
    return Worker(
        folder / "work.db",
        AcknowledgementLog(folder / "notes"),
        chosen,
        np.random.default_rng(seed),
        Catalogue.from_dict(CRASH_CATALOGUE),
    )


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # a migration warns where it keeps its copy
    place, name, level, number = sys.argv[1:]
    ACTIVITIES[name].work(power_worker(Path(place), level, int(number)))
