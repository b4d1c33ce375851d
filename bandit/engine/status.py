"""The state of an engine, as a health check reads it."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from bandit.catalogue.undeclared import UndeclaredValues
from bandit.engine.counters import EngineCounters
from bandit.engine.live_rollout import LiveRollout
from bandit.learning import PolicyLearner
from bandit.store import SpooledWriter, Store, file_size, wal_path

STATUS_WAIT = 0.05
"""Seconds that a status waits for other threads, and again for other processes."""


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """The state of an engine; times are microseconds since 1970 UTC, and a value that could not be read is None.

    `decisions` and `faults` (how many decisions ended in the fallback, by kind of fault) count since the engine was
    opened; `unlogged` of the decisions could be written nowhere. `step` is the policy's step, `newest_step` the
    ledger's, `lag` how many steps the policy is behind. `learning` says whether this engine is learning now,
    `following` whether it is taking over steps that another engine learned, and `policy_fault` why there is no usable
    state. `spooled` lines wait in the file `spool`; `refused` lines of earlier ones were not accepted by the database.
    `last_write_ok` is None before the first write. `rollout` is the mode of the roll-out that this engine decides by,
    `policy_share` the share of customers whom policies serve, and `halted` says who halted them, when and why; it is
    None where they are not halted. `carried` says what the policy took over from another when it was new to the
    database (`words` is a sentence), or why it began untrained though another had learned; None where neither holds.
    `undeclared` has the facts whose decisions had values that the catalogue does not declare, since the engine was
    opened. `folding` says how far a policy is that learns the log anew by other methods of learning, while the one of
    the older methods serves; None where none is. `set_aside` decisions have an outcome that the policy could not learn.
    `outage` says why the database took nothing when it was last tried, such as that its file was moved, and `replaced`
    which other file the engine serves from since its own was replaced.
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
    rollout: str
    policy_share: float
    halted: str | None
    carried: Mapping[str, object] | None = None
    undeclared: tuple[UndeclaredValues, ...] = ()
    folding: str | None = None
    set_aside: int | None = None
    outage: str | None = None
    replaced: str | None = None

    @property
    def well(self) -> bool:
        """Whether the policy makes the decisions and the database takes them."""
        sound = self.policy_fault is None and self.last_write_ok is not False
        return sound and self.halted is None and not self.closed and not self.spooled

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        found = [each.to_dict() for each in self.undeclared]
        return asdict(replace(self, undeclared=())) | {
            "faults": dict(self.faults),
            "undeclared": found,
            "well": self.well,
        }


def status_of(
    store: Store,
    learner: PolicyLearner,
    writer: SpooledWriter,
    counters: EngineCounters,
    rollout: LiveRollout,
    *,
    closed: bool,
) -> EngineStatus:
    """Return the state of an engine; never raises, and waits at most twice `STATUS_WAIT`."""
    current, newest, aside, spool, path = learner.current, None, None, writer.path, store.path
    worker, live = rollout.worker_of(learner), rollout.current
    with contextlib.suppress(Exception):
        newest, aside = (None, None) if closed else _from_database(store, learner.policy_id)
    return EngineStatus(
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
        learning=worker.learning,
        following=worker.syncing,
        policy_fault=current.fault,
        spooled=writer.spooled,
        spool=None if spool is None else str(spool),
        refused=writer.refused,
        last_write_ok=writer.last_ok,
        last_write_time=writer.last_time,
        database_bytes=_size(path),
        wal_bytes=_size(wal_path(path)),
        closed=closed,
        rollout="full" if live.state is None else live.state.mode,
        policy_share=1.0 if live.state is None else live.state.policy_share,
        halted=live.halted,
        carried=_carried(learner),
        set_aside=aside,
        outage=writer.outage_words,
    )


def _carried(learner: PolicyLearner) -> Mapping[str, object] | None:
    """Return what a policy took over; that it began untrained is of no interest once it has learned."""
    carried = learner.carried
    if carried is None or (carried.how == "untrained" and learner.step):
        return None
    return carried.to_dict()


def _from_database(store: Store, policy_id: int) -> tuple[int | None, int | None]:
    """Return the newest step, and how many decisions have an outcome that was set aside; None for what is not known."""
    with store.exclusive_within(STATUS_WAIT) as free:
        if not free:
            return None, None
        with store.lock_timeout(STATUS_WAIT):
            return store.ledger.latest_step(policy_id), len(store.ledger.set_aside.decisions(policy_id))


def _size(path: Path) -> int | None:
    try:
        return file_size(path)
    except OSError:
        return None
