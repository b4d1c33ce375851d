"""How an engine is doing: the record that a health check reads."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from bandit.engine.counters import Counters
from bandit.engine.worker import BackgroundWorker
from bandit.learning.learner import PolicyLearner
from bandit.store import SpooledWriter, Store, file_size, wal_path

PATIENCE = 0.05
"""Seconds that are waited, each, for other threads and for other processes."""


@dataclass(frozen=True, slots=True)
class Status:
    """The state of an engine; times are microseconds since 1970 UTC, and what could not be found out is None.

    `decisions` and `faults` (how many decisions ended in the fallback, by kind of fault) count since it was opened;
    `unlogged` of them could be written nowhere. `step` is the policy's, `newest_step` the ledger's, `lag` how many
    steps the policy is behind. `learning` says whether it is the one that learns just now, `policy_fault` why there is
    no state to decide by. `spooled` lines wait
    in `spool`, and `refused` of earlier ones the database did not take. `last_write_ok` is None before the first.
    """

    path: str
    decisions: int
    faults: Mapping[str, int]
    last_fault: str | None
    last_fault_time: int | None
    unlogged: int
    policy_id: int
    step: int
    newest_step: int | None
    lag: int | None
    learning: bool
    following: bool
    policy_fault: str | None
    spooled: int
    spool: str | None
    refused: int
    last_write_ok: bool | None
    last_write_time: int | None
    database_bytes: int | None
    wal_bytes: int | None
    closed: bool

    @property
    def well(self) -> bool:
        """Whether decisions come from the policy and go into the database."""
        sound = self.policy_fault is None and self.last_write_ok is not False
        return sound and not self.closed and not self.spooled

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return asdict(self) | {"faults": dict(self.faults), "well": self.well}


def status_of(
    store: Store,
    learner: PolicyLearner,
    writer: SpooledWriter,
    counters: Counters,
    background: BackgroundWorker,
    *,
    closed: bool,
) -> Status:
    """Return the state of an engine; it never raises, and waits for next to nothing."""
    current, newest, waiting, path = learner.current, None, writer.path, store.path
    with contextlib.suppress(Exception):
        newest = None if closed else _newest(store, learner.policy_id)
    return Status(
        path=str(path),
        decisions=counters.decisions,
        faults=dict(counters.faults),
        last_fault=counters.last_fault,
        last_fault_time=counters.last_fault_time,
        unlogged=counters.unlogged,
        policy_id=learner.policy_id,
        step=current.step,
        newest_step=newest,
        lag=None if newest is None else newest - current.step,
        learning=background.learning,
        following=background.following,
        policy_fault=current.fault,
        spooled=writer.spooled,
        spool=None if waiting is None else str(waiting),
        refused=writer.refused,
        last_write_ok=writer.last_ok,
        last_write_time=writer.last_time,
        database_bytes=_size(path),
        wal_bytes=_size(wal_path(path)),
        closed=closed,
    )


def _newest(store: Store, policy_id: int) -> int | None:
    with store.exclusive_within(PATIENCE) as free:
        if not free:
            return None
        with store.lock_timeout(PATIENCE):
            return store.ledger.latest_step(policy_id)


def _size(path: Path) -> int | None:
    try:
        return file_size(path)
    except OSError:
        return None
