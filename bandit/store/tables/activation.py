"""Which decisions were activated: with an [objective] activation, others have no outcome.

A decision is activated once an event of the declared name was recorded on it whose time is neither before the decision
nor later than the end of its window. A correction of that event does not take it back: what a policy has learned cannot
be unlearned by every policy, and so an activation is final.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

if TYPE_CHECKING:
    import sqlite3

    from bandit.domain import BoolArray, IntArray
    from bandit.store.records import Activation

ACTIVATED = """
EXISTS (
    SELECT 1 FROM events a WHERE a.seq = d.seq AND a.event = :activation
        AND a.time BETWEEN d.time AND d.time + :activation_window
)
"""
"""The condition on a decision `d`, in SQL."""

_AMONG = f"""
SELECT d.seq FROM json_each(:seqs) j CROSS JOIN decisions d ON d.seq = j.value WHERE {ACTIVATED} ORDER BY d.seq
"""  # noqa: S608 - put together once, of constants


def parameters(activation: Activation | None) -> dict[str, object]:
    """Return the parameters of the condition, None where nothing is to be activated."""
    if activation is None:
        return {"activation": None, "activation_window": None}
    return {"activation": activation.event, "activation_window": activation.window}


def activated(raw: sqlite3.Connection, seqs: IntArray, activation: Activation) -> BoolArray:
    """Return which of the decisions with these (n,) ascending numbers were activated."""
    text = msgspec.json.encode(seqs.tolist()).decode()
    rows = raw.execute(_AMONG, {"seqs": text} | parameters(activation)).fetchall()
    return np.isin(seqs, np.array(rows, dtype=np.int64).reshape(-1))
