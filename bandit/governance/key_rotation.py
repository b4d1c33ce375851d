"""Rotation of the customer key: what is stored of customers is hashed again with a new key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bandit.domain import Progress
from bandit.errors import InputError, PolicyError
from bandit.governance.removal import REMOVAL_WAIT, fold, learner_leases, newest_step
from bandit.governance.whole_states import as_stored, whole_states
from bandit.learning.policy_state import StateHistory
from bandit.policies import build
from bandit.policies.state_erasure import rename_customers
from bandit.printable import counted
from bandit.store import PolicyRow, StateReplacement, Store
from bandit.store.corruption import reports_damage
from bandit.store.customer_hash import MAKE_KEY, CustomerHash, weakness
from bandit.store.holdings import leaves_nothing_held
from bandit.tabular import Cell, Tabular


@dataclass(frozen=True, slots=True)
class RotationReport(Tabular):
    """What a rotation of the customer key did, or would do where it was a `dry_run`.

    `customers` are hashed with key number `n_keys`; `from_clear` says whether they were stored as they are before.
    `policies` have customers in their states, which were renamed. `older_copies` and `spools` are files that have
    customers under the old keys, or in the clear: the copies are to be deleted by hand, a spool goes once its process
    has written it to the database.
    """

    customers: int
    n_keys: int
    from_clear: bool
    policies: tuple[int, ...]
    older_copies: tuple[Path, ...]
    spools: tuple[Path, ...]
    dry_run: bool = False

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {
            "customers": self.customers,
            "n_keys": self.n_keys,
            "from_clear": self.from_clear,
            "policies": list(self.policies),
            "older_copies": [str(path) for path in self.older_copies],
            "spools": [str(path) for path in self.spools],
            "dry_run": self.dry_run,
        }

    def to_rows(self) -> list[dict[str, Cell]]:
        """Return one row: the numbers of customers, of keys and of policies."""
        return [{"customers": self.customers, "keys": self.n_keys, "policies": len(self.policies)}]


@reports_damage
@leaves_nothing_held
def rotate_key(
    path: str | Path,
    customer_key: bytes | None,
    progress: Progress | None = None,
    *,
    dry_run: bool = False,
    timeout: float = REMOVAL_WAIT,
) -> RotationReport:
    r"""Hash the customers of a database with the further keys that `customer_key` has, one a line, oldest first.

    A customer's stored form is then the hash, under the newest key, of the one before; who has the old keys and the new
    file can find nobody any more. Customers in the clear are hashed with all keys. The states of policies are renamed,
    and all of it is one transaction. Customers stay in the groups and arms that they were dealt to: engines deal by the
    form from before the first rotation, which is never stored again. Open engines that were given the new key go on
    with it; others answer with the fallback and spool. Afterwards the file is rewritten, so that no byte of the old
    hashes is left in it.

    InputError where there is no further key or one can be guessed. StoreError if a policy learned meanwhile, or others
    do not release the file within `timeout` seconds.

    >>> from tempfile import TemporaryDirectory
    >>> old, new = b"the first key of this example", b"the second key of this example"
    >>> with TemporaryDirectory() as folder:
    ...     Store.open(f"{folder}/offers.db", customer_key=old).close()
    ...     rotate_key(f"{folder}/offers.db", old + b"\n" + new).n_keys
    2
    """
    with Store.to_rotate(path, customer_key) as store:
        old = store.customers.hash
        if not old.further and store.deletion.scrub_is_due() and not dry_run:
            store.deletion.scrub(timeout, progress)  # the last part of a rotation that was interrupted
            return RotationReport(0, len(old.keys), False, (), store.deletion.copies(), store.deletion.spools())
        new = _checked_new(store, old)
        if not dry_run:
            store.fold_spools()
        rows = store.catalogues.policies()
        named = [row for row in rows if _names_customers(store, row)]
        customers = store.counts().customers
        if not dry_run:
            with learner_leases(store, rows, timeout) as renewing:
                rename = new.after(len(old.keys)).of

                def states() -> list[StateReplacement]:
                    found = (_renamed(store, row, rename) for row in store.catalogues.policies())
                    return [as_stored(each) for each in found if each is not None]

                customers = store.rekey(new, states, renewing(progress))
            store.deletion.scrub(timeout, progress)
        return RotationReport(
            customers,
            len(new.keys),
            not old.keys,
            tuple(row.id for row in named),
            (*store.deletion.copies(), *store.deletion.unfinished_copies()),
            store.deletion.spools(),
            dry_run,
        )


def _checked_new(store: Store, old: CustomerHash) -> CustomerHash:
    """Return the hash with all keys that were given; InputError where none is new, or one can be guessed."""
    if not old.further:
        has = "has no customer key" if not old.keys else f"has all of the {counted(len(old.keys), 'key')} given already"
        raise InputError(
            f"{store.path}: {has}; make a new one with `{MAKE_KEY}`, add it to the key file as the last line, and give "
            "the command again"
        )
    for key in old.further:
        weak = weakness(key)
        if weak is not None:
            raise InputError(f"the new customer key {weak}; make a random one with `{MAKE_KEY}`")
    if len(set(old.keys + old.further)) < len(old.keys + old.further):
        raise InputError(f"two of the customer keys are the same; make a new one with `{MAKE_KEY}`")
    return old.first(len(old.keys) + len(old.further))


def _names_customers(store: Store, row: PolicyRow) -> bool:
    states = whole_states(store, row.id).values()
    return any(rename_customers(state, lambda name: f"{name} ") != state for state in states)


def _renamed(store: Store, row: PolicyRow, rename: Callable[[str], str]) -> StateReplacement | None:
    """Return the states of a policy with other names of customers, None where it has learned nothing and names none.

    Also where no stored state names any, an earlier one may have, so that its hash is not that of a rebuilt one any
    more. The steps since the newest stored state are folded; the log has the new names then.
    """
    states = whole_states(store, row.id)
    new = {step: rename_customers(state, rename) for step, state in states.items()}
    newest = newest_step(store, row)
    if new == states and not newest:
        return None
    last = max(new)
    state: bytes | None = new[last]
    if last < newest:
        catalogue = store.catalogues.get(row.catalogue_id)
        try:
            policy = build(catalogue, row.spec)
        except PolicyError:
            if new == states:
                return None
            state = None
        else:
            history = StateHistory(store, catalogue, row.id)
            state = fold(history, policy, new[last], (last, newest), None, lambda *_: None)
    base = new.get(row.base_step) if row.base_step else None
    return StateReplacement(row.id, newest, state, row.base_step, base, row.decides_from, new.get(0))
