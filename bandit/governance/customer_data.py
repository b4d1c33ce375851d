"""The data stored about one customer, as one JSON document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol, runtime_checkable

import msgspec
import numpy as np

from bandit.errors import InputError, OfferBanditError
from bandit.learning.carry_source import policy_at_newest
from bandit.policies import build
from bandit.store import DecisionColumns, PolicyRow, Store

_CUSTOMER_PAGE = 4_096
"""Decisions of a customer that are read at once."""


@runtime_checkable
class KeepsCustomerEffects(Protocol):
    """A policy that keeps an effect of each customer in its state."""

    def own_deviations(self, customer: str) -> Mapping[str, tuple[float, float]]:
        """Return a customer's deviation from all others in each column, as (mean, standard deviation)."""
        ...


def customer_data(store: Store, customer: str) -> dict[str, object]:
    """Return a customer's decisions with their contexts and events, and what the policies' states keep of them.

    Times are ISO 8601 in UTC. `converted`, `revenue` and `value` follow each decision's own catalogue. Deviations are
    those in the newest state of each policy that keeps any, on the scale of the logit. InputError if the store has
    nothing of that customer.
    """
    with store.one_state():
        store.customers.require_present_key()
    key = store.customers.stored(customer)
    seqs = store.decisions.of_customer(key)
    decisions = [
        decision
        for start in range(0, len(seqs), _CUSTOMER_PAGE)
        for decision in _decisions(store, seqs[start : start + _CUSTOMER_PAGE].tolist())
    ]
    entries = [_policy_entry(store, row, key) for row in store.catalogues.policies()]
    policies = [entry for entry in entries if entry is not None]
    if not decisions and not policies:
        raise InputError(f"{store.path}: there is no data on such a customer; check the key")
    return {"customer": customer, "stored_as": key, "decisions": decisions, "policies": policies}


def _decisions(store: Store, seqs: Sequence[int]) -> list[dict[str, object]]:
    entries: list[dict[str, object]] = []
    numbers = np.array(seqs, dtype=np.int64)
    for catalogue_row in store.catalogues.all():
        objective = store.catalogues.get(catalogue_row.id).objective
        columns = store.decisions.by_seq(numbers, objective.event, objective.window)
        columns = columns.take(columns.catalogue_id == catalogue_row.id)
        entries += [_decision(store, columns, row) for row in range(len(columns))]
    order = np.argsort([str(entry["time"]) for entry in entries], kind="stable")
    return [entries[place] for place in order.tolist()]


def _decision(store: Store, columns: DecisionColumns, row: int) -> dict[str, object]:
    catalogue = store.catalogues.get(int(columns.catalogue_id[row]))
    policy = int(columns.policy_id[row])
    return {
        "decision_id": columns.decision_id[row],
        "time": _iso(int(columns.time[row])),
        "catalogue": catalogue.name,
        "catalogue_version": catalogue.version,
        "context": msgspec.json.decode(columns.context[row]),
        "offer": catalogue.offer(int(columns.offer[row])),
        "eligible_offers": int(store.eligible_sets.mask(int(columns.eligible_set_id[row])).sum()),
        "propensity": float(columns.propensity[row]),
        **({} if columns.weight[row] == 1.0 else {"stands_for": float(columns.weight[row])}),
        "group": columns.group[row],
        "policy": None if policy < 0 else policy,
        "policy_step": int(columns.policy_step[row]),
        "fault": columns.fault[row],
        "converted": bool(columns.converted[row]),
        "revenue": float(columns.revenue[row]),
        "value": float(columns.value[row]),
        "events": _events(store, columns.decision_id[row]),
        "repeats": [
            {"decision_id": each.decision_id, "time": _iso(each.time), "context": msgspec.json.decode(each.context)}
            for each in store.repeats.of_decision(int(columns.seq[row]))
        ],
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


def _policy_entry(store: Store, row: PolicyRow, key: str) -> dict[str, object] | None:
    """Return what the newest state of a policy keeps of a customer, None if it keeps nothing."""
    if store.ledger.latest_step(row.id) is None:
        return None
    try:
        if not isinstance(build(store.catalogues.get(row.catalogue_id), row.spec), KeepsCustomerEffects):
            return None
        state = policy_at_newest(store, row)
    except OfferBanditError as fault:
        return {"policy": row.id, "kind": row.spec.get("kind"), "cannot_be_read": str(fault)}
    policy = state.policy
    deviations = policy.own_deviations(key) if isinstance(policy, KeepsCustomerEffects) else {}
    if not deviations:
        return None
    return {
        "policy": row.id,
        "kind": row.spec.get("kind"),
        "step": state.step,
        "deviations": {
            column: {"mean": mean, "standard_deviation": deviation} for column, (mean, deviation) in deviations.items()
        },
    }


def _amount(amount: float) -> float | None:
    return None if np.isnan(amount) else float(amount)


def _iso(time: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time)).isoformat()
