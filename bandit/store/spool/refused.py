"""Reads the spooled lines that a database refused, so that somebody may look at what they were."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from bandit.printable import counted, plain
from bandit.store.spool.file import REFUSED, open_regular, read_line
from bandit.store.spool.records import SpooledDecisions, read_spooled

if TYPE_CHECKING:
    from pathlib import Path

_NAMED = 5
"""Ids that the sentence about refused lines names."""

_LONGEST_ID = 80

_KINDS = {"decisions": "of decisions", "events": "of events", "damaged": "damaged"}


@dataclass(frozen=True, slots=True)
class RefusedLine:
    """A spooled line that the database refused: its kind, the decisions that it names, and the reason.

    The kind is "decisions", "events", or "damaged" where the line cannot be read, so that it names none.
    """

    kind: str
    decision_ids: tuple[str, ...]
    reason: str


def refused_path(database: Path) -> Path:
    """Return the file of refused lines beside a database; it exists only where there are any."""
    return database.with_name(database.name + REFUSED)


def refused_lines(database: Path) -> tuple[RefusedLine, ...]:
    """Return the lines that a database refused, in the order in which it did; none where that cannot be read."""
    try:
        with os.fdopen(open_regular(refused_path(database), os.O_RDONLY), "rb") as file:
            lines = file.read().splitlines()
    except OSError:
        return ()
    # A fold that was rolled back and done again before has left the same line twice.
    return tuple(_refused(line) for line in dict.fromkeys(lines))


def refused_sentence(database: Path, lines: tuple[RefusedLine, ...]) -> str:
    """Return what was refused and what to do about it."""
    kinds = Counter(line.kind for line in lines)
    names = list(dict.fromkeys(name for line in lines for name in line.decision_ids))
    shown = ", ".join(f'"{plain(name, _LONGEST_ID)}"' for name in names[:_NAMED])
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    what = ", ".join(f"{kinds[kind]:,} {words}" for kind, words in _KINDS.items() if kinds[kind])
    named = f", which name {counted(len(names), 'decision')}: {shown}{more}" if names else ""
    return (
        f"{refused_path(database)}: the database refused {counted(len(lines), 'spooled line')} ({what}){named}; of an "
        "id that was answered twice, the log has the answer that reached it first. Record what is missing from the "
        "log, then delete the file"
    )


def _refused(line: bytes) -> RefusedLine:
    try:
        kept = msgspec.json.decode(line, type=dict[str, str])
        content = read_spooled(read_line(kept["line"].encode()))
    except (msgspec.MsgspecError, KeyError):
        return RefusedLine("damaged", (), "the line is damaged")
    kind = "decisions" if isinstance(content, SpooledDecisions) else "events"
    return RefusedLine(kind, tuple(content.decision_ids), kept["reason"])
