"""Converts decisions and events to the plain JSON values of a spool's lines, and back."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from bandit.domain import EligibleSets
from bandit.store.records import DecisionRows, EventRows, object_array
from bandit.store.tables.decision_arms import ArmRows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bandit.domain import BoolArray, FloatArray


class SpooledArms(msgspec.Struct, frozen=True):
    """The arms of some of a batch of decisions, as in `ArmRows`; None stands for an unknown probability."""

    change_id: int
    rows: list[int]
    arm: list[str]
    weights: list[list[float]]
    probabilities: list[list[float | None]]
    steps: list[int]
    shadow_offer: list[int] | None = None
    shadow_propensity: list[float | None] | None = None

    @classmethod
    def of(cls, arms: ArmRows) -> SpooledArms:
        """Return arms as plain values."""
        return cls(
            arms.change_id,
            arms.rows.tolist(),
            arms.arm.tolist(),
            arms.weights.tolist(),
            [_amounts(row) for row in arms.probabilities],
            arms.steps.tolist(),
            None if arms.shadow_offer is None else arms.shadow_offer.tolist(),
            None if arms.shadow_propensity is None else _amounts(arms.shadow_propensity),
        )

    def as_rows(self) -> ArmRows:
        """Return the arms as rows to append."""
        shadow, propensity = self.shadow_offer, self.shadow_propensity
        return ArmRows(
            self.change_id,
            np.array(self.rows, dtype=np.int64),
            object_array(self.arm),
            np.array(self.weights, dtype=np.float64),
            np.array(self.probabilities, dtype=np.float64),
            np.array(self.steps, dtype=np.int64),
            None if shadow is None else np.array(shadow, dtype=np.int64),
            None if propensity is None else np.array(propensity, dtype=np.float64),
        )


class SpooledDecisions(msgspec.Struct, frozen=True, tag="decisions"):
    """A batch of decisions, with customers in stored form only.

    `masks` are the distinct eligible sets, packed eight offers a byte, in base64; `which` has the set of each row, and
    `removals` the JSON of what the rules removed for each set. `key_check` is that of the customer keys, which an older
    program did not write. `arms` are there only where a roll-out decided before the file was found to be moved.
    """

    decision_ids: list[str]
    time: list[int]
    customer_keys: list[str]
    catalogue_id: int
    policy_id: int | None
    policy_step: int
    contexts: list[str]
    n_offers: int
    masks: list[str]
    which: list[int]
    removals: list[str | None]
    offer: list[int]
    propensity: list[float]
    group: str | list[str]
    seed: str | None
    batch: str | None
    fault: str | None
    probabilities: str | None
    key_check: str = ""
    arms: SpooledArms | None = None

    def elsewhere(self, catalogues: Mapping[int, int], policies: Mapping[int, int]) -> SpooledDecisions:
        """Return the decisions for another database, given the numbers that it has for those of this one.

        It knows nothing of the changes of this one's roll-out: what they mixed is a choice of nobody that it knows.
        """
        policy = None if self.policy_id is None or self.arms is not None else self.policy_id
        return msgspec.structs.replace(
            self,
            catalogue_id=catalogues.get(self.catalogue_id, self.catalogue_id),
            policy_id=None if policy is None else policies.get(policy, policy),
            arms=None,
        )

    def rows(self) -> DecisionRows:
        """Return the decisions as rows to append."""
        which = np.array(self.which, dtype=np.int64)
        masks = np.stack([_unpacked(mask, self.n_offers) for mask in self.masks])
        vectors = None
        if self.probabilities is not None:
            vectors = np.frombuffer(base64.b64decode(self.probabilities), dtype="<f8").reshape(-1, self.n_offers)
        return DecisionRows(
            decision_ids=self.decision_ids,
            time=np.array(self.time, dtype=np.int64),
            customers=self.customer_keys,
            catalogue_id=self.catalogue_id,
            policy_id=self.policy_id,
            policy_step=self.policy_step,
            contexts_json=self.contexts,
            eligible=masks[which],
            offer=np.array(self.offer, dtype=np.int64),
            propensity=np.array(self.propensity, dtype=np.float64),
            group=self.group,
            seed=self.seed,
            batch=self.batch,
            fault=self.fault,
            probabilities=vectors,
            removals=lambda row: self.removals[self.which[row]] or "[]",
            customer_keys=self.customer_keys,
            key_check=self.key_check,
            arms=None if self.arms is None else self.arms.as_rows(),
        )


class SpooledEvents(msgspec.Struct, frozen=True, tag="events"):
    """A batch of events; None stands for no amount."""

    decision_ids: list[str]
    event: str | list[str]
    time: list[int]
    revenue: list[float | None]
    reward: list[float | None]
    event_ids: list[str | None] | None
    time_given: bool
    recorded_at: int | None
    correct: bool

    def rows(self) -> EventRows:
        """Return the events as rows to append."""
        return EventRows(
            event=self.event,
            time=np.array(self.time, dtype=np.int64),
            revenue=np.array(self.revenue, dtype=np.float64),
            reward=np.array(self.reward, dtype=np.float64),
            decision_ids=self.decision_ids,
            event_ids=self.event_ids,
            time_given=self.time_given,
            recorded_at=self.recorded_at,
        )


Spooled = SpooledDecisions | SpooledEvents


def spooled_decisions(rows: DecisionRows, customer_keys: Sequence[str], key_check: str) -> dict[str, object]:
    """Return a batch of decisions as plain JSON values."""
    sets = EligibleSets.of(rows.eligible)
    _, first = np.unique(sets.which, return_index=True)
    set_of_row = np.broadcast_to(sets.which, len(rows)) if len(sets) == 1 else sets.which
    removals = [None if rows.removals is None else rows.removals(row) for row in first.tolist()]
    return msgspec.to_builtins(  # type: ignore[no-any-return]
        SpooledDecisions(
            decision_ids=list(rows.decision_ids),
            time=rows.time.tolist(),
            customer_keys=[str(key) for key in customer_keys],
            catalogue_id=rows.catalogue_id,
            policy_id=rows.policy_id,
            policy_step=rows.policy_step,
            contexts=list(rows.contexts_json),
            n_offers=rows.eligible.shape[1],
            masks=[base64.b64encode(mask.tobytes()).decode() for mask in np.packbits(sets.masks, axis=1)],
            which=set_of_row.tolist(),
            removals=removals,
            offer=rows.offer.tolist(),
            propensity=rows.propensity.tolist(),
            group=_group(rows.group),
            seed=rows.seed,
            batch=rows.batch,
            fault=rows.fault,
            probabilities=None if rows.probabilities is None else _vectors(rows.probabilities),
            key_check=key_check,
            arms=None if rows.arms is None else SpooledArms.of(rows.arms),
        )
    )


def spooled_events(rows: EventRows, *, correct: bool) -> dict[str, object]:
    """Return a batch of events as plain JSON values; the rows must name decisions by their ids."""
    return msgspec.to_builtins(  # type: ignore[no-any-return]
        SpooledEvents(
            decision_ids=list(rows.decision_ids or ()),
            event=rows.event if isinstance(rows.event, str) else list(rows.event),
            time=rows.time.tolist(),
            revenue=_amounts(rows.revenue),
            reward=_amounts(rows.reward),
            event_ids=None if rows.event_ids is None else list(rows.event_ids),
            time_given=rows.time_given,
            recorded_at=rows.recorded_at,
            correct=correct,
        )
    )


def read_spooled(record: object) -> Spooled:
    """Return the content of a spool's line; msgspec.ValidationError for any other record."""
    return msgspec.convert(record, Spooled)  # type: ignore[no-any-return]


def _amounts(column: FloatArray) -> list[float | None]:
    return [amount if amount == amount else None for amount in column.tolist()]  # noqa: PLR0124 - NaN


def _vectors(probabilities: FloatArray) -> str:
    return base64.b64encode(np.ascontiguousarray(probabilities, dtype="<f8").tobytes()).decode()


def _group(group: str | Sequence[str]) -> str | list[str]:
    """Return one label where all rows have the same, as a line had it before rows could differ."""
    return group if isinstance(group, str) else group[0] if len(set(group)) == 1 else list(group)


def _unpacked(mask: str, n_offers: int) -> BoolArray:
    bits = np.frombuffer(base64.b64decode(mask), dtype=np.uint8)
    if not 0 <= 8 * len(bits) - n_offers < 8:
        raise ValueError(f"a mask of {len(bits)} bytes is not one of {n_offers} offers")
    return np.unpackbits(bits, count=n_offers).astype(np.bool_)
