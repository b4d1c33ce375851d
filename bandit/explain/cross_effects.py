"""What the crosses of a model add to the effects of option columns: by rule, or divided among the facts of a rule."""

from __future__ import annotations

from itertools import combinations
from math import factorial

import numpy as np

from bandit.domain import FloatArray, IntArray
from bandit.encoding.cells import MAX_CHECKS, NO_COLUMN, CellColumns
from bandit.policies.thompson.offer_model import OfferModel


def cross_words(model: OfferModel) -> tuple[str, ...]:
    """Return the R rules of a model's crosses in words, each once."""
    return () if model.crosses is None else tuple(dict.fromkeys(model.crosses.words()))


def cross_effects(model: OfferModel, matrix: FloatArray, reference: FloatArray) -> FloatArray:
    """Return (R, n, 1 + K): what each rule adds to the effect of each option column, for n contexts.

    `matrix` (n, d) and `reference` (d,) are encoded contexts; a rule adds nothing where it holds, or does not hold, for
    both.
    """
    rules = cross_words(model)
    found = np.zeros((len(rules), len(matrix), model.design.columns.shape[1]))
    if model.crosses is None:
        return found
    away = model.crosses.columns(matrix) - model.crosses.columns(reference[None, :])
    weights = _weights(model)
    for place, (words, target) in enumerate(zip(model.crosses.words(), model.design.targets.tolist(), strict=True)):
        found[rules.index(words), :, target] += away[:, place] * weights[place]
    return found


def cross_effects_by_fact(
    model: OfferModel, matrix: FloatArray, reference: FloatArray, fact_of_column: IntArray
) -> FloatArray:
    """Return (F, n, 1 + K): the effects of `cross_effects`, divided among the facts that the rules check.

    A rule's part is divided by the Shapley values of a game in which the facts that play have the customer's values and
    the others those of the reference, and which pays what the rule counts (Shapley 1953, "A value for n-person
    games"). `fact_of_column` (d,) has the place of each column's fact.
    """
    found = np.zeros((int(fact_of_column.max(initial=-1)) + 1, len(matrix), model.design.columns.shape[1]))
    if model.crosses is None or not len(model.crosses.crosses):
        return found
    cells, pays = model.crosses.crosses.cells, model.crosses.crosses.size * _weights(model)
    columns = CellColumns(cells, model.encoder)
    own = columns.factors(matrix)
    other = np.broadcast_to(columns.factors(reference[None, :]), own.shape)
    for check in range(MAX_CHECKS):
        rest = [each for each in range(MAX_CHECKS) if each != check]
        gain = np.zeros(own.shape[:2])
        for number in range(MAX_CHECKS):
            share = factorial(number) * factorial(MAX_CHECKS - 1 - number) / factorial(MAX_CHECKS)
            for playing in combinations(rest, number):
                gain += share * np.prod([(own if each in playing else other)[:, :, each] for each in rest], axis=0)
        # A check that a cell does not have counts 1 for both: it gains nothing.
        gain *= (own[:, :, check] - other[:, :, check]) * pays
        for place, column in enumerate(cells.column[:, check].tolist()):
            if column != NO_COLUMN:
                found[fact_of_column[column], :, model.design.targets[place]] += gain[:, place]
    return found


def rules_that_hold(model: OfferModel, matrix: FloatArray) -> tuple[bool, ...]:
    """Return which of the R rules hold for the one encoded context (1, d)."""
    if model.crosses is None:
        return ()
    held = dict(zip(model.crosses.words(), (model.crosses.columns(matrix)[0] > 0.0).tolist(), strict=True))
    return tuple(held.values())


def cross_note(model: OfferModel) -> tuple[str, ...]:
    """Return a sentence that names the rules of a model and what they act on, none where there are no rules."""
    if model.crosses is None or not len(model.crosses.crosses):
        return ()
    names = ("any offer", *model.encoder.offers.main_names)
    targets: dict[str, list[str]] = {}
    for words, target in zip(model.crosses.words(), model.design.targets.tolist(), strict=True):
        targets.setdefault(words, []).append(names[target].replace("=", " "))
    rules = "; ".join(f"{words} ({', '.join(where)})" for words, where in targets.items())
    return (f"Rules that the model has found in the outcomes, and what they act on: {rules}.",)


def _weights(model: OfferModel) -> FloatArray:
    """Return the (C,) weights of the crosses at the mean, in units of the score."""
    weights: FloatArray = model.model.weights.mean[model.design.first_cross :]
    return weights if model.kind == "response" else weights * model.amount_scale.scale
