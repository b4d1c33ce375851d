"""The views, which show the log with readable times and names."""

from __future__ import annotations

from bandit.store.descriptions.record import TableDescription

_DECISION_LOG = TableDescription(
    title="The log of decisions",
    text="One row for each decision with its customer, its offer in words and what came of it within the window. It "
    "counts events for each row: select by decision or use LIMIT on a large log.",
    columns={
        "decision_id": "Identifier of the decision.",
        "time": "When it was made: ISO 8601 in UTC.",
        "customer": "The customer as stored: a keyed hash, or the identifier where no customer key is set.",
        "catalogue": "Name of the catalogue.",
        "catalogue_version": "Its version.",
        "offer": "The option of each dimension, as JSON. NULL for a catalogue of more than 100,000 offers.",
        "propensity": "Probability with which this offer was chosen.",
        "group": "Group of the decision.",
        "policy": "Number of the policy that was serving: `policies.id`.",
        "step": "The step of learning whose state decided.",
        "context": "The facts that were known of the customer, as JSON.",
        "fault": "Why the fallback was served in place of the policy's choice. NULL where nothing went wrong.",
        "events": "Number of its events that count.",
        "converted": "1 if it converted: the objective's event came within the window and was not all returned.",
        "revenue": "Net revenue within the window.",
    },
    computed={"time": "TEXT", "events": "INTEGER", "converted": "INTEGER", "revenue": "REAL"},
)

_EVENT_LOG = TableDescription(
    title="The log of events",
    text="One row for each event that was recorded, with the identifier of its decision and readable times.",
    columns={
        "id": "Number of the event.",
        "decision_id": "Identifier of the decision that it belongs to.",
        "event_id": "Identifier within the decision; the event's name where the caller gave none.",
        "event": "Name of the event.",
        "time": "When it happened: ISO 8601 in UTC.",
        "recorded_at": "When it was written: ISO 8601 in UTC.",
        "revenue": "Revenue in the catalogue's currency, negative for a return.",
        "reward": "Value of the outcome in the objective's unit, where the caller gave it.",
        "corrects": "Number of the event that this one replaces.",
        "current": "1 unless a later event corrects this one.",
    },
    computed={"time": "TEXT", "recorded_at": "TEXT", "current": "INTEGER"},
)

_COUNTED_EVENTS = TableDescription(
    title="The events that count",
    text="One row for each event from its decision to the end of the window that no later event corrects.",
    columns={
        "id": "Number of the event.",
        "seq": "The decision that it belongs to: `decisions.seq`.",
        "event": "Name of the event.",
        "time": "When it happened, in microseconds since 1970-01-01 UTC.",
        "revenue": "Revenue in the catalogue's currency, negative for a return.",
        "reward": "Value of the outcome in the objective's unit, where the caller gave it.",
        "converts": "1 for the event that counts as a conversion.",
    },
    computed={"converts": "INTEGER"},
)

VIEWS = {"decision_log": _DECISION_LOG, "event_log": _EVENT_LOG, "counted_events": _COUNTED_EVENTS}
"""The views, by name."""
