"""Reads decisions with their outcomes, in columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from bandit.catalogue.objective import Objective, bounded_amounts
from bandit.domain import BoolArray, FloatArray, IntArray, ObjectArray
from bandit.errors import UnknownDecisionError
from bandit.store.corruption import decoding
from bandit.store.records import DecisionColumns, EventColumns, Where, object_array
from bandit.store.tables import activation
from bandit.store.tables.decision_weights import has_weights, read_weights
from bandit.store.tables.learned_stages import stages_reached

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bandit.store.connection import Connection
    from bandit.store.records import Activation

DECISION_COLUMNS = """
d.seq, d.decision_id, d.time, k.key, d.catalogue_id, COALESCE(d.policy_id, -1), d.policy_step, d.context,
d.eligible_set_id, d.offer, d.propensity, d.grp, d.seed, d.batch, d.position, d.fault,
CASE WHEN :probabilities THEN d.probabilities END
"""
N_DECISION_COLUMNS = 17

# An event counts within the window, if none corrects it; "closed" counts always.
COUNTED = """
SUM(e.time BETWEEN d.time AND d.time + :window AND e.event = :event),
COALESCE(SUM(e.time BETWEEN d.time AND d.time + :window AND e.revenue < 0), 0),
COALESCE(SUM(CASE WHEN e.time BETWEEN d.time AND d.time + :window THEN e.revenue END), 0.0),
COALESCE(SUM(CASE WHEN e.time BETWEEN d.time AND d.time + :window THEN e.reward END), 0.0),
SUM(e.time BETWEEN d.time AND d.time + :window AND (e.revenue IS NOT NULL OR e.reward IS NOT NULL)),
MAX(e.event = 'closed'),
COUNT(*),
MAX(e.id),
SUM(e.time BETWEEN d.time AND d.time + :window AND e.event IN (:event, 'closed'))
"""

# The statements are assembled from constants, once.
_FILTER = f"""
(:policy_id IS NULL OR d.policy_id = :policy_id) AND (:catalogue_id IS NULL OR d.catalogue_id = :catalogue_id)
AND (:after_time IS NULL OR d.time >= :after_time) AND (:before_time IS NULL OR d.time < :before_time)
AND (:grp IS NULL OR d.grp = :grp) AND (:batch IS NULL OR d.batch = :batch)
AND (:settled_before IS NULL OR d.time < :settled_before
    OR EXISTS (SELECT 1 FROM events c WHERE c.seq = d.seq AND c.event = 'closed'))
AND (:groups IS NULL OR d.grp IN (SELECT value FROM json_each(:groups)))
AND (:catalogue_ids IS NULL OR d.catalogue_id IN (SELECT value FROM json_each(:catalogue_ids)))
AND (:activation IS NULL OR {activation.ACTIVATED})
"""  # noqa: S608

_PAGE = f"""
SELECT {DECISION_COLUMNS} FROM decisions d CROSS JOIN customers k ON k.id = d.customer_id
WHERE d.seq > :after_seq AND d.seq <= :through_seq AND {_FILTER}
ORDER BY d.seq LIMIT :limit
"""  # noqa: S608
_BY_SEQ = f"""
SELECT {DECISION_COLUMNS} FROM decisions d CROSS JOIN customers k ON k.id = d.customer_id
WHERE d.seq IN (SELECT value FROM json_each(:seqs)) ORDER BY d.seq
"""  # noqa: S608
_SEQS_OF = "SELECT decision_id, seq FROM decisions WHERE decision_id IN (SELECT value FROM json_each(:ids))"
_TALLY = f"""
SELECT d.catalogue_id, d.offer, count(*) FROM decisions d
WHERE d.seq <= :through_seq AND {_FILTER} GROUP BY d.catalogue_id, d.offer
"""  # noqa: S608

# Grouped by customer first, so that each customer counts once; NULL stands for customers in more than one group.
_GROUPS = f"""
SELECT CASE WHEN low = high THEN low END, count(*) FROM (
    SELECT MIN(d.grp) AS low, MAX(d.grp) AS high FROM decisions d WHERE {_FILTER} GROUP BY d.customer_id
) GROUP BY 1
"""  # noqa: S608

_SEVERAL = f"""
SELECT k.key FROM (
    SELECT d.customer_id AS id FROM decisions d WHERE {_FILTER} GROUP BY d.customer_id HAVING MIN(d.grp) < MAX(d.grp)
) s JOIN customers k ON k.id = s.id
"""  # noqa: S608
_BY_GROUP = f"SELECT d.grp, count(*) FROM decisions d WHERE {_FILTER} GROUP BY d.grp"  # noqa: S608

_WEIGHTED = f"""
SELECT count(*) FROM decision_weights w CROSS JOIN decisions d ON d.seq = w.seq WHERE {_FILTER}
"""  # noqa: S608

_NOT_COMPUTABLE = f"""
SELECT CASE
    WHEN d.policy_id IS NULL THEN 'imported'
    WHEN d.seed IS NULL THEN 'batch'
    WHEN d.fault IS NOT NULL THEN 'fault'
    WHEN d.policy_step < p.decides_from OR EXISTS (
        SELECT 1 FROM changed_states s
        WHERE s.policy_id = d.policy_id AND d.policy_step BETWEEN s.first_step AND s.last_step
    ) THEN 'state'
    WHEN EXISTS (SELECT 1 FROM decision_arms a WHERE a.seq = d.seq) THEN 'arm'
END AS why, count(*)
FROM decisions d LEFT JOIN policies p ON p.id = d.policy_id WHERE {_FILTER} GROUP BY 1 HAVING why IS NOT NULL
"""  # noqa: S608

# Decisions without events give no row. CROSS JOIN keeps SQLite from starting at the decisions.
_OUTCOMES = f"""
SELECT e.seq, {COUNTED}
FROM events e CROSS JOIN decisions d ON d.seq = e.seq
WHERE e.seq IN (SELECT value FROM json_each(:seqs))
    AND NOT EXISTS (SELECT 1 FROM events n WHERE n.corrects = e.id)
GROUP BY e.seq ORDER BY e.seq
"""  # noqa: S608


@dataclass(frozen=True, slots=True, eq=False)
class StoredOutcomes:
    """The outcomes of n decisions; `valued` is true where some counted event has a revenue or a reward.

    `n_counted` of the `n_events` are conversions or "closed", within the window.
    """

    converted: BoolArray
    revenue: FloatArray
    value: FloatArray
    valued: BoolArray
    closed: BoolArray
    n_events: IntArray
    last_event_id: IntArray
    n_counted: IntArray

    @staticmethod
    def none(n: int) -> StoredOutcomes:
        """Return the outcomes of n decisions without events."""
        no, nothing, zero = np.zeros(n, dtype=np.bool_), np.zeros(n), np.zeros(n, dtype=np.int64)
        return StoredOutcomes(no, nothing, nothing, no, no, zero, zero, zero)

    def take(self, rows: IntArray) -> StoredOutcomes:
        """Return the chosen rows."""
        return StoredOutcomes(*(getattr(self, name)[rows] for name in StoredOutcomes.__slots__))


_EVERYTHING = Where()


class DecisionReader:
    """Reads the tables `decisions` and `events`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def page(
        self,
        objective_event: str,
        window: int,
        *,
        after_seq: int = 0,
        through_seq: int | None = None,
        limit: int = 65_536,
        where: Where = _EVERYTHING,
        probabilities: bool = False,
        outcomes: bool = True,
    ) -> DecisionColumns:
        """Return the next decisions after the number `after_seq`, at most `limit`; without `outcomes` none has any."""
        with self._connection.reading() as raw:
            rows = raw.execute(
                _PAGE,
                {
                    "after_seq": after_seq,
                    "through_seq": self.last_seq() if through_seq is None else through_seq,
                    "limit": limit,
                    "probabilities": probabilities,
                    **_filter(where),
                },
            ).fetchall()
            return self._with_outcomes(
                rows, objective_event, window, None if outcomes else StoredOutcomes.none(len(rows))
            )

    def by_seq(
        self,
        seqs: IntArray,
        objective_event: str,
        window: int,
        *,
        probabilities: bool = False,
        outcomes: StoredOutcomes | None = None,
    ) -> DecisionColumns:
        """Return the decisions with these numbers, which must ascend; `outcomes` where they have been read already."""
        with self._connection.reading() as raw:
            parameters = {"seqs": _json(seqs), "probabilities": probabilities}
            return self._with_outcomes(raw.execute(_BY_SEQ, parameters).fetchall(), objective_event, window, outcomes)

    def of_customer(self, key: str) -> IntArray:
        """Return the numbers of a customer's decisions, in order; the customer is given in stored form."""
        with self._connection.reading() as raw:
            rows = raw.execute(
                "SELECT d.seq FROM customers k JOIN decisions d ON d.customer_id = k.id WHERE k.key = ? ORDER BY d.seq",
                (key,),
            ).fetchall()
        return np.array(rows, dtype=np.int64).reshape(-1)

    def one(self, decision_id: str, objective_event: str, window: int) -> DecisionColumns:
        """Return one decision, as a batch of one, with its probabilities; UnknownDecisionError for an unknown id."""
        seq = np.array([self.seq_of(decision_id)], dtype=np.int64)
        return self.by_seq(seq, objective_event, window, probabilities=True)

    def seq_of(self, decision_id: str) -> int:
        """Return the number of a decision; UnknownDecisionError for an unknown id."""
        with self._connection.reading() as raw:
            row = raw.execute("SELECT seq FROM decisions WHERE decision_id = ?", (decision_id,)).fetchone()
        if row is None:
            raise UnknownDecisionError(f'there is no decision "{decision_id}" in {self._connection.path}; check the id')
        return int(row[0])

    def has(self, decision_id: str) -> bool:
        """Say whether there is a decision with this id."""
        with self._connection.reading() as raw:
            found = raw.execute("SELECT 1 FROM decisions WHERE decision_id = ?", (decision_id,)).fetchone()
        return found is not None

    def first_existing(self, decision_ids: Sequence[str]) -> str | None:
        """Return the first of the ids that a stored decision has, None if none has."""
        with self._connection.reading() as raw:
            for decision_id in decision_ids:
                if raw.execute("SELECT 1 FROM decisions WHERE decision_id = ?", (decision_id,)).fetchone() is not None:
                    return decision_id
        return None

    def seqs_of(self, decision_ids: Sequence[str]) -> dict[str, int]:
        """Return the numbers of those of the ids that stored decisions have."""
        with self._connection.reading() as raw:
            rows = raw.execute(_SEQS_OF, {"ids": msgspec.json.encode(list(decision_ids)).decode()})
            return {row[0]: int(row[1]) for row in rows}

    def weighted(self, where: Where = _EVERYTHING) -> int:
        """Return how many of the decisions stand for more or less than one."""
        with self._connection.reading() as raw:
            return int(raw.execute(_WEIGHTED, _filter(where)).fetchone()[0]) if has_weights(raw) else 0

    def last_seq(self) -> int:
        """Return the number of the newest decision, 0 without any."""
        with self._connection.reading() as raw:
            return int(raw.execute("SELECT COALESCE(MAX(seq), 0) FROM decisions").fetchone()[0])

    def newest_policy(self) -> int | None:
        """Return the number of the policy of the newest decision that has one, None without any."""
        with self._connection.reading() as raw:
            row = raw.execute(
                "SELECT policy_id FROM decisions WHERE policy_id IS NOT NULL ORDER BY seq DESC LIMIT 1"
            ).fetchone()
        return None if row is None else int(row[0])

    def last_seq_until(self, time: int) -> int:
        """Return the number of the newest decision made up to a time, 0 without any."""
        with self._connection.reading() as raw:
            row = raw.execute("SELECT COALESCE(MAX(seq), 0) FROM decisions WHERE time <= ?", (time,)).fetchone()
        return int(row[0])

    def tally(self, where: Where, through_seq: int) -> tuple[IntArray, IntArray, IntArray]:
        """Return the numbers of decisions by catalogue and offer, as three columns (catalogue id, offer, count)."""
        with self._connection.reading() as raw:
            rows = raw.execute(_TALLY, {"through_seq": through_seq, **_filter(where)}).fetchall()
        with decoding(self._connection.path, "a decision"):
            table = np.array(rows, dtype=np.int64).reshape(-1, 3)
        return table[:, 0], table[:, 1], table[:, 2]

    def customers_by_group(self, where: Where = _EVERYTHING) -> tuple[dict[str, int], int]:
        """Return the number of customers by group, and separately the number of those in more than one group."""
        with self._connection.reading() as raw:
            counts = dict(raw.execute(_GROUPS, _filter(where)).fetchall())
        several = int(counts.pop(None, 0))
        return {str(group): int(count) for group, count in counts.items()}, several

    def customers_in_several_groups(self, where: Where = _EVERYTHING) -> frozenset[str]:
        """Return the customers, in stored form, who have decisions in more than one group."""
        with self._connection.reading() as raw:
            return frozenset(row[0] for row in raw.execute(_SEVERAL, _filter(where)))

    def decisions_by_group(self, where: Where = _EVERYTHING) -> dict[str, int]:
        """Return the number of decisions by group."""
        with self._connection.reading() as raw:
            return {str(group): int(count) for group, count in raw.execute(_BY_GROUP, _filter(where))}

    def not_computable(self, where: Where = _EVERYTHING) -> dict[str, int]:
        """Return by reason for how many decisions the log does not tell what each group would have been served.

        "imported"; "batch": a removal deleted a part of the batch; "fault": the policy was not asked, or failed;
        "state": made with a state from before a removal; "arm": served by an arm of a roll-out, which can be computed
        again, but not what the arms would have given the customers of other groups.
        """
        with self._connection.reading() as raw:
            return {str(why): int(n) for why, n in raw.execute(_NOT_COMPUTABLE, _filter(where))}

    def outcomes(self, seqs: IntArray, objective_event: str, window: int) -> StoredOutcomes:
        """Return the outcomes of the decisions with these ascending numbers, from their events within `window`."""
        with self._connection.reading() as raw:
            rows = raw.execute(_OUTCOMES, {"seqs": _json(seqs), "event": objective_event, "window": window}).fetchall()
        columns = list(zip(*rows, strict=True)) or [()] * 10
        places = np.searchsorted(seqs, np.array(columns[0], dtype=np.int64))

        def spread(place: int) -> IntArray:
            column = np.zeros(len(seqs), dtype=np.int64)
            column[places] = columns[place]
            return column

        def spread_numbers(place: int) -> FloatArray:
            column = np.zeros(len(seqs))
            column[places] = columns[place]
            return column

        revenue = bounded_amounts(spread_numbers(3))
        return StoredOutcomes(
            converted=Objective.conversions(spread(1) > 0, spread(2) > 0, revenue),
            revenue=revenue,
            value=bounded_amounts(spread_numbers(4)),
            valued=spread(5) > 0,
            closed=spread(6) > 0,
            n_events=spread(7),
            last_event_id=spread(8),
            n_counted=spread(9),
        )

    def stages(self, seqs: IntArray, objective: Objective) -> IntArray:
        """Return how many of the objective's stages the decisions with these ascending numbers have reached, (n,)."""
        if not objective.stages:
            return np.zeros(len(seqs), dtype=np.int64)
        with self._connection.reading() as raw:
            return stages_reached(raw, seqs, objective.stages, objective.event, objective.window)

    def times(self, seqs: IntArray) -> IntArray:
        """Return the (n,) times of the decisions with these numbers, which must ascend."""
        with self._connection.reading() as raw:
            rows = raw.execute(
                "SELECT time FROM decisions WHERE seq IN (SELECT value FROM json_each(?)) ORDER BY seq",
                (_json(seqs),),
            ).fetchall()
        return np.array(rows, dtype=np.int64).reshape(-1)

    def activated(self, seqs: IntArray, criterion: Activation) -> BoolArray:
        """Return which of the decisions with these (n,) ascending numbers were activated."""
        with self._connection.reading() as raw:
            return activation.activated(raw, seqs, criterion)

    def groups(self, seqs: IntArray) -> ObjectArray:
        """Return the (n,) groups of the decisions with these numbers, which must ascend."""
        with self._connection.reading() as raw:
            rows = raw.execute(
                "SELECT grp FROM decisions WHERE seq IN (SELECT value FROM json_each(?)) ORDER BY seq", (_json(seqs),)
            ).fetchall()
        return np.array([row[0] for row in rows], dtype=object)

    def events_of(self, decision_id: str) -> EventColumns:
        """Return all events of a decision, including those that a later event corrects."""
        seq = self.seq_of(decision_id)
        with self._connection.reading() as raw:
            rows = raw.execute(
                "SELECT id, event_id, event, time, recorded_at, revenue, reward, COALESCE(corrects, -1), "
                "NOT EXISTS (SELECT 1 FROM events n WHERE n.corrects = e.id) FROM events e WHERE seq = ? ORDER BY id",
                (seq,),
            ).fetchall()
        columns = list(zip(*rows, strict=True)) or [()] * 9
        return EventColumns(
            id=np.array(columns[0], dtype=np.int64),
            event_id=object_array(columns[1]),
            event=object_array(columns[2]),
            time=np.array(columns[3], dtype=np.int64),
            recorded_at=np.array(columns[4], dtype=np.int64),
            revenue=np.array(columns[5], dtype=np.float64),
            reward=np.array(columns[6], dtype=np.float64),
            corrects=np.array(columns[7], dtype=np.int64),
            current=np.array(columns[8], dtype=np.bool_),
        )

    def _with_outcomes(
        self, rows: Sequence[tuple[object, ...]], event: str, window: int, known: StoredOutcomes | None = None
    ) -> DecisionColumns:
        """Return the rows as columns with their outcomes; inside `reading`, so that both reads see one state."""
        with decoding(self._connection.path, "a decision"):
            return self._columns(list(zip(*rows, strict=True)) or [()] * N_DECISION_COLUMNS, event, window, known)

    def _columns(
        self, columns: Sequence[tuple[object, ...]], event: str, window: int, known: StoredOutcomes | None
    ) -> DecisionColumns:
        def integers(place: int) -> IntArray:
            return np.array(columns[place], dtype=np.int64)

        seq = integers(0)
        outcomes = self.outcomes(seq, event, window) if known is None or len(known.closed) != len(seq) else known
        with self._connection.reading() as raw:
            weight = read_weights(raw, seq)
        return DecisionColumns(
            seq=seq,
            decision_id=object_array(columns[1]),
            time=integers(2),
            customer=object_array(columns[3]),
            catalogue_id=integers(4),
            policy_id=integers(5),
            policy_step=integers(6),
            context=object_array(columns[7]),
            eligible_set_id=integers(8),
            offer=integers(9),
            propensity=np.array(columns[10], dtype=np.float64),
            group=object_array(columns[11]),
            seed=object_array(columns[12]),
            batch=object_array(columns[13]),
            position=integers(14),
            fault=object_array(columns[15]),
            probabilities=object_array(columns[16]),
            converted=outcomes.converted,
            revenue=outcomes.revenue,
            value=outcomes.value,
            closed=outcomes.closed,
            n_events=outcomes.n_events,
            last_event_id=outcomes.last_event_id,
            weight=weight,
        )


def _filter(where: Where) -> dict[str, object]:
    return {
        "policy_id": where.policy_id,
        "catalogue_id": where.catalogue_id,
        "after_time": where.after_time,
        "before_time": where.before_time,
        "grp": where.group,
        "batch": where.batch,
        "settled_before": where.settled_before,
        "groups": None if where.groups is None else msgspec.json.encode(where.groups).decode(),
        "catalogue_ids": None if where.catalogue_ids is None else msgspec.json.encode(where.catalogue_ids).decode(),
        **activation.parameters(where.activation),
    }


def _json(seqs: IntArray) -> str:
    return msgspec.json.encode(seqs.tolist()).decode()
