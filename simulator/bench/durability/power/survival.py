"""What must survive a power cut: with "full" all that was acknowledged, with "process" the state of some moment."""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from bandit.errors import OfferBanditError
from bandit.store import Store
from simulator.bench.durability.acknowledgements import DatabaseContent, events_in, same
from simulator.bench.durability.resume import contains
from simulator.bench.durability.worker import ERASED_CUSTOMER
from simulator.bench.engines import BENCH_KEY

_ACKNOWLEDGING = ("decided", "recorded", "learned")


@dataclass(frozen=True, slots=True)
class _Survived:
    decisions: frozenset[str]
    events: dict[tuple[str, str], float]
    step: int


def cut_to_survivors(folder: Path) -> list[str]:
    """Cut the acknowledgements beside a database to a moment whose state it has; the problem if there is none.

    Durability "process" promises no more about a power cut than that: the database is as it was at some moment.
    """
    path, notes = folder / "work.db", folder / "notes"
    try:
        lines = [msgspec.json.decode(line) for line in notes.read_bytes().split(b"\n")[:-1]]
    except FileNotFoundError:
        return []
    if not path.exists() or not path.stat().st_size:
        notes.unlink()
        return []
    try:
        survived = _survived(path)
    except OfferBanditError as fault:
        return [f"the database cannot be opened: {fault}"]
    for n in range(len(lines), -1, -1):
        if (not n or lines[n - 1]["what"] in _ACKNOWLEDGING) and _is_state_of(survived, lines[:n], lines[n:]):
            # What was begun next may be there.
            kept = [*lines[:n], *(line for line in lines[n : n + 1] if line["what"] not in _ACKNOWLEDGING)]
            notes.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in kept))
            return []
    return ["what is left was not there at any moment"]


def _survived(path: Path) -> _Survived:
    with Store.open(path, customer_key=BENCH_KEY) as store:
        store.fold_spools()
    with contextlib.closing(sqlite3.connect(path)) as raw:
        names = frozenset(name for (name,) in raw.execute("SELECT decision_id FROM decisions"))
        step = raw.execute("SELECT coalesce(max(step), 0) FROM learned").fetchone()[0]
        return _Survived(names, events_in(raw)[0], step)


def _is_state_of(survived: _Survived, before: Sequence[dict[str, Any]], after: Sequence[dict[str, Any]]) -> bool:
    """Say whether the database has all of the first acknowledgements, and none of those after the next request."""
    events: dict[tuple[str, str], float] = {}
    for line in before:
        if line["what"] == "decided" and not survived.decisions.issuperset(line["ids"]):
            return False
        if line["what"] == "recorded":
            events |= {(name, line["event"]): amount for name, amount in zip(line["ids"], line["revenue"], strict=True)}
        if line["what"] == "learned" and survived.step < line["step"]:
            return False
    begun = after[0] if after else {"what": "", "ids": ()}
    later = [line for line in after[2:] if line["what"] in {"deciding", "recording"}]
    if any(line["what"] == "deciding" and not survived.decisions.isdisjoint(line["ids"]) for line in later):
        return False
    unanswered = set()
    if begun["what"] == "recording":
        unanswered = {(name, begun["event"]) for name in begun["ids"]}
    later_keys = {(name, line["event"]) for line in later if line["what"] == "recording" for name in line["ids"]}
    return all(same(survived.events.get(key), amount) for key, amount in events.items() if key not in unanswered) and (
        later_keys.isdisjoint(survived.events.keys() - events.keys() - unanswered)
    )


def removed_bytes_left(folder: Path, before: DatabaseContent) -> list[str]:
    """Return the files that have a byte of a customer whose erasure was acknowledged, before anything is opened."""
    try:
        erased = b'{"what":"erased"' in (folder / "notes").read_bytes()
    except FileNotFoundError:
        return []
    key = hashlib.blake2b(ERASED_CUSTOMER.encode(), digest_size=16, key=BENCH_KEY).hexdigest()
    words = [key.encode(), *(name.encode() for name, customer in before.decisions.items() if customer == key)]
    return [
        f"bytes of an erased customer are in {path.name}"
        for path in sorted(folder.glob("work.db*"))
        if erased and any(contains(word, path.read_bytes()) for word in words)
    ]
