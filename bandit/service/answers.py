"""Calls of the engine for whole requests, and what it returned as JSON values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from bandit.clock import Time, now, plausible_time
from bandit.errors import DuplicateError, OfferBanditError
from bandit.service.replies import Reply, reply, request_error, without_paths

if TYPE_CHECKING:
    from bandit.domain import Decision, DecisionBatch, IntArray
    from bandit.engine import Engine, EngineStatus
    from bandit.service.bodies import DecideBody, EventBody, EventsBody
    from bandit.store import EventReceipt

EVENT_COUNTS = ("n_new", "n_repeated", "n_corrected", "n_spooled", "n_refused")
"""What is counted of the events of a request."""


def decision(made: Decision, database: Path) -> dict[str, object]:
    """Return a decision for the client that asked for it; the customer is the one that it named."""
    return {
        "decision_id": made.decision_id,
        "offer": dict(made.offer),
        "propensity": made.propensity,
        "group": made.group,
        "arm": made.arm,
        "held_from": made.held_from,
        "fault": None if made.fault is None else without_paths(made.fault, database),
        "logged": made.logged,
        "time": made.time,
    }


def fault_kind(fault: str | None) -> str | None:
    """Return the kind of a fault, such as "StoreError": the text before its first colon."""
    return None if fault is None else fault.partition(":")[0]


def decide_all(
    engine: Engine, asked: Sequence[DecideBody], ids: Sequence[str], *, given: bool
) -> DecisionBatch | list[Decision]:
    """Decide for all requests: as one batch, or one by one where some of the ids have a decision already."""
    if not asked:
        return []
    customers: list[Any] = [each.customer for each in asked]
    contexts = [each.context for each in asked]
    groups: list[Any] = [each.group for each in asked]
    times = [each.time for each in asked]
    if None not in groups or not any(groups):
        try:
            return engine.decide_batch(
                customers, contexts, decision_ids=ids, group=groups if any(groups) else None, time=_moments(times)
            )
        except DuplicateError:
            if not given or len(set(ids)) < len(ids):
                raise
    engine.catalogue.contexts(contexts)
    return [
        engine.decide(customer, context, decision_id=name, time=time, group=group)
        for customer, context, name, time, group in zip(customers, contexts, ids, times, groups, strict=True)
    ]


def batch_reply(decided: DecisionBatch | list[Decision], database: Path) -> Reply:
    """Return a batch as an answer: one object for each decision, in their order."""
    rows = [decision(each, database) for each in decided] if isinstance(decided, list) else rows_of(decided, database)
    counts = Counter((str(row["group"]), str(row["arm"] or "")) for row in rows)
    fault = next((str(row["fault"]) for row in rows if row["fault"] is not None), None)
    return reply(
        {"decisions": rows},
        n=len(rows),
        decision_ids=[row["decision_id"] for row in rows],
        fault=fault_kind(fault),
        decided=[(group, arm, n) for (group, arm), n in counts.items()],
        n_faults=sum(row["fault"] is not None for row in rows),
        unlogged=sum(not row["logged"] for row in rows),
    )


def rows_of(batch: DecisionBatch, database: Path) -> list[dict[str, object]]:
    """Return a batch row by row, each as `decision` does."""
    names, n = list(batch.offers), len(batch)
    offers = zip(*(column.tolist() for column in batch.offers.values()), strict=True)
    groups = [batch.group] * n if isinstance(batch.group, str) else batch.group.tolist()
    arms = [None] * n if batch.arm is None else batch.arm.tolist()
    held = [None] * n if batch.held_from is None else batch.held_from.tolist()
    fault = None if batch.fault is None else without_paths(batch.fault, database)
    return [
        {
            "decision_id": name,
            "offer": dict(zip(names, offer, strict=True)),
            "propensity": propensity,
            "group": group,
            "arm": arm,
            "held_from": before,
            "fault": fault,
            "logged": batch.logged,
            "time": time,
        }
        for name, offer, propensity, group, arm, before, time in zip(
            batch.decision_ids, offers, batch.propensity.tolist(), groups, arms, held, batch.time.tolist(), strict=True
        )
    ]


def record_all(engine: Engine, asked: EventsBody, database: Path) -> dict[str, Any]:
    """Record events, all or none, or each for itself, and return the counts."""
    if not asked.events:
        return dict.fromkeys(EVENT_COUNTS, 0)
    if not asked.each:
        return _counted(_record_together(engine, asked)) | {"n_refused": 0}
    total: Counter[str] = Counter()
    results: list[dict[str, object]] = []
    notes: list[object] = []
    for each in asked.events:
        try:
            receipt = _counted(_record_one(engine, each, correct=asked.correct))
        except OfferBanditError as fault:
            error = request_error(fault, database)
            total["n_refused"] += 1
            results.append({"status": "refused", "code": error.status, "detail": error.detail})
            continue
        name = next(name for name in EVENT_COUNTS if receipt.get(name))
        total[name] += 1
        notes += receipt["notes"]
        results.append({"status": name.removeprefix("n_")})
    return {name: total[name] for name in EVENT_COUNTS} | {"notes": notes, "results": results}


def _record_together(engine: Engine, asked: EventsBody) -> EventReceipt:
    events: Sequence[Any] = asked.events
    return engine.record_batch(
        [each.decision_id for each in events],
        [each.event for each in events],
        revenue=[each.revenue for each in events],
        reward=[each.reward for each in events],
        time=_moments([each.time for each in events]),
        event_ids=[each.event_id for each in events],
        correct=asked.correct,
    )


def _moments(times: Sequence[datetime | int | None]) -> IntArray | Time:
    """Return the times of a request as the engine takes them: one for all, or one each in microseconds."""
    first = times[0]
    if all(each == first for each in times):
        return first
    moment = now()
    return np.array([moment if each is None else plausible_time(each) for each in times], dtype=np.int64)


def _record_one(engine: Engine, event: EventBody, *, correct: bool) -> EventReceipt:
    given: Any = event
    return engine.record(
        given.decision_id,
        given.event,
        revenue=given.revenue,
        reward=given.reward,
        time=given.time,
        event_id=given.event_id,
        correct=correct,
    )


def _counted(receipt: EventReceipt) -> dict[str, Any]:
    counts: dict[str, Any] = msgspec.to_builtins(receipt)
    return counts | {"notes": [each.sentence for each in receipt.notes]}


def status(found: EngineStatus, database: Path) -> dict[str, object]:
    """Return an engine's status with the names of files alone, not their places."""
    plain = found.to_dict()
    for name in ("path", "spool"):
        value = plain[name]
        plain[name] = None if value is None else Path(str(value)).name
    for name in ("last_fault", "policy_fault", "halted", "outage", "replaced"):
        value = plain[name]
        plain[name] = None if value is None else without_paths(str(value), database)
    return plain


def degraded(found: EngineStatus) -> str | None:
    """Return why a policy does not serve, or the database takes nothing, as a sentence; None where all is well."""
    if found.well:
        return None
    reasons = (
        found.outage,
        found.policy_fault,
        found.halted and f"the policies are halted: {found.halted}",
        found.spooled and f"{found.spooled:,} lines wait in the spool",
    )
    return next((str(each) for each in reasons if each), "the database did not take the last write")
