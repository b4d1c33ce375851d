"""Settings of the disturbed soak: its activities, how often they come, and what a process needs to take part."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bandit import Catalogue
from bandit.errors import InputError
from simulator.bench.durability.worker import CRASH_CATALOGUE

DISTURBANCES: Mapping[str, float] = {
    "kills": 12.0,
    "signals": 1.0,
    "pauses": 45.0,
    "locks": 15.0,
    "clock": 20.0,
    "disk": 40.0,
    "moved": 150.0,
    "replaced": 300.0,
    "forks": 10.0,
    "erase": 100.0,
    "retain": 400.0,
    "backup": 90.0,
    "verify": 900.0,
    "crossing": 0.5,
    "chdir": 0.0,
}
"""The activities beside deciding, recording and learning, and the mean seconds between two of a kind.

`crossing` is one process using a decision of another, `chdir` a process that opens by a relative path and then changes
its directory.
"""

GUEST_SECONDS = 60
"""Seconds for which a customer who will be erased comes."""

GUEST_REST = 3
"""Such periods between a customer's last visit and the erasure."""

RETAINED_SECONDS = 1_200
"""Age in seconds at which a retention run removes a decision."""

REOPENED_SECONDS = 60.0
"""Mean seconds until a process closes its engine and opens another."""

SOAK_CATALOGUE = dict(CRASH_CATALOGUE) | {"objective": {"kind": "profit", "margin": 0.4, "window": "10min"}}

OPENING_LOCK = "opening.lock"
"""The file that is locked, shared, while an engine opens or an upkeep task runs, and alone while the database moves."""


@dataclass(frozen=True, slots=True)
class SoakSettings:
    """Where the processes work and what happens to them; `rate` is decisions a second of all of them."""

    folder: Path
    seconds: float
    rate: float
    processes: int
    durability: str
    activities: frozenset[str]
    seed: int

    @property
    def path(self) -> Path:
        """The database."""
        return self.folder / "data" / "work.db"

    @property
    def notes(self) -> Path:
        """The folder of notes."""
        return self.folder / "notes"

    def catalogue(self) -> Catalogue:
        """Return the catalogue."""
        return Catalogue.from_dict(SOAK_CATALOGUE)


def soak_settings(
    folder: Path,
    *,
    minutes: float,
    rate: float,
    processes: int,
    durability: str,
    activities: Sequence[str],
    seed: int,
) -> SoakSettings:
    """Return the settings; InputError for a value that cannot be used, and on other systems than Linux."""
    for name in activities:
        if name not in DISTURBANCES:
            raise InputError(f'there is no activity "{name}"; there are {", ".join(DISTURBANCES)}')
    if min(minutes, rate, processes) <= 0:
        raise InputError("minutes, rate and processes are numbers above 0; give larger ones")
    if sys.platform != "linux":
        raise InputError("processes are forked and stopped as Linux does it; run it there")
    if folder.exists() and any(folder.iterdir()):
        raise InputError(f"{folder}: is not empty; name a new folder")
    return SoakSettings(folder, 60.0 * minutes, rate, processes, durability, frozenset(activities), seed)
