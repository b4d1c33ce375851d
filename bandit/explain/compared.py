"""The offers that an explanation compares: the chosen one, the runner-up, and why one leads the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bandit.catalogue import Catalogue
from bandit.domain import Contexts, FloatArray, IntArray, Policy
from bandit.explain.contributions import OfferContributions, contributions
from bandit.explain.logged_decision import ComputedAgain, LoggedDecision
from bandit.explain.records import ComparedOffer, Contribution, CredibleNumber, LeadReasons, OfferRole
from bandit.policies import ThompsonSampling
from bandit.policies.thompson.posterior import OfferPosterior
from bandit.policies.thompson.predicted_response import PredictedColumn, PredictedResponse

LEAD_DRAWS = 4_000
"""Joint posterior draws that the interval of a lead is taken from."""

_SEED = 20_261_127


@dataclass(frozen=True, slots=True, eq=False)
class OffersCompared:
    """The offers, the reasons of the lead, the offer of the highest expected reward, and sentences on limits.

    `n_possible` is the number of eligible offers that would be drawn with more than the floor, None if unknown.
    """

    offers: tuple[ComparedOffer, ...] = ()
    lead: LeadReasons | None = None
    best: int | None = None
    n_possible: int | None = None
    notes: tuple[str, ...] = ()


def compare_offers(
    found: LoggedDecision, again: ComputedAgain, policy: ThompsonSampling, reference: FloatArray, level: float
) -> OffersCompared:
    """Return the chosen offer beside the one with the highest expected reward of all others.

    `reference` (r, d) are the encoded contexts whose average the facts are compared with.
    """
    candidates, notes = _candidates(found, again, policy)
    posterior = policy.posterior(found.contexts)
    if not posterior.n_learned:
        notes = (*notes, "The policy had learned nothing yet: what it expected is only its prior.")
    rewards = posterior.rewards(candidates, posterior.scores(candidates), posterior.log_revenue(candidates))[0]
    order = candidates[np.argsort(-rewards, kind="stable")]
    best = int(order[0])
    others = order[order != found.offer]
    n_possible = _n_possible(found, again, policy, candidates)
    if not len(others):
        only = _described(found.catalogue, again, policy.predict_response(found.contexts, [found.offer], level=level))
        return OffersCompared(only, None, best, n_possible, (*notes, "No other offer was eligible."))
    other = int(others[0])
    pair = np.array([found.offer, other], dtype=np.int64)
    roles: tuple[OfferRole, ...] = ("chosen", "runner-up" if best == found.offer else "best")
    predicted = policy.predict_response(found.contexts, pair, level=level)
    described = _described(found.catalogue, again, predicted, roles)
    reasons = _lead(found.catalogue, found.contexts, posterior, reference, pair, level)
    return OffersCompared(described, reasons, best, n_possible, notes)


def most_probable(found: LoggedDecision, again: ComputedAgain, policy: Policy) -> OffersCompared:
    """Return the chosen offer and the most probable other one, for a policy whose belief is not taken apart."""
    eligible = np.flatnonzero(found.eligible).astype(np.int64)
    note = f'What "{policy.name}" expects of an offer is inside its own model, which is not taken apart here'
    given = again.probabilities_of(eligible)
    if given is None:
        return OffersCompared(notes=(f"{note}.",))
    order = eligible[np.argsort(-given, kind="stable")]
    shown = [found.offer, *(int(each) for each in order[:3] if each != found.offer)][:3]
    chances = again.probabilities_of(np.array(shown, dtype=np.int64))
    offers = tuple(
        ComparedOffer(
            "chosen" if place == 0 else "likely",
            offer,
            found.catalogue.label(offer),
            found.catalogue.offer(offer),
            None if chances is None else float(chances[place]),
        )
        for place, offer in enumerate(shown)
    )
    return OffersCompared(offers, notes=(f"{note}: the offers are those that it would draw most often.",))


def _candidates(
    found: LoggedDecision, again: ComputedAgain, policy: ThompsonSampling
) -> tuple[IntArray, tuple[str, ...]]:
    """Return the eligible offers among which the best are looked for: all, or of very many the likely ones."""
    if not policy.sparse:
        return np.flatnonzero(found.eligible).astype(np.int64), ()
    catalogue = found.catalogue
    best = int(policy.best_at_mean(found.contexts, catalogue.fired(found.contexts))[0])
    centers = [found.offer] if best < 0 else [best, found.offer]
    near = [_neighbours(catalogue, center) for center in centers]
    every = np.unique(np.concatenate([*near, np.array(centers, dtype=np.int64), again.offers_named]))
    note = (
        "Of so many offers the best was searched for, and the runner-up is the best of those that the draws found or "
        "that differ from it in one option."
    )
    return every[found.eligible[every]], (note,)


def _neighbours(catalogue: Catalogue, offer: int) -> IntArray:
    """Return the legal offers that differ from one in exactly one option."""
    own = catalogue.options[offer]
    rows = []
    for place, dimension in enumerate(catalogue.dimensions):
        others = np.repeat(own[None, :], len(dimension.options), axis=0)
        others[:, place] = np.arange(len(dimension.options))
        rows.append(others)
    found = catalogue.grid.find(np.concatenate(rows))
    return np.unique(found[found >= 0])


def _n_possible(
    found: LoggedDecision, again: ComputedAgain, policy: ThompsonSampling, candidates: IntArray
) -> int | None:
    chances = again.probabilities_of(candidates)
    if chances is None:
        return None
    floor = again.even_share
    if floor is None:
        floor = policy.floor / max(int(np.count_nonzero(found.eligible)), 1)
    return int(np.count_nonzero(chances > floor * (1.0 + 1e-9)))


def _described(
    catalogue: Catalogue,
    again: ComputedAgain,
    predicted: PredictedResponse,
    roles: tuple[OfferRole, ...] = ("chosen",),
) -> tuple[ComparedOffer, ...]:
    chances = again.probabilities_of(predicted.offers)
    return tuple(
        ComparedOffer(
            role,
            offer,
            predicted.labels[place],
            catalogue.offer(offer),
            None if chances is None else float(chances[place]),
            _number(predicted.reward, place),
            None if predicted.p_convert is None else _number(predicted.p_convert, place),
            None if predicted.revenue is None else _number(predicted.revenue, place),
        )
        for place, (role, offer) in enumerate(zip(roles, predicted.offers.tolist(), strict=True))
    )


def _number(column: PredictedColumn, place: int) -> CredibleNumber:
    return CredibleNumber(*(float(each[0, place]) for each in (column.value, column.low, column.high)))


def _lead(
    catalogue: Catalogue,
    contexts: Contexts,
    posterior: OfferPosterior,
    reference: FloatArray,
    pair: IntArray,
    level: float,
) -> LeadReasons:
    """Return the lead of the first of two offers over the second, and what adds to it."""
    scores, log_revenue = posterior.draw(pair, LEAD_DRAWS, np.random.default_rng(_SEED))
    drawn = posterior.rewards(pair, scores, log_revenue)[0]
    lead = drawn[:, 0] - drawn[:, 1]
    low, high = np.quantile(lead, [(1 - level) / 2, (1 + level) / 2])
    found = contributions(posterior, reference.mean(axis=0), pair)
    return LeadReasons(
        CredibleNumber(float(found.reward[0] - found.reward[1]), float(low), float(high)),
        float((lead > 0.0).mean()),
        float(found.base[0] - found.base[1]),
        float(found.base_response[0] - found.base_response[1]),
        float(found.base_revenue[0] - found.base_revenue[1]),
        len(reference),
        _contributions(catalogue, contexts, found),
    )


def _contributions(catalogue: Catalogue, contexts: Contexts, found: OfferContributions) -> tuple[Contribution, ...]:
    """Return the contributions to the difference of the first two offers, without those that are 0 altogether."""
    parts = [found.response, found.revenue, found.by_response, found.by_revenue]
    differences = np.stack([each[..., 0] - each[..., 1] for each in parts], axis=-1)
    rows = np.argwhere((differences != 0.0).any(axis=-1)).tolist()
    held = dict(zip(found.sources[len(catalogue.facts) :], found.rules_hold, strict=False))
    return tuple(
        Contribution(
            found.sources[source],
            _value(catalogue, contexts, held, found.sources[source]),
            found.parts[part],
            *map(float, differences[source, part]),
        )
        for source, part in rows
    )


def _value(catalogue: Catalogue, contexts: Contexts, held: Mapping[str, bool], name: str) -> str:
    """Return a fact's value as text, or whether a rule holds."""
    if name in held and name not in catalogue.facts:
        return "yes" if held[name] else "no"
    return shown_value(catalogue, contexts, name)


def shown_value(catalogue: Catalogue, contexts: Contexts, name: str) -> str:
    """Return a fact's value in a batch of one as text, "missing" where it is, "" for what is no fact."""
    fact = catalogue.facts.get(name)
    if fact is None:
        return ""
    if fact.kind == "categorical":
        code = int(contexts.columns[name][0])
        text = contexts.text[name][0] if name in contexts.text else None
        return "missing" if code < 0 else str(text) if text is not None else "other"
    value = float(contexts.columns[name][0])
    if np.isnan(value):
        return "missing"
    return ("no", "yes")[int(value)] if fact.kind == "boolean" else f"{value:.6g}"
