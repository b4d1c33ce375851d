"""The table `decision_weights`: how many decisions a stored one stands for, where it is not one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from bandit.errors import DuplicateError, NumberError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from bandit.domain import FloatArray, IntArray

_INSERT = "INSERT INTO decision_weights (seq, weight) VALUES (?, ?)"
_ANY = "SELECT MAX(seq) FROM decision_weights"
_BY_SEQ = """
SELECT w.seq, w.weight FROM json_each(?) j CROSS JOIN decision_weights w ON w.seq = j.value ORDER BY w.seq
"""


def has_weights(raw: sqlite3.Connection) -> bool:
    """Say whether any decision has a weight other than 1."""
    return raw.execute(_ANY).fetchone()[0] is not None


def read_weights(raw: sqlite3.Connection, seqs: IntArray) -> FloatArray:
    """Return the (n,) weights of the decisions with these ascending numbers, 1 where there is no row."""
    weights = np.ones(len(seqs))
    if not len(seqs) or not has_weights(raw):
        return weights
    rows = raw.execute(_BY_SEQ, (msgspec.json.encode(seqs.tolist()).decode(),)).fetchall()
    if rows:
        found = np.array(rows, dtype=np.float64)
        weights[np.searchsorted(seqs, found[:, 0].astype(np.int64))] = found[:, 1]
    return weights


def write_weights(raw: sqlite3.Connection, seqs: IntArray, weights: FloatArray) -> None:
    """Write the weights of decisions that were just written, (n,) each; a weight of 1 needs no row."""
    rows = np.flatnonzero(weights != 1.0)
    if len(rows):
        raw.executemany(_INSERT, zip(seqs[rows].tolist(), weights[rows].tolist(), strict=True))


def check_weights(decision_ids: Sequence[str], weights: FloatArray) -> None:
    """Raise NumberError for a weight that is not a finite number above 0."""
    bad = ~(np.isfinite(weights) & (weights > 0.0))
    if bad.any():
        row = int(np.argmax(bad))
        raise NumberError(
            f'the weight of decision "{decision_ids[row]}" is {weights[row]}; it must be a finite number above 0'
        )


def reject_other_weights(
    raw: sqlite3.Connection, decision_ids: Sequence[str], seqs: IntArray, weights: FloatArray | None
) -> None:
    """Raise DuplicateError where a stored decision, (n,) numbers in any order, has another weight than the given."""
    order = np.argsort(seqs, kind="stable")
    stored = np.empty(len(seqs))
    stored[order] = read_weights(raw, seqs[order])
    other = stored != (1.0 if weights is None else weights)
    if other.any():
        row = int(np.argmax(other))
        given = 1.0 if weights is None else float(weights[row])
        raise DuplicateError(
            f'the decision id "{decision_ids[row]}" is already there with another weight, {stored[row]:g} and not '
            f"{given:g}; give a new decision a new id"
        )
