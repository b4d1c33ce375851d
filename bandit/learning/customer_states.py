"""States whose customers are stored one by one: how a policy is written with them, and where it reads them from."""

from __future__ import annotations

from bandit.domain import KeyedPolicy, Policy
from bandit.domain.customer_rows import DIGEST_BITS
from bandit.policies.keyed_states import is_keyed
from bandit.store import Snapshot, Store


def stored_state(policy: Policy) -> bytes:
    """Return a policy's state as a snapshot has it: of very many customers without their rows."""
    return policy.dumps_keyed() if isinstance(policy, KeyedPolicy) else policy.dumps()


def write_customers(store: Store, policy_id: int, policy: Policy) -> None:
    """Store the customers' rows that have changed since the last snapshot, in the transaction that writes one."""
    if not isinstance(policy, KeyedPolicy):
        return
    table = store.customer_effects
    changed = policy.customers_changed(table.of(policy_id).saved_version())
    if changed is not None:
        table.write(policy_id, *changed)


def rewrite_customers(store: Store, policy_id: int, policy: Policy) -> None:
    """Store all rows of a policy that has all of them in memory, in place of those that are stored."""
    if not isinstance(policy, KeyedPolicy):
        return
    changed = policy.customers_changed(-1)
    if changed is not None:
        store.customer_effects.replace(policy_id, *changed)


def read_customers(store: Store, policy_id: int, policy: Policy) -> None:
    """Let a policy read the rows of customers from a store."""
    if isinstance(policy, KeyedPolicy):
        policy.read_customers_from(store.customer_effects.of(policy_id))


def customers_fault(store: Store, policy_id: int, snapshot: Snapshot, policy: Policy) -> str:
    """Return what is wrong with the stored rows of a policy that was just loaded from its newest snapshot, or ""."""
    if not isinstance(policy, KeyedPolicy) or not is_keyed(snapshot.state):
        return ""
    changed = policy.customers_changed(-1)
    if changed is None:
        return ""
    version, _ = changed
    n, digest = 0, 0
    for rows in store.customer_effects.of(policy_id).all_rows(version):
        n, digest = n + len(rows), digest + rows.digest()
    if (n, digest % (1 << DIGEST_BITS)) != policy.customers_expected():
        return "the stored effects of its customers are not those that its state was written with"
    return ""
