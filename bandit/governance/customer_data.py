"""All that is held on one customer, as one document that JSON can say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol, runtime_checkable

import msgspec
import numpy as np

from bandit.errors import InputError, OfferBanditError
from bandit.policies import build
from bandit.store import DecisionColumns, PolicyRow, Store

_CHUNK = 4_096


@runtime_checkable
class KnowsCustomers(Protocol):
    """A policy that keeps something for each customer."""

    def own_deviations(self, customer: str) -> Mapping[str, tuple[float, float]]:
        """Return by column how a customer, as stored, deviates from all others: mean and standard deviation."""
        ...


def held_on(store: Store, customer: str) -> dict[str, object]:
    """Return what the store has of a customer: decisions with contexts and events, and what policies keep of it.

    Times are ISO 8601 in UTC, `converted`, `revenue` and `value` are by each decision's own catalogue, and deviations
    are those of the newest state of each policy that keeps any, on the scale of the logit. InputError where the store
    has nothing of that customer.
    """
    key = store.customers.stored(customer)
    seqs = store.decisions.of_customer(key)
    decisions = [
        decision
        for start in range(0, len(seqs), _CHUNK)
        for decision in _decisions(store, seqs[start : start + _CHUNK].tolist())
    ]
    kept = [entry for row in store.catalogues.policies() if (entry := _kept(store, row, key)) is not None]
    if not decisions and not kept:
        raise InputError(f"{store.path}: there is nothing of such a customer; check the key")
    return {"customer": customer, "stored_as": key, "decisions": decisions, "policies": kept}


def _decisions(store: Store, seqs: Sequence[int]) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    numbers = np.array(seqs, dtype=np.int64)
    for catalogue_id in store.catalogues.all():
        catalogue = store.catalogues.get(catalogue_id.id)
        objective = catalogue.objective
        columns = store.decisions.by_seq(numbers, objective.event, objective.window)
        rows = columns.take(columns.catalogue_id == catalogue_id.id)
        found += [_decision(store, rows, row) for row in range(len(rows))]
    order = np.argsort([str(entry["time"]) for entry in found], kind="stable")
    return [found[place] for place in order.tolist()]


def _decision(store: Store, rows: DecisionColumns, row: int) -> dict[str, object]:
    catalogue = store.catalogues.get(int(rows.catalogue_id[row]))
    policy = int(rows.policy_id[row])
    return {
        "decision_id": rows.decision_id[row],
        "time": _iso(int(rows.time[row])),
        "catalogue": catalogue.name,
        "catalogue_version": catalogue.version,
        "context": msgspec.json.decode(rows.context[row]),
        "offer": catalogue.offer(int(rows.offer[row])),
        "eligible_offers": int(store.eligible_sets.mask(int(rows.eligible_set_id[row])).sum()),
        "propensity": float(rows.propensity[row]),
        "group": rows.group[row],
        "policy": None if policy < 0 else policy,
        "policy_step": int(rows.policy_step[row]),
        "fault": rows.fault[row],
        "converted": bool(rows.converted[row]),
        "revenue": float(rows.revenue[row]),
        "value": float(rows.value[row]),
        "events": _events(store, rows.decision_id[row]),
    }


def _events(store: Store, decision_id: str) -> list[dict[str, object]]:
    events = store.decisions.events_of(decision_id)
    number = {int(event): place for place, event in enumerate(events.id.tolist())}
    return [
        {
            "event_id": events.event_id[row],
            "event": events.event[row],
            "time": _iso(int(events.time[row])),
            "recorded_at": _iso(int(events.recorded_at[row])),
            "revenue": _amount(events.revenue[row]),
            "reward": _amount(events.reward[row]),
            "corrects": number.get(int(events.corrects[row])),
            "current": bool(events.current[row]),
        }
        for row in range(len(events))
    ]


def _kept(store: Store, row: PolicyRow, key: str) -> dict[str, object] | None:
    """Return what the newest state of a policy keeps of a customer, None where it keeps nothing."""
    snapshot = store.ledger.snapshot(row.id, newest=True)
    if snapshot is None:
        return None
    try:
        policy = build(store.catalogues.get(row.catalogue_id), row.spec)
        if not isinstance(policy, KnowsCustomers):
            return None
        policy.loads(snapshot.state)
    except OfferBanditError as fault:
        return {"policy": row.id, "kind": row.spec.get("kind"), "cannot_be_read": str(fault)}
    deviations = policy.own_deviations(key)
    if not deviations:
        return None
    return {
        "policy": row.id,
        "kind": row.spec.get("kind"),
        "step": snapshot.step,
        "deviations": {
            column: {"mean": mean, "standard_deviation": deviation} for column, (mean, deviation) in deviations.items()
        },
    }


def _amount(amount: float) -> float | None:
    return None if np.isnan(amount) else float(amount)


def _iso(time: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time)).isoformat()
