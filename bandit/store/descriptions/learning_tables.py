"""The tables of policies, of what they have learned, of the roll-out and of upkeep."""

from __future__ import annotations

from bandit.store.descriptions.record import TableDescription

_POLICIES = TableDescription(
    title="Policies",
    text="One row for each policy, which is a kind with its settings over one catalogue version.",
    columns={
        "id": "Number of the policy in this database.",
        "catalogue_id": "The catalogue version that it chooses from: `catalogues.id`.",
        "spec": "Kind and settings, as JSON.",
        "base_step": "The step whose state a rebuild begins with: 0, or the one that a retention run kept.",
        "decides_from": "The first step whose state is still the one that decided; a deletion changes those before it.",
    },
)

_POLICY_STEPS = TableDescription(
    title="Steps of learning",
    text="One row for each time that a policy learned.",
    columns={
        "policy_id": "The policy: `policies.id`.",
        "step": "Number of the step, from 0, which is the state it began with.",
        "n": "Number of outcomes that were learned.",
        "state_hash": "Hash of the policy's state after the step. Empty where it was not computed.",
        "recorded_at": "When the step was written, in microseconds since 1970-01-01 UTC.",
    },
)

_LEARNED = TableDescription(
    title="What was learned",
    text="One row for each outcome that a policy learned in a step, as it was learned: a rebuild learns it again.",
    append_only=True,
    internal=True,
    columns={
        "policy_id": "The policy: `policies.id`.",
        "step": "The step: `policy_steps.step`.",
        "seq": "The decision: `decisions.seq`.",
        "converted": "1 if the decision had converted.",
        "revenue": "Net revenue within the window.",
        "value": "Value in the objective's unit that events stated.",
        "restated": "1 if the policy had learned this decision before and now learned its updated outcome.",
        "was_converted": "What had been learned before: 1 if it had converted. NULL if nothing had.",
        "was_revenue": "What had been learned before: net revenue. NULL if nothing had.",
        "was_value": "What had been learned before: value. NULL if nothing had.",
        "through": "The newest event of the decision that was taken into account: `events.id`, 0 without any.",
        "weight": "Share of the outcome that was known: below 1 for a decision that is still open.",
        "was_weight": "The share that had been learned before. NULL if nothing had, or by an old version.",
    },
)

_LEARNED_STAGES = TableDescription(
    title="Stages that were learned",
    text="One row for each outcome that a policy learned in a step, of a decision that reached a stage, now or before.",
    append_only=True,
    internal=True,
    columns={
        "policy_id": "The policy: `policies.id`.",
        "seq": "The decision: `decisions.seq`.",
        "step": "The step: `policy_steps.step`.",
        "stage": "How many of the objective's stages the decision had reached.",
        "was_stage": "How many had been learned before.",
    },
)

_SNAPSHOTS = TableDescription(
    title="States of policies",
    text="The state that a policy begins with, and its newest one.",
    internal=True,
    columns={
        "policy_id": "The policy: `policies.id`.",
        "step": "The step after which the policy had this state: `policy_steps.step`.",
        "state": "The state: an archive of arrays, read with pickles refused.",
    },
)

_LEARNING_REACH = TableDescription(
    title="How far learning has come",
    text="One row for each policy: how much of the log it has looked at.",
    internal=True,
    columns={
        "policy_id": "The policy: `policies.id`.",
        "criterion": "What makes an outcome due, as JSON. Another one begins anew.",
        "event": "All events up to this number are processed.",
        "seq": "All decisions up to this number are processed.",
        "time": "Decisions made up to this time had their window end, in microseconds since 1970-01-01 UTC.",
        "to_event": "The event up to which an unfinished pass goes. NULL between passes.",
        "to_seq": "The decision up to which an unfinished pass goes. NULL between passes.",
        "to_time": "The time up to which an unfinished pass goes. NULL between passes.",
        "position": "The decision up to which an unfinished pass has come. NULL between passes.",
        "levels": "For each level of maturity, the time up to which decisions had reached it, as JSON.",
        "to_levels": "The same for an unfinished pass. NULL between passes.",
    },
)

_ROLLOUT_CHANGES = TableDescription(
    title="Roll-out history",
    text="One row for each change of the roll-out; the newest is in force.",
    append_only=True,
    columns={
        "id": "Number of the change, never used twice.",
        "time": "When it was made, in microseconds since 1970-01-01 UTC.",
        "author": "Who made it: a person, catalogue (its declaration) or guardrail.",
        "action": "declare, set, challenge, promote, rollback, kill, stop (by a guardrail) or resume.",
        "reason": "Why, in the author's words.",
        "state": "The whole state after the change, as JSON: mode, share, policies, substitute, salt, halt.",
    },
)

_ELIGIBLE_SETS = TableDescription(
    title="Eligible sets",
    text="One row for each set of offers that the rules have left for some customer.",
    internal=True,
    columns={
        "id": "Number of the set in this database.",
        "catalogue_id": "The catalogue version: `catalogues.id`.",
        "digest": "Hash of the bits, by which the set is found again.",
        "bits": "One bit an offer, the first offer in the highest bit of the first byte.",
        "removals": "Which rules removed offers and why, as JSON. NULL for imported decisions.",
    },
)

_UPKEEP = TableDescription(
    title="Maintenance runs",
    text="One row for each backup, erasure and retention run, and for each step that set outcomes aside, without "
    "identities.",
    columns={
        "id": "Number of the run.",
        "kind": "backup, erase, retain or set aside.",
        "time": "When it ran, in microseconds since 1970-01-01 UTC.",
        "details": "What it did in numbers, as JSON.",
    },
)

_LEASES = TableDescription(
    title="Leases",
    text="One row for each task that one process at a time may do.",
    internal=True,
    columns={
        "name": "The task, such as learn/3.",
        "owner": "The process or engine that holds it; after the @, where they are known, the boot of the machine, the "
        "pid namespace, the process id and when it started, by which others see that it has ended.",
        "until": "When it expires, in microseconds since 1970-01-01 UTC.",
    },
)

_META = TableDescription(
    title="Marks of the database",
    text="Marks that the program keeps, by name.",
    internal=True,
    columns={
        "name": "Name of the mark.",
        "value": "Its value. customer_key_check is a hash by which a wrong customer key is noticed, or none where "
        "customers are in the clear. Each last number of a table was given before a deletion: new rows get higher "
        "ones.",
    },
)

_CHAIN = TableDescription(
    title="Chain of hashes",
    text="One row for each transaction that wrote to the log, several for a large one: the hashes of the rows that it "
    "wrote, and the link, a hash of these and of the link before.",
    append_only=True,
    internal=True,
    columns={
        "id": "Number of the link, without gaps.",
        "entries": "The rows, as MessagePack: their kinds and numbers, the salts and the hashes. A deletion replaces "
        "the salts of what it deletes with its number in `upkeep`.",
        "link": "Hash of the entries without the salts, and of the link before (blake2b-256).",
    },
)

_CARRIED_POLICIES = TableDescription(
    title="Policies that took over a belief",
    text="One row for each policy that began with what another had learned, as after a change of the catalogue.",
    columns={
        "policy_id": "The policy: `policies.id`.",
        "from_policy_id": "The policy whose belief it took over: `policies.id`.",
        "from_step": "The step of that policy: `policy_steps.step`.",
        "time": "When it did, in microseconds since 1970-01-01 UTC.",
        "details": "What was taken over and what is new, as JSON.",
    },
)

_CHANGED_STATES = TableDescription(
    title="States that an erasure changed",
    text="One row for each range of steps whose states are others than those that decided: a customer was taken out.",
    columns={
        "policy_id": "The policy: `policies.id`.",
        "first_step": "The first of these steps.",
        "last_step": "The last of these steps.",
    },
)

_EFFECTS_COLUMNS = {
    "number": "Counts the policy's customers in the order in which it first learned from them.",
    "version": "The policy's update that changed the row last.",
    "epoch": "Steps of decay that the row has gone through.",
    "factors": "Natural means and precisions of the columns' likelihood, float32, little-endian.",
}

_CUSTOMER_EFFECTS = TableDescription(
    title="Effects of single customers",
    text="One row for each customer of a policy that knows more customers than its state holds: what it has learned of "
    "the customer alone, up to the newest snapshot.",
    internal=True,
    columns={
        "policy_id": "The policy: `policies.id`.",
        "customer": "The customer: `customers.key`.",
        **_EFFECTS_COLUMNS,
    },
)

_REPLACED_CUSTOMER_EFFECTS = TableDescription(
    title="Earlier effects of single customers",
    text="Rows of `customer_effects` that were replaced lately, for processes that decide with an older state.",
    internal=True,
    columns={
        "policy_id": "The policy: `policies.id`.",
        "customer": "The customer: `customers.key`.",
        "replaced_at": "The policy's update whose state replaced the row.",
        **_EFFECTS_COLUMNS,
    },
)

_CUSTOMER_EFFECTS_REACH = TableDescription(
    title="Reach of the effects of single customers",
    text="One row for each policy with rows in `customer_effects`.",
    internal=True,
    columns={
        "policy_id": "The policy: `policies.id`.",
        "saved": "The policy's update up to which all rows are stored.",
        "oldest": "The oldest of its updates whose rows can still be read.",
    },
)

LEARNING_TABLES = {
    "policies": _POLICIES,
    "carried_policies": _CARRIED_POLICIES,
    "changed_states": _CHANGED_STATES,
    "policy_steps": _POLICY_STEPS,
    "rollout_changes": _ROLLOUT_CHANGES,
    "upkeep": _UPKEEP,
    "learned": _LEARNED,
    "learned_stages": _LEARNED_STAGES,
    "snapshots": _SNAPSHOTS,
    "customer_effects": _CUSTOMER_EFFECTS,
    "replaced_customer_effects": _REPLACED_CUSTOMER_EFFECTS,
    "customer_effects_reach": _CUSTOMER_EFFECTS_REACH,
    "learning_reach": _LEARNING_REACH,
    "eligible_sets": _ELIGIBLE_SETS,
    "leases": _LEASES,
    "meta": _META,
    "chain": _CHAIN,
}
"""The other tables, by name."""
