"""The tables of the log: catalogues, offers, customers, decisions, what served them, repeats and events."""

from __future__ import annotations

from bandit.store.descriptions.record import TableDescription

_CATALOGUES = TableDescription(
    title="Catalogue versions",
    text="One row for each version of a catalogue that has been used with this database.",
    columns={
        "id": "Number of the version in this database.",
        "version": "Hash of the content: the same catalogue has the same version in every database.",
        "name": "Name of the catalogue.",
        "n_offers": "Number of legal offers, each a combination of one option of every dimension.",
        "objective_event": "Name of the event that counts as a conversion.",
        "objective_window": "Microseconds after a decision in which its events count.",
        "content": "The whole catalogue as JSON: dimensions, options, rules, facts, objective, groups, guardrails.",
        "extends": "The catalogue version, `catalogues.id`, that this one extends by offers of an imported log which "
        "that one does not have; NULL for a catalogue that was given. Commands never take such a version by default.",
    },
)

_OFFERS = TableDescription(
    title="Offers",
    text="One row for each legal offer of a catalogue version; none where it has more than 100,000 offers.",
    columns={
        "catalogue_id": "The catalogue version: `catalogues.id`.",
        "offer": "Number of the offer within its catalogue version, from 0.",
        "options": "The option of each dimension, as JSON.",
    },
)

_CUSTOMERS = TableDescription(
    title="Customers",
    text="One row for each customer that a decision was made for.",
    columns={
        "id": "Number of the customer in this database, never used twice.",
        "key": "The customer as stored: a keyed hash (32 hexadecimal digits) where a customer key is set, else the "
        "identifier in the clear.",
    },
)

_DECISIONS = TableDescription(
    title="Decisions",
    text="One row for each decision: which offer was chosen for which customer, how likely it was, and why.",
    append_only=True,
    columns={
        "seq": "Number of the decision in the order of writing, never used twice.",
        "decision_id": "Identifier of the decision, given by the caller or made by the engine.",
        "time": "When it was made, in microseconds since 1970-01-01 UTC.",
        "customer_id": "The customer: `customers.id`.",
        "catalogue_id": "The catalogue version in force: `catalogues.id`.",
        "policy_id": "The policy that was serving: `policies.id`. NULL for an imported decision with its propensity.",
        "policy_step": "The step of learning whose state decided: `policy_steps.step`.",
        "eligible_set_id": "The offers that the rules left: `eligible_sets.id`.",
        "offer": "The offer that was chosen: `offers.offer` of the same catalogue version.",
        "propensity": "Probability with which this offer was chosen, above 0 and at most 1. Without meaning (1.0) "
        "where a log without propensities was imported.",
        "grp": "Group of the decision: policy, rules, random, holdout, or a label of the caller's.",
        "position": "Place of the decision in its batch, from 0.",
        "seed": "Seed of the engine, from which the draw can be repeated. NULL for an imported decision, and where a "
        "decision of its batch has been erased.",
        "batch": "Identifier of the first decision of its batch, from which the draw can be repeated. NULL where the "
        "seed is.",
        "fault": "Why the fallback was served in place of the policy's choice. NULL where nothing went wrong.",
        "context": "The facts that were known of the customer, as JSON.",
        "probabilities": "Probability of every offer, as 8-byte floats. NULL unless the engine keeps them.",
    },
)

_DECISION_ARMS = TableDescription(
    title="What served a decision",
    text="One row for each decision that was made during a roll-out: which arm served it.",
    append_only=True,
    columns={
        "seq": "The decision: `decisions.seq`.",
        "change_id": "The state of the roll-out in force: `rollout_changes.id`.",
        "arm": "What served: policy, rules, fallback, or challenger:N with the number of a policy.",
        "mixture": "JSON of three lists with one entry an arm: the probability that the customer belongs to it, the "
        "probability of the served offer under it, and its step of learning.",
        "shadow_offer": "The offer that a policy in shadow would have served. NULL without one.",
        "shadow_propensity": "Probability with which it chose that offer. NULL without one.",
    },
)

_REPEATS = TableDescription(
    title="Repeats of decisions",
    text="One row for each request that was answered with an earlier decision which the customer still held.",
    append_only=True,
    columns={
        "decision_id": "Identifier of the repeated request.",
        "seq": "The decision that answered it: `decisions.seq`.",
        "time": "When it was asked for, in microseconds since 1970-01-01 UTC.",
        "context": "The facts that were sent with the request, as JSON.",
        "through": "Number of the newest event that was known: `events.id`.",
    },
)

_DECISION_WEIGHTS = TableDescription(
    title="Weights of decisions",
    text="One row for each decision that stands for more or less than one, as where a logger kept a part of them.",
    append_only=True,
    columns={
        "seq": "The decision: `decisions.seq`.",
        "weight": "How many decisions it stands for, above 0. A decision without a row stands for 1.",
    },
)

_IMPORTS = TableDescription(
    title="Imported files",
    text="One row for each file that was imported.",
    columns={
        "id": "Number of the import.",
        "time": "When it was imported, in microseconds since 1970-01-01 UTC.",
        "file": "Name of the file, without its folder.",
        "digest": "Hash of the content.",
        "catalogue_id": "The catalogue version that it was read by: `catalogues.id`.",
        "n_rows": "Number of its rows.",
        "n_imported": "Rows that became decisions.",
        "n_repeated": "Rows that were in the log before.",
        "n_refused": "Rows that could not be used.",
        "details": "What was noticed about it, as JSON.",
    },
)

_EVENTS = TableDescription(
    title="Events",
    text="One row for each event that was recorded after a decision, corrections among them.",
    append_only=True,
    columns={
        "id": "Number of the event in the order of writing, never used twice.",
        "seq": "The decision that it belongs to: `decisions.seq`.",
        "event_id": "Identifier within the decision; the event's name where the caller gave none.",
        "version": "0 for the event as first recorded, k for its k-th correction.",
        "event": "Name of the event, such as purchase.",
        "time": "When it happened, in microseconds since 1970-01-01 UTC.",
        "recorded_at": "When it was written, in microseconds since 1970-01-01 UTC.",
        "revenue": "Revenue in the catalogue's currency, negative for a return. NULL where none was given.",
        "reward": "Value of the outcome in the objective's unit, where the caller gave it. NULL otherwise.",
        "corrects": "The event that this one replaces: `events.id`. NULL for the first version.",
    },
)

LOG_TABLES = {
    "decisions": _DECISIONS,
    "events": _EVENTS,
    "customers": _CUSTOMERS,
    "offers": _OFFERS,
    "catalogues": _CATALOGUES,
    "decision_arms": _DECISION_ARMS,
    "repeats": _REPEATS,
    "decision_weights": _DECISION_WEIGHTS,
    "imports": _IMPORTS,
}
"""The tables of the log, by name."""
