"""Doubly robust scores of giving one option to everybody, decision by decision.

With q(x, a) a reward model that has not seen the customer, p the propensity of the logged offer a and r what it
brought, the score of a policy pi at a decision is

    sum over offers a' of pi(a' | x) q(x, a')  +  pi(a | x) / p (r - q(x, a)),

whose mean is what pi would bring per decision (Dudik, Erhan, Langford and Li 2014, "Doubly robust policy evaluation
and optimization", section 3). Here pi gives everybody one option of one dimension.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from bandit.catalogue import Catalogue
    from bandit.domain import BoolArray, Contexts, FloatArray, IntArray, LoggedBatch
    from bandit.evaluate.audience.results import OtherDimensions


@dataclass(frozen=True, slots=True, eq=False)
class DecisionTables:
    """What is known of n decisions besides the batch; N offers.

    `propensity` (n,) is of the logged offer, `assumed` (n, N) the baseline's probabilities, `is_logged` whether the
    baseline is the policy that wrote the log. `value` and `response` (n, N) are what is expected of every offer: the
    reward, and the probability of a response. `responded` (n,) is what came. `cluster` (n,) numbers the customers,
    None where they are not known.
    """

    propensity: FloatArray
    assumed: FloatArray
    is_logged: bool
    value: FloatArray
    response: FloatArray
    responded: FloatArray
    cluster: IntArray | None


@dataclass(frozen=True, slots=True, eq=False)
class OptionScores:
    """The scores of n decisions for each of O options, (n, O) each; columns in the order of `OptionLayout.names`.

    `given` is the baseline's probability of the option and `may` whether the customer may get it; elsewhere the others
    are 0. `response` scores the response to the option, `gain` the reward of it less that of what the baseline gives.
    `weight` is target / propensity of the option, and `apart` this less the baseline's. `best` says whether the model
    expects the largest reward of the option, of those of its dimension. `stands_for` (n,) is how many decisions each
    row stands for, empty where each stands for one.
    """

    contexts: Contexts
    cluster: IntArray | None
    responded: FloatArray
    given: FloatArray
    may: BoolArray
    response: FloatArray
    gain: FloatArray
    weight: FloatArray
    apart: FloatArray
    best: BoolArray
    stands_for: FloatArray = field(default_factory=lambda: np.empty(0))

    @property
    def times(self) -> FloatArray:
        """How many decisions each row stands for, (n,)."""
        return self.stands_for if len(self.stands_for) else np.ones(len(self.given))


@dataclass(frozen=True, slots=True, eq=False)
class _Levers:
    """One dimension: `indicator` (N, o) of its options, and the number of the offers' other options, `rest` (N,).

    `exchanged` (o, N) is each offer with the option in the place of its own, -1 where that is not legal.
    """

    indicator: FloatArray
    option: IntArray
    rest: IntArray
    exchanged: IntArray


class OptionLayout:
    """The options of all dimensions of a catalogue, and how offers change where one option is exchanged."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.names = tuple((each.name, option) for each in catalogue.dimensions for option in each.names)
        self._levers = []
        for place, dimension in enumerate(catalogue.dimensions):
            option, others = catalogue.options[:, place], np.delete(catalogue.options, place, axis=1)
            count = len(dimension.options)
            exchanged = np.empty((count, catalogue.n_offers), dtype=np.int64)
            for other in range(count):
                changed = catalogue.options.copy()
                changed[:, place] = other
                exchanged[other] = catalogue.grid.find(changed)
            rest = np.unique(others, axis=0, return_inverse=True)[1].ravel().astype(np.int64)
            self._levers.append(_Levers(np.eye(count)[option], option, rest, exchanged))

    def scores(self, batch: LoggedBatch, known: DecisionTables, others: OtherDimensions) -> OptionScores:
        """Return the scores of a batch.

        With the other dimensions as the "baseline" has them, its offers keep all options but the exchanged one; where
        such an offer is not eligible, its probability goes evenly to the eligible offers with the option. With "even"
        all of it does, for what the baseline gives, too.
        """
        parts = [_of_dimension(levers, batch, known, others) for levers in self._levers]
        given, may, response, gain, weight, apart, best = (
            np.concatenate(each, axis=1) for each in zip(*parts, strict=True)
        )
        return OptionScores(
            batch.contexts,
            known.cluster,
            known.responded,
            given,
            may,
            response,
            gain,
            weight,
            apart,
            best,
            batch.weight,
        )


def _of_dimension(
    levers: _Levers, batch: LoggedBatch, known: DecisionTables, others: OtherDimensions
) -> tuple[FloatArray | BoolArray, ...]:
    """Return the columns of `OptionScores` for the options of one dimension."""
    n, rows, offer = len(batch), np.arange(len(batch)), batch.offer
    counts = batch.eligible.astype(np.float64) @ levers.indicator
    may = counts > 0.0
    served = levers.indicator[offer] > 0.0
    given = served.astype(np.float64) if known.is_logged else known.assumed @ levers.indicator
    lost, on_offer, kept = np.ones(counts.shape), np.zeros(n), (np.zeros(counts.shape), np.zeros(counts.shape))
    if others == "baseline":
        lost, kept, on_offer = _exchanged(levers, batch, known)
    share = np.divide(lost, counts, out=np.zeros_like(lost), where=may)
    target = np.where(served, np.minimum(on_offer[:, None] + share, 1.0), 0.0)
    expected = [
        share * ((batch.eligible * table) @ levers.indicator) + rest
        for table, rest in zip((known.value, known.response), kept, strict=True)
    ]
    weight = target / known.propensity[:, None]
    value = expected[0] + weight * (batch.reward - known.value[rows, offer])[:, None]
    response = expected[1] + weight * (known.responded - known.response[rows, offer])[:, None]
    if known.is_logged:
        stay_weight, stay = np.ones(n), batch.reward
    elif others == "even":
        stay_weight, stay = (given * weight).sum(axis=1), (given * value).sum(axis=1)
    else:
        stay_weight = np.minimum(known.assumed[rows, offer], 1.0) / known.propensity
        stay = np.einsum("ij,ij->i", known.assumed, known.value)
        stay = stay + stay_weight * (batch.reward - known.value[rows, offer])
    ranked = np.where(may, expected[0], -np.inf)
    best = np.zeros(may.shape, dtype=np.bool_)
    best[rows, ranked.argmax(axis=1)] = True
    return (
        given,
        may,
        np.where(may, response, 0.0),
        np.where(may, value - stay[:, None], 0.0),
        np.where(may, weight, 0.0),
        np.where(may, weight - stay_weight[:, None], 0.0),
        best,
    )


def _exchanged(
    levers: _Levers, batch: LoggedBatch, known: DecisionTables
) -> tuple[FloatArray, tuple[FloatArray, FloatArray], FloatArray]:
    """Return what comes of the baseline's offers where each option takes the place of their own.

    The first (n, o) is the probability that is lost since the changed offer is not eligible. Then what is expected of
    the rest, (n, o) each, of `value` and of `response`; and (n,) the probability that comes to the logged offer where
    its option is given to everybody: that of all offers with the same other options.
    """
    n, count = len(batch), len(levers.exchanged)
    lost, value, response = np.empty((n, count)), np.empty((n, count)), np.empty((n, count))
    for option, changed in enumerate(levers.exchanged):
        used = changed >= 0
        kept = known.assumed[:, used] * batch.eligible[:, changed[used]]
        lost[:, option] = np.maximum(1.0 - kept.sum(axis=1), 0.0)
        value[:, option] = np.einsum("ij,ij->i", kept, known.value[:, changed[used]])
        response[:, option] = np.einsum("ij,ij->i", kept, known.response[:, changed[used]])
    lost[lost < 1e-12] = 0.0
    same = np.zeros((len(levers.rest), int(levers.rest.max()) + 1))
    same[np.arange(len(levers.rest)), levers.rest] = 1.0
    on_offer = (known.assumed @ same)[np.arange(n), levers.rest[batch.offer]]
    return lost, (value, response), on_offer
