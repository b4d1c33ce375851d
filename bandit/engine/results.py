"""Choices as the records that the caller receives: a decision, or a batch of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bandit.catalogue import Catalogue
from bandit.decide import Choice
from bandit.domain import BoolArray, Contexts, Decision, FloatArray, IntArray, SparseProbabilities
from bandit.engine.explainer import DecisionExplainer


def decision_of(
    catalogue: Catalogue,
    decision_id: str,
    customer: str,
    contexts: Contexts,
    choice: Choice,
    time: int,
    group: str,
    *,
    held_from: str | None = None,
    explainer: DecisionExplainer | None = None,
) -> Decision:
    """Return the choice for one context as a decision."""
    offer = int(choice.offer[0])
    if choice.fired is None:  # it is from the log
        contexts = catalogue.with_rules_that_held(contexts, choice.eligible)
    return Decision(
        decision_id=decision_id,
        customer=customer,
        offer=catalogue.offer(offer),
        offer_index=offer,
        propensity=float(choice.propensity[0]),
        eligible=choice.eligible[0],
        reasons=catalogue.reasons(contexts, choice.fired),
        drawn_from=choice.drawn_from if isinstance(choice.drawn_from, SparseProbabilities) else choice.drawn_from[0],
        time=time,
        group=group,
        fault=choice.fault,
        logged=choice.logged,
        arm=None if choice.arm is None else choice.arm[0],
        held_from=held_from,
        explainer=explainer,
    )


def stored_choice(
    catalogue: Catalogue,
    offer: IntArray,
    propensity: FloatArray,
    eligible: BoolArray,
    probabilities: FloatArray | bytes | None,
    fault: str | None = None,
) -> Choice:
    """Return a stored choice for one context, with the (N,) probabilities or NaN if they were not logged.

    `offer` and `propensity` are (1,), `eligible` is (N,); probabilities as bytes are float64.
    """
    vector = np.frombuffer(probabilities, dtype="<f8") if isinstance(probabilities, bytes) else probabilities
    drawn_from = np.broadcast_to(np.array([np.nan]) if vector is None else vector, (1, catalogue.n_offers))
    return Choice(offer, propensity, drawn_from, eligible[None, :], fault)


def join_choices(parts: Sequence[Choice], n_offers: int, *, with_probabilities: bool) -> Choice:
    """Return the choices of the parts of a batch as one, with (0, N) probabilities unless they are wanted."""
    if len(parts) == 1:
        return parts[0]
    nothing = Choice(
        np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros((0, n_offers)), np.zeros((0, n_offers), dtype=np.bool_)
    )
    parts = parts or [nothing]
    offer = np.concatenate([part.offer for part in parts])
    arms = None
    if any(part.arm is not None for part in parts):
        arms = np.concatenate([np.full(len(part.offer), None) if part.arm is None else part.arm for part in parts])
    return Choice(
        offer,
        np.concatenate([part.propensity for part in parts]),
        np.concatenate([part.probabilities for part in (parts if with_probabilities else [nothing])]),
        _join_masks(parts, len(offer)),
        next((part.fault for part in parts if part.fault is not None), None),
        logged=all(part.logged for part in parts),
        arm=arms,
    )


def reordered(choice: Choice, order: IntArray) -> Choice:
    """Return the rows of a choice in another order."""
    probabilities = choice.probabilities
    return Choice(
        choice.offer[order],
        choice.propensity[order],
        probabilities[order] if len(probabilities) == len(order) else probabilities,
        choice.eligible[order],
        choice.fault,
        logged=choice.logged,
        arm=None if choice.arm is None else choice.arm[order],
    )


def _join_masks(parts: Sequence[Choice], n: int) -> BoolArray:
    """Return the (n, N) masks of all parts; no copy if all rows share one set."""
    first = parts[0].sets
    if first is not None and len(first.masks) == 1:
        shared = first.masks
        if all(part.sets is not None and part.sets.masks is shared for part in parts):
            return np.broadcast_to(shared, (n, shared.shape[1]))
    return np.concatenate([part.eligible for part in parts])
