"""The list of activities at which a process is killed, each with the database that it finds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from simulator.bench.durability import activities as alone
from simulator.bench.durability import activities_beside as beside
from simulator.bench.durability import activities_surprised as surprises
from simulator.bench.durability.worker import Worker


@dataclass(frozen=True, slots=True)
class Activity:
    """What a process does, and the template of the database that it finds; None for no database."""

    work: Callable[[Worker], None]
    template: str | None = "grown"


ACTIVITIES: Mapping[str, Activity] = {
    "deciding": Activity(alone.deciding),
    "recording and correcting": Activity(alone.recording),
    "learning in small steps": Activity(alone.learning_often),
    "learning in large steps": Activity(alone.learning_much, "waiting"),
    "importing a CSV": Activity(alone.importing),
    "creating a database": Activity(alone.opening, None),
    "migrating from version 1": Activity(alone.opening, "version 1"),
    "migrating from version 2": Activity(alone.opening, "version 2"),
    "erasing": Activity(alone.erasing),
    "retaining": Activity(alone.retaining),
    "backing up": Activity(alone.backing_up),
    "spooling while locked": Activity(alone.spooling),
    "opening after a kill": Activity(alone.opening, "killed"),
    "on a full disk": Activity(alone.full_disk, "waiting"),
    "in a full database": Activity(alone.full_database, "waiting"),
    "read-only": Activity(alone.read_only, "waiting"),
    "one of several processes": Activity(beside.several),
    "erasing beside deciders": Activity(beside.erasing_beside),
    "spool of a dead process": Activity(beside.dead_spool),
    "interrupted by signals": Activity(surprises.interrupted),
    "in another directory": Activity(surprises.elsewhere),
    "file moved away and back": Activity(surprises.moved),
    "file replaced by a copy": Activity(surprises.replaced),
}
"""The activities of the crash benchmark by name."""
