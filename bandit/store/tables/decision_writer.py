"""Appends decisions: a whole batch or nothing; repeats are skipped and conflicts raised."""

from __future__ import annotations

import sqlite3
from itertools import chain, islice, repeat
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from bandit.domain import IntArray
from bandit.errors import DuplicateError, NumberError, OfferError, StoreError
from bandit.store.chain.kinds import DECISIONS, MAX_NUMBER
from bandit.store.numbers import noted_number, number_of_new
from bandit.store.sqlite_errors import is_broken_reference
from bandit.store.tables.cache import Cache
from bandit.store.tables.decision_arms import insertion
from bandit.store.tables.decision_weights import check_weights, reject_other_weights, write_weights
from bandit.store.text import ZERO, reject_zero_characters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bandit.store.connection import Connection
    from bandit.store.records import DecisionRows
    from bandit.store.tables.customers import Customers
    from bandit.store.tables.eligible_sets import EligibleSetTable
    from bandit.store.tables.repeats import Repeats

_SHARED = ("catalogue_id", "policy_id", "policy_step", "seed", "batch", "fault")
_OWN = (
    "decision_id", "time", "customer_id", "eligible_set_id", "offer", "propensity", "grp", "position", "context",
    "probabilities",
)  # fmt: skip

ROWS_PER_STATEMENT = 32
"""Rows that one statement inserts: shared parameters are bound once, and the statement's overhead is divided."""


def _insert(n: int, number: str = "NULL") -> str:
    """Return the statement that inserts n rows: first the parameters they share, then those of each row."""
    shared = ", ".join(f"?{place}" for place in range(1, len(_SHARED) + 1))
    firsts = range(len(_SHARED) + 1, len(_SHARED) + n * len(_OWN) + 1, len(_OWN))
    rows = (f"({number}, {shared}, {', '.join(f'?{at + place}' for place in range(len(_OWN)))})" for at in firsts)
    return (
        f"INSERT INTO decisions (seq, {', '.join(_SHARED + _OWN)}) VALUES {', '.join(rows)} "  # noqa: S608 - no values
        "ON CONFLICT (decision_id) DO NOTHING"
    )


# The numbers of many rows follow each other, so a number that is noted matters for the first one only.
_INSERT_ONE, _INSERT_MANY = _insert(1, number_of_new("decisions")), _insert(ROWS_PER_STATEMENT)

_ID_PLACE = len(_SHARED) + 1 + _OWN.index("decision_id")
_CHECK_PLACE = len(_SHARED + _OWN) + 1
_IS_REPEAT = f"EXISTS (SELECT 1 FROM repeats WHERE decision_id = ?{_ID_PLACE})"  # noqa: S608 - of constants
_KEY_CHECK = f"SELECT value <> ?{_CHECK_PLACE} FROM meta WHERE name = 'customer_key_check'"  # noqa: S608 - of constants

# Without an id the row is refused. A condition on the whole row would need a SELECT, which copies it once more.
_INSERT_UNKNOWN = _insert(1, number_of_new("decisions")).replace(
    f"?{_ID_PLACE},", f"CASE WHEN {_IS_REPEAT} OR COALESCE(({_KEY_CHECK}), FALSE) THEN NULL ELSE ?{_ID_PLACE} END,"
)
_REFUSED = "NOT NULL constraint failed: decisions.decision_id"

_LAST = "SELECT COALESCE(MAX(seq), 0) FROM decisions"

_STORED = """
SELECT d.seq, d.time, d.customer_id, d.catalogue_id, d.policy_id, d.context, d.eligible_set_id, d.offer, d.propensity,
    d.grp
FROM json_each(?) j CROSS JOIN decisions d ON d.decision_id = j.value
ORDER BY j.key
"""

_EXISTING = """
SELECT j.value FROM json_each(?) j CROSS JOIN decisions d ON d.decision_id = j.value ORDER BY j.key LIMIT 1
"""

_NO_DETAILS = (None,) * 6
"""The arm and the weight of a decision without either."""

KEPT_DECISIONS = 1_024
"""Decisions whose number and time are kept, for the event that comes soon after most of them."""

_COMPARED = (
    "time", "customer", "catalogue", "policy", "context", "eligible offers", "offer", "propensity", "group",
)  # fmt: skip


class DecisionWriter:
    """Writes the table `decisions`.

    `latest` has the number and the time of decisions that this connection wrote one by one, by their ids. Another
    process may have erased them since.
    """

    def __init__(
        self, connection: Connection, customers: Customers, eligible: EligibleSetTable, repeats: Repeats
    ) -> None:
        self._connection = connection
        self.customers = customers
        self._eligible = eligible
        self._repeats = repeats
        self.latest: Cache[str, tuple[int, int]] = Cache(KEPT_DECISIONS)
        connection.on_rollback(self.latest.clear)

    def append(self, rows: DecisionRows, check: Callable[[], None] | None = None) -> IntArray:
        """Write a batch in one transaction and return the (n,) numbers of its decisions.

        `check` is called inside, before anything is written; what it raises leaves everything as it was.

        A decision that is stored already with the same content is left as it is. DuplicateError for one with different
        content or with the id of a repeat, NumberError for a propensity outside (0, 1], OfferError for an offer that is
        not eligible.
        """
        write = self._append_one if len(rows) == 1 and rows.weights is None else self._append
        _check(rows)
        if not len(rows):
            return np.zeros(0, dtype=np.int64)
        try:
            return write(rows, check)
        except StoreError as fault:
            if not is_broken_reference(fault):
                raise
            # Another process has erased a customer whose number was cached here; the rollback has cleared the caches.
            return write(rows, check)

    def first_existing(self, decision_ids: Sequence[str]) -> str | None:
        """Return the first of the ids that a stored decision has, None if none has."""
        with self._connection.reading() as raw:
            found = raw.execute(_EXISTING, (msgspec.json.encode(list(decision_ids)).decode(),)).fetchone()
        return None if found is None else str(found[0])

    def _append_one(self, rows: DecisionRows, check: Callable[[], None] | None) -> IntArray:
        """Write one decision: the statement that inserts it looks whether the customer key is the present one."""
        connection, known = self._connection, self.customers
        decision_id = rows.decision_ids[0]
        with connection.transaction():
            if check is not None:
                check()
            keys = rows.customer_keys
            keys = known.all_stored(rows.customers) if keys is None else known.present(keys, rows.key_check)
            customer = known.id_of_one(keys[0])
            eligible_set = self._eligible.ids(rows.catalogue_id, rows.eligible, rows.removals)[0]
            row = (*_shared(rows), *_own_of_one(rows, customer, eligible_set))
            try:
                cursor = connection.raw.execute(_INSERT_UNKNOWN, (*row, known.expected_check))
                number = cursor.lastrowid if cursor.rowcount == 1 else None
            except sqlite3.IntegrityError as fault:
                if _REFUSED not in str(fault):
                    raise
                number = None
            if number is not None:
                self.latest.put(decision_id, (number, rows.time.item()))
                if rows.arms is None:
                    connection.chain.add_one(DECISIONS, (0, number, *row, *_NO_DETAILS))
                    return np.array([number], dtype=np.int64)
                return self._with_details(rows, np.array([number], dtype=np.int64), [row])
            known.require_present_key()
            self._repeats.reject(rows.decision_ids)
            seqs = self._compare(rows, [customer], [eligible_set])
            self._compare_weights(rows, seqs, int(seqs[0]))
            return seqs

    def _append(self, rows: DecisionRows, check: Callable[[], None] | None) -> IntArray:
        n = len(rows)
        with self._connection.transaction():
            if check is not None:
                check()
            raw = self._connection.raw
            self._repeats.reject(rows.decision_ids)
            keys = rows.customer_keys
            keys = (
                self.customers.all_stored(rows.customers)
                if keys is None
                else self.customers.present(keys, rows.key_check)
            )
            customers = self.customers.ids(keys)
            sets = self._eligible.ids(rows.catalogue_id, rows.eligible, rows.removals)
            if len(sets) < n:
                sets *= n
            shared = _shared(rows)
            last_before = int(raw.execute(_LAST).fetchone()[0])
            before, every = raw.total_changes, list(_own(rows, customers, sets))
            own = iter(every)
            if noted_number(raw, "decisions") <= last_before:
                for _ in range(n // ROWS_PER_STATEMENT):
                    raw.execute(_INSERT_MANY, (*shared, *chain.from_iterable(islice(own, ROWS_PER_STATEMENT))))
            raw.executemany(_INSERT_ONE, ((*shared, *row) for row in own))
            if raw.total_changes - before == n:
                last = raw.execute("SELECT last_insert_rowid()").fetchone()[0]
                written = [(*shared, *row) for row in every]
                return self._with_details(rows, np.arange(last - n + 1, last + 1, dtype=np.int64), written)
            seqs = self._compare(rows, customers, sets)
            self._compare_weights(rows, seqs, last_before)
            self._connection.chain.add_stored(raw, DECISIONS, last_before + 1, MAX_NUMBER)
            return seqs

    def _with_details(self, rows: DecisionRows, seqs: IntArray, written: list[tuple[object, ...]]) -> IntArray:
        """Write the arms and weights of decisions that were just written, and return their numbers."""
        numbers, connection = seqs.tolist(), self._connection
        if rows.arms is None and rows.weights is None:
            if len(numbers) == 1:
                connection.chain.add_one(DECISIONS, (0, numbers[0], *written[0], *_NO_DETAILS))
            else:
                connection.chain.add(
                    DECISIONS, [(0, seq, *row, *_NO_DETAILS) for seq, row in zip(numbers, written, strict=True)]
                )
            return seqs
        if rows.arms is not None:
            connection.raw.executemany(*insertion(rows.arms, seqs))
        if rows.weights is not None:
            write_weights(connection.raw, seqs, rows.weights)
        connection.chain.add_stored(connection.raw, DECISIONS, numbers[0], numbers[-1])
        return seqs

    def _compare_weights(self, rows: DecisionRows, seqs: IntArray, last_before: int) -> None:
        """Write the weights of the decisions that are new, and compare those of the others."""
        raw, weights = self._connection.raw, rows.weights
        new = seqs > last_before
        if weights is not None:
            write_weights(raw, seqs[new], weights[new])
        reject_other_weights(raw, rows.decision_ids, seqs, weights)

    def _compare(self, rows: DecisionRows, customers: list[int], sets: list[int]) -> IntArray:
        """Return the numbers of decisions that are all stored by now; DuplicateError if one has other content."""
        ids = msgspec.json.encode(list(rows.decision_ids)).decode()
        stored = self._connection.raw.execute(_STORED, (ids,)).fetchall()
        sent = zip(
            rows.time.tolist(),
            customers,
            repeat(rows.catalogue_id),
            repeat(rows.policy_id),
            rows.contexts_json,
            sets,
            rows.offer.tolist(),
            rows.propensity.tolist(),
            repeat(rows.group) if isinstance(rows.group, str) else rows.group,
        )  # fmt: skip
        for decision_id, (_, *old), new in zip(rows.decision_ids, stored, map(list, sent), strict=True):
            if old != new:
                names = [name for name, a, b in zip(_COMPARED, old, new, strict=True) if a != b]
                raise DuplicateError(
                    f'the decision id "{decision_id}" is already there with another {" and another ".join(names)}; '
                    "give a new decision a new id"
                )
        return np.array([row[0] for row in stored], dtype=np.int64)


def _shared(rows: DecisionRows) -> tuple[object, ...]:
    """Return the parameters that all rows share."""
    # A zero character in a policy's error message must not prevent the decision.
    fault = None if rows.fault is None else rows.fault.replace("\0", "?")
    return (rows.catalogue_id, rows.policy_id, rows.policy_step, rows.seed, rows.batch, fault)


def _own_of_one(rows: DecisionRows, customer: int, eligible_set: int) -> tuple[object, ...]:
    """Return what `_own` yields for a batch of one."""
    vector = None if rows.probabilities is None else np.asarray(rows.probabilities[0], dtype="<f8").tobytes()
    return (
        rows.decision_ids[0],
        rows.time.item(),
        customer,
        eligible_set,
        rows.offer.item(),
        rows.propensity.item(),
        rows.group if isinstance(rows.group, str) else rows.group[0],
        rows.first_position,
        rows.contexts_json[0],
        vector,
    )


def _own(rows: DecisionRows, customers: list[int], sets: list[int]) -> Iterator[tuple[object, ...]]:
    """Yield the parameters of each row, in the order of `_OWN`."""
    n = len(rows)
    # A void view gives one bytes object a row without a loop over rows.
    vectors = (
        repeat(None)
        if rows.probabilities is None
        else np.ascontiguousarray(rows.probabilities, dtype="<f8")
        .view(f"V{8 * rows.probabilities.shape[1]}")
        .ravel()
        .tolist()
    )
    return zip(
        rows.decision_ids,
        rows.time.tolist(),
        customers,
        sets,
        rows.offer.tolist(),
        rows.propensity.tolist(),
        repeat(rows.group) if isinstance(rows.group, str) else rows.group,
        range(rows.first_position, rows.first_position + n),
        rows.contexts_json,
        vectors,
        strict=False,  # the shared group repeats without end
    )  # fmt: skip


def _texts_of_one(rows: DecisionRows) -> str:
    """Return all texts of a batch of one that are stored as they are, joined."""
    group = rows.group if isinstance(rows.group, str) else rows.group[0]
    own = rows.decision_ids[0], rows.customers[0], rows.contexts_json[0], group
    return "".join((*own, rows.seed or "", rows.batch or ""))


def _is_valid_single(rows: DecisionRows) -> bool:
    """Do the check of `_check` for a batch of one, with scalars, which is faster."""
    same_length = (
        len(rows.time) == len(rows.customers) == len(rows.contexts_json) == len(rows.offer) == len(rows.propensity) == 1
        and len(rows.eligible) == 1
        and (isinstance(rows.group, str) or len(rows.group) == 1)
        and (rows.probabilities is None or len(rows.probabilities) == 1)
        and (rows.customer_keys is None or len(rows.customer_keys) == 1)
    )
    if not same_length or ZERO in _texts_of_one(rows):
        return False
    offer = rows.offer.item()
    return bool(0.0 < rows.propensity.item() <= 1.0 and 0 <= offer < rows.eligible.shape[1] and rows.eligible[0, offer])


def _check(rows: DecisionRows) -> None:
    """Raise the error of the first column that is not valid."""
    n, eligible = len(rows), rows.eligible
    if n == 1 and rows.weights is None and _is_valid_single(rows):
        return
    for what, texts in (
        ("decision id", rows.decision_ids),
        ("customer", rows.customers),
        ("context", rows.contexts_json),
        ("group", rows.group),
        ("seed", rows.seed),
        ("batch", rows.batch),
    ):
        reject_zero_characters(what, texts)
    if rows.weights is not None:
        check_weights(rows.decision_ids, rows.weights)
    lengths = {n, len(rows.time), len(rows.customers), len(rows.contexts_json), len(rows.offer), len(rows.propensity)}
    if not isinstance(rows.group, str):
        lengths.add(len(rows.group))
    if rows.probabilities is not None:
        lengths.add(len(rows.probabilities))
    if rows.customer_keys is not None:
        lengths.add(len(rows.customer_keys))
    if rows.weights is not None:
        lengths.add(len(rows.weights))
    if len(lengths) > 1 or (len(eligible) not in {1, n} and n > 0):
        raise StoreError(f"the columns of a batch of decisions differ in length: {sorted(lengths | {len(eligible)})}")
    valid = (rows.propensity > 0) & (rows.propensity <= 1)  # false for NaN as well
    if not valid.all():
        row = int(np.argmin(valid))
        raise NumberError(
            f'the propensity of decision "{rows.decision_ids[row]}" is {rows.propensity[row]}; '
            "it must be above 0 and at most 1"
        )
    inside = (rows.offer >= 0) & (rows.offer < eligible.shape[1])
    where = np.arange(n) if len(eligible) == n else np.zeros(n, dtype=np.int64)
    legal = inside & eligible[where, np.where(inside, rows.offer, 0)]
    if not legal.all():
        row = int(np.argmin(legal))
        raise OfferError(
            f'the offer {rows.offer[row]} of decision "{rows.decision_ids[row]}" is not among its eligible offers; '
            "log the offers that it was chosen from"
        )
