"""Decisions: one request answered, or a batch of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from bandit.domain.offers import SparseProbabilities

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bandit.domain.arrays import BoolArray, FloatArray, IntArray, ObjectArray
    from bandit.domain.offers import Removal
    from bandit.explain.records import DecisionExplanation


@dataclass(frozen=True, slots=True, eq=False)
class Decision:
    """One request answered.

    `offer` maps each dimension to the chosen option, `offer_index` is its number in the catalogue, `eligible` is
    the (N,) mask it was chosen from, `drawn_from` the (N,) probabilities or, with many offers, their sparse form.
    `fault` says why the fallback was served instead of the policy's choice, and is None otherwise. `logged` is False
    where neither the database nor the spool beside it could be written: nothing will be learned from this decision.
    `held_from` is the id of the earlier decision of the same customer that answers this request, where the catalogue's
    [sticky] holds one: then the offer, the propensity, the eligible set and the reasons are those of that decision.
    `arm` names what served it under a roll-out ("policy", "challenger:3", "rules" or "fallback"), and is None without
    one; the propensity is then that of the mixture of all arms. With a `fault` it is the arm that should have served.
    `explainer` is what `explain` asks, given by the engine that decided; it is lost where a decision is pickled.
    """

    decision_id: str
    customer: str
    offer: Mapping[str, str]
    offer_index: int
    propensity: float
    eligible: BoolArray
    reasons: tuple[Removal, ...]
    drawn_from: FloatArray | SparseProbabilities
    time: int
    group: str
    fault: str | None = None
    logged: bool = True
    arm: str | None = None
    held_from: str | None = None
    explainer: Callable[[str], DecisionExplanation] | None = field(default=None, repr=False, compare=False)

    def explain(self) -> DecisionExplanation:
        """Return why this offer was chosen, from the log of the engine that decided, which must be open.

        RuntimeError for a decision that no engine returned, or that was pickled since.
        """
        if self.explainer is None:
            raise RuntimeError(
                f'decision "{self.decision_id}" does not know its engine; ask engine.explain("{self.decision_id}"), or '
                "`offer-bandit why` with the database"
            )
        return self.explainer(self.decision_id)

    def to_dict(self) -> dict[str, object]:
        """Return the decision as plain values for JSON, without the (N,) arrays."""
        return {
            "decision_id": self.decision_id,
            "customer": self.customer,
            "offer": dict(self.offer),
            "offer_index": self.offer_index,
            "propensity": self.propensity,
            "n_eligible": int(np.count_nonzero(self.eligible)),
            "reasons": [
                {
                    "rule": reason.rule,
                    "reason": reason.reason,
                    "n_offers": len(reason.offers),
                    "n_combinations": reason.combinations,
                }
                for reason in self.reasons
            ],
            "time": self.time,
            "group": self.group,
            "fault": self.fault,
            "logged": self.logged,
            "arm": self.arm,
            "held_from": self.held_from,
        }

    @property
    def probabilities(self) -> FloatArray:
        """The (N,) vector it was drawn from; NaN for a repeated request whose vector was not stored."""
        if isinstance(self.drawn_from, SparseProbabilities):
            return np.asarray(self.drawn_from.dense(self.eligible[None, :])[0])
        return self.drawn_from


@dataclass(frozen=True, slots=True, eq=False)
class DecisionBatch:
    """n requests answered, column by column; the fields are those of `Decision`, with n rows.

    `probabilities` is None unless the engine was asked to keep whole vectors. `fault` is the first of any part's, and
    `logged` is False where some part could be written nowhere. `group` is one label for all rows, or (n,) labels where
    the catalogue declares groups or the caller gave a column of them. `arm` is None without a roll-out. `held_from`
    (n,) has an id or None for each row; it is None where no offer is held.
    """

    decision_ids: tuple[str, ...]
    customers: tuple[str, ...]
    offers: Mapping[str, ObjectArray]
    offer_index: IntArray
    propensity: FloatArray
    eligible: BoolArray
    probabilities: FloatArray | None
    time: IntArray
    group: str | ObjectArray
    fault: str | None = None
    logged: bool = True
    arm: ObjectArray | None = None
    held_from: ObjectArray | None = None

    def __len__(self) -> int:
        return len(self.decision_ids)

    def to_dict(self) -> dict[str, object]:
        """Return the batch as plain values for JSON, column by column, without the (n, N) arrays."""
        return {
            "decision_ids": list(self.decision_ids),
            "customers": list(self.customers),
            "offers": {name: column.tolist() for name, column in self.offers.items()},
            "offer_index": self.offer_index.tolist(),
            "propensity": self.propensity.tolist(),
            "time": self.time.tolist(),
            "group": self.group if isinstance(self.group, str) else self.group.tolist(),
            "fault": self.fault,
            "logged": self.logged,
            "arm": None if self.arm is None else self.arm.tolist(),
            "held_from": None if self.held_from is None else self.held_from.tolist(),
        }
