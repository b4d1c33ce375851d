"""The table `decision_arms`: which arm of a roll-out served a decision, and the mixture that its propensity is of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from bandit.errors import StoreError
from bandit.store.records import object_array

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bandit.domain import FloatArray, IntArray, ObjectArray
    from bandit.store.connection import Connection

_INSERT = """
INSERT INTO decision_arms (seq, change_id, arm, mixture, shadow_offer, shadow_propensity) VALUES (?, ?, ?, ?, ?, ?)
"""

_COLUMNS = "a.seq, a.change_id, a.arm, a.mixture, a.shadow_offer, a.shadow_propensity"

_BY_SEQ = f"""
SELECT {_COLUMNS} FROM json_each(?) j CROSS JOIN decision_arms a ON a.seq = j.value ORDER BY j.key
"""  # noqa: S608 - constants

_OF_CUSTOMERS = f"""
SELECT j.key, {_COLUMNS} FROM json_each(?) j
CROSS JOIN customers c ON c.key = j.value
CROSS JOIN decisions d ON d.customer_id = c.id
CROSS JOIN decision_arms a ON a.seq = d.seq
WHERE d.seq < ? ORDER BY a.seq
"""  # noqa: S608 - constants


@dataclass(frozen=True, slots=True, eq=False)
class ArmRows:
    """The arms of m of the decisions of a batch to append, all under one change of the roll-out with K arms.

    `rows` (m,) are their places in the batch, `arm` (m,) the names of the arms that served them. `weights` (m, K) are
    the probabilities that the customer belongs to each arm, given its earlier decisions, and `probabilities` (m, K)
    those of the served offer under each arm, NaN where unknown; `steps` (K,) are the arms' policy steps, -1 without a
    policy. `shadow_offer` and `shadow_propensity` (m,) are what a policy in shadow chose, None without one.
    """

    change_id: int
    rows: IntArray
    arm: ObjectArray
    weights: FloatArray
    probabilities: FloatArray
    steps: IntArray
    shadow_offer: IntArray | None = None
    shadow_propensity: FloatArray | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ArmColumns:
    """m rows read back; `mixture` are (3, K) lists: weights, probabilities and steps. Shadow is -1, NaN without one.

    `place` (m,) has the place of each row's customer among those that were asked for, where customers were.
    """

    seq: IntArray
    change_id: IntArray
    arm: ObjectArray
    mixture: ObjectArray
    shadow_offer: IntArray
    shadow_propensity: FloatArray
    place: IntArray

    def __len__(self) -> int:
        return len(self.seq)

    def take(self, rows: IntArray | slice) -> ArmColumns:
        """Return some of the rows."""
        return ArmColumns(*(getattr(self, name)[rows] for name in ArmColumns.__slots__))

    def mixtures(self) -> FloatArray:
        """Return the mixtures of rows under one change as (m, 3, K)."""
        return np.array(self.mixture.tolist(), dtype=np.float64) if len(self) else np.zeros((0, 3, 0))


class DecisionArms:
    """Reads the table `decision_arms`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def of(self, seqs: IntArray) -> ArmColumns:
        """Return the rows of these decisions, in their order; those without a row are left out."""
        with self._connection.reading() as raw:
            rows = raw.execute(_BY_SEQ, (msgspec.json.encode(seqs.tolist()).decode(),)).fetchall()
        return _columns([(0, *row) for row in rows])

    def of_customers(self, keys: Sequence[str] | ObjectArray, before_seq: int = 2**62) -> ArmColumns:
        """Return the rows of these customers' decisions before a number, in order; `keys` are in stored form."""
        with self._connection.reading() as raw:
            text = msgspec.json.encode(list(keys)).decode()
            return _columns(raw.execute(_OF_CUSTOMERS, (text, before_seq)).fetchall())

    def any(self) -> bool:
        """Say whether there is any row."""
        with self._connection.reading() as raw:
            return raw.execute("SELECT 1 FROM decision_arms LIMIT 1").fetchone() is not None


def insertion(arms: ArmRows, seqs: IntArray) -> tuple[str, Iterable[tuple[object, ...]]]:
    """Return the statement and the parameters that append arms of the decisions with these numbers, (n,)."""
    m = len(arms.rows)
    steps = np.broadcast_to(arms.steps.astype(np.float64), arms.weights.shape)
    mixtures = np.stack([arms.weights, arms.probabilities, steps], axis=1).tolist()
    none: list[None] = [None] * m
    return _INSERT, zip(
        seqs[arms.rows].tolist(),
        [arms.change_id] * m,
        arms.arm.tolist(),
        [msgspec.json.encode(mixture).decode() for mixture in mixtures],
        none if arms.shadow_offer is None else arms.shadow_offer.tolist(),
        none if arms.shadow_propensity is None else arms.shadow_propensity.tolist(),
        strict=True,
    )


def _columns(rows: Sequence[tuple[object, ...]]) -> ArmColumns:
    place, seq, change, arm, mixture, offer, propensity = zip(*rows, strict=True) if rows else ((),) * 7
    try:
        texts = msgspec.json.decode("[" + ",".join(map(str, mixture)) + "]", type=list[list[list[float | None]]])
    except msgspec.DecodeError as fault:
        raise StoreError(f"a stored mixture of arms cannot be read: {fault}; restore a backup") from fault
    return ArmColumns(
        np.array(seq, dtype=np.int64),
        np.array(change, dtype=np.int64),
        object_array(arm),
        np.fromiter(texts, dtype=object, count=len(texts)),
        np.array([-1 if each is None else each for each in offer], dtype=np.int64),
        np.array([np.nan if each is None else each for each in propensity], dtype=np.float64),
        np.array(place, dtype=np.int64),
    )
