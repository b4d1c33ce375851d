"""Reads which arms of a roll-out served decisions, page by page, for reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from bandit.store.records import object_array

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bandit.domain import FloatArray, IntArray, ObjectArray
    from bandit.store.connection import Connection

# The second arm is the champion, whatever serves; its probability of the served offer is the first number at 1 of the
# second list of the mixture.
# Where a policy failed, the fallback was served in place of every arm.
_PAGE = """
SELECT a.seq, change_id, arm, json_extract(mixture, '$[1][1]'), shadow_offer, shadow_propensity
FROM decision_arms a CROSS JOIN decisions d ON d.seq = a.seq
WHERE a.seq > :after AND change_id IN (SELECT value FROM json_each(:changes)) AND d.fault IS NULL
ORDER BY a.seq LIMIT :limit
"""
_CHANGES = """
SELECT change_id, MAX(shadow_offer IS NOT NULL), count(*)
FROM decision_arms a CROSS JOIN decisions d ON d.seq = a.seq
WHERE d.fault IS NULL GROUP BY change_id ORDER BY change_id
"""


@dataclass(frozen=True, slots=True, eq=False)
class ServedArms:
    """n decisions under a roll-out that did not end in a fault, by ascending number.

    `policy_probability` is the champion's probability of the served offer, NaN where it is not known. `shadow_offer`
    is what the champion chose without serving it and `shadow_propensity` its probability of that, -1 and NaN without a
    shadow.
    """

    seq: IntArray
    change_id: IntArray
    arm: ObjectArray
    policy_probability: FloatArray
    shadow_offer: IntArray
    shadow_propensity: FloatArray

    def __len__(self) -> int:
        return len(self.seq)


@dataclass(frozen=True, slots=True)
class ServedChange:
    """How many decisions were made under a change of the roll-out, and whether any has a choice in shadow."""

    change_id: int
    shadow: bool
    decisions: int


class ServedArmsReader:
    """Reads the table `decision_arms` by change."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def changes(self) -> tuple[ServedChange, ...]:
        """Return the changes under which decisions were made, oldest first."""
        with self._connection.reading() as raw:
            rows = raw.execute(_CHANGES).fetchall()
        return tuple(ServedChange(number, bool(shadow), n) for number, shadow, n in rows)

    def page(self, changes: Sequence[int], *, after_seq: int = 0, limit: int = 65_536) -> ServedArms:
        """Return the next decisions after a number that were made under some changes, at most `limit`."""
        text = msgspec.json.encode(list(changes)).decode()
        with self._connection.reading() as raw:
            rows = raw.execute(_PAGE, {"after": after_seq, "changes": text, "limit": limit}).fetchall()
        seq, change, arm, policy, offer, propensity = list(zip(*rows, strict=True)) or [()] * 6
        shadow = np.array(offer, dtype=np.float64)  # NULL becomes NaN
        return ServedArms(
            seq=np.array(seq, dtype=np.int64),
            change_id=np.array(change, dtype=np.int64),
            arm=object_array(arm),
            policy_probability=np.array(policy, dtype=np.float64),
            shadow_offer=np.where(np.isnan(shadow), -1.0, shadow).astype(np.int64),
            shadow_propensity=np.array(propensity, dtype=np.float64),
        )
