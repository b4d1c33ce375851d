"""Checks of a database after its process was killed: nothing may be lost, doubled or done in part."""

from __future__ import annotations

import contextlib
import fcntl
import sqlite3
import time
import warnings
from collections.abc import Mapping
from pathlib import Path

from bandit import Catalogue, Engine
from bandit.governance.verify import verify
from bandit.learning import PolicyLearner
from bandit.policies import build
from bandit.store import state_hash
from bandit.store.spool.file import REFUSED, spools
from simulator.bench.durability.acknowledgements import Acknowledged, DatabaseContent, beside_lock, events_in, same
from simulator.bench.durability.activities_surprised import put_back
from simulator.bench.durability.resume import repeat_commands, repeat_requests
from simulator.bench.durability.worker import ERASED_CUSTOMER, IMPORTED_ROWS, RETAINED_FROM, Worker
from simulator.market.season import DAY

OTHERS_SECONDS = 90.0
"""Seconds that the check waits for processes beside the killed one."""


def check_recovery(worker: Worker, before: DatabaseContent) -> list[str]:
    """Open the database again, compare it with what was acknowledged, continue the work; return the problems."""
    _wait_for_others(worker.notes.path)
    put_back(worker.path)
    acknowledged = Acknowledged.read(worker.notes)
    problems = [] if acknowledged.fault is None else [f"the process itself failed: {acknowledged.fault}"]
    problems += acknowledged.problems
    problems += [f"refused in more than a sentence: {each!r}" for each in acknowledged.refusals if "\n" in each]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a migration warns where it keeps the copy
            _expire_leases(worker.path)
            with worker.engine() as engine:
                problems += _states(engine, worker.catalogue, acknowledged)
                problems += _rows(worker.path, engine, acknowledged, before)
                problems += _files(worker.path)
                problems += repeat_requests(engine, acknowledged)
            _expire_leases(worker.path)
            problems += repeat_commands(worker, acknowledged, before)
            with worker.store() as store:
                problems += [f"verify: {each}" for each in verify(store).problems]
            with worker.engine() as engine:
                engine.decide("a newcomer", {"age": 30.0, "member": True})
                if not engine.learn(now=worker.clock.now + 40 * DAY).learner or not engine.rebuild().same:
                    problems.append("the engine does not learn any more, or its state is not what a rebuild gives")
    except Exception as fault:  # noqa: BLE001 - every fault must be in the table
        problems.append(f"{type(fault).__name__}: {fault}")
    return problems


def _wait_for_others(notes: Path) -> None:
    """Wait until the processes beside the killed one have ended; they know its death and end by themselves."""
    path, until = beside_lock(notes), time.monotonic() + OTHERS_SECONDS
    if not path.exists():
        return
    with path.open("rb") as file:
        while time.monotonic() < until:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            time.sleep(0.02)


def _expire_leases(path: Path) -> None:
    """Expire the leases of the killed process, as happens within a minute."""
    if not path.exists():
        return
    with contextlib.closing(sqlite3.connect(path, timeout=5.0)) as raw, contextlib.suppress(sqlite3.OperationalError):
        raw.execute("UPDATE leases SET until = 0")
        raw.commit()


def _states(engine: Engine, catalogue: Catalogue, acknowledged: Acknowledged) -> list[str]:
    """Replay the ledger from its beginning and compare the states, byte for byte, with the live and the earlier one."""
    learner = engine.learner
    problems = []
    if learner.current.fault is not None:
        return [f"the policy cannot be restored: {learner.current.fault}"]
    replayed = PolicyLearner(engine.store, catalogue, engine.catalogue_id, build(catalogue, learner.policy.spec()))
    policy, before = replayed.base_policy(), acknowledged.learned
    for step in range(replayed.base_step + 1, learner.step + 1):
        policy.update(replayed.history.outcomes_of_step(step))
        if before is not None and step == before[0] and state_hash(policy.dumps()) != before[1]:
            problems.append(f"the state replayed to step {step} is not the one that was live")
    if policy.dumps() != engine.policy.dumps():
        problems.append("the rebuilt state is not the live one, byte for byte")
    if before is not None and learner.step < before[0]:
        problems.append(f"step {before[0]} was acknowledged, and {learner.step} is the last one left")
    return problems


def _rows(path: Path, engine: Engine, acknowledged: Acknowledged, before: DatabaseContent) -> list[str]:
    problems = []
    with contextlib.closing(sqlite3.connect(path)) as raw:
        rows = raw.execute(
            "SELECT d.decision_id, k.key, d.offer, d.propensity FROM decisions d "
            "JOIN customers k ON k.id = d.customer_id"
        ).fetchall()
        events, twice = events_in(raw)
    stored = {name: (key, offer, propensity) for name, key, offer, propensity in rows}
    removable = _removable(engine, acknowledged, before)
    lost = [name for name in before.decisions if name not in stored and name not in removable]
    for name, (customer, offer, propensity) in acknowledged.decided.items():
        if stored.get(name) != (engine.store.customers.stored(customer), offer, propensity):
            lost.append(name)
    if lost:
        problems.append(f"{len(lost)} acknowledged decisions are lost or changed, for example {lost[0]}")
    known = before.events | acknowledged.recorded
    began = acknowledged.began.get("recording", {})
    unanswered = {(name, began["event"]) for name in began["ids"]} if began else set()
    missing = [
        key
        for key, amount in known.items()
        if key[0] not in removable and key not in unanswered and not same(events.get(key), amount)
    ]
    if missing:
        problems.append(f"{len(missing)} acknowledged events are lost or changed, for example {missing[0]}")
    if len(stored) != len(rows) or twice:
        problems.append(f"{len(rows) - len(stored) + twice} rows exist twice")
    problems += _partial_writes(acknowledged, before, stored, events)
    return problems


def _partial_writes(
    acknowledged: Acknowledged,
    before: DatabaseContent,
    stored: Mapping[str, object],
    events: dict[tuple[str, str], float],
) -> list[str]:
    """Return what was written only in part: the decisions or events of one call, an import."""
    problems = []
    began = {what: line.get("ids", []) for what, line in acknowledged.began.items()}
    if 0 < sum(name in stored for name in began.get("deciding", [])) < len(began.get("deciding", [])):
        problems.append("a batch of decisions was written in part")
    if "recording" in began:
        line = acknowledged.began["recording"]
        new = [
            same(events.get((name, line["event"])), amount)
            for name, amount in zip(line["ids"], line["revenue"], strict=True)
        ]
        if 0 < sum(new) < len(new):
            problems.append("a batch of events was written in part")
    imported = sum(name.startswith("row-") for name in stored)
    if imported not in {0, IMPORTED_ROWS} or ("imported" in acknowledged.finished and not imported):
        problems.append(f"{imported} rows of an import were written")
    unexpected = [
        name for name in stored if not (name in before.decisions or name in acknowledged.called or name[:4] == "row-")
    ]
    if unexpected:
        problems.append(f"{len(unexpected)} decisions exist that no call made, for example {unexpected[0]}")
    return problems


def _removable(engine: Engine, acknowledged: Acknowledged, before: DatabaseContent) -> set[str]:
    """Return the decisions that a removal in progress may have removed."""
    removable: set[str] = set()
    if "erasing" in acknowledged.began:
        key = engine.store.customers.stored(ERASED_CUSTOMER)
        removable |= {name for name, customer in before.decisions.items() if customer == key}
    if "retaining" in acknowledged.began:
        removable |= {name for name, time in before.times.items() if time < RETAINED_FROM}
    return removable


def _files(path: Path) -> list[str]:
    """Return files beside the database that should not exist."""
    problems = [f"{each.name} still exists" for each in spools(path)]
    if path.with_name(path.name + REFUSED).exists():
        problems.append("lines of a spool were rejected")
    if list(path.parent.glob(f"{path.name}.version-*.partial*")):
        problems.append("an unfinished copy of a migration still exists")
    return problems
