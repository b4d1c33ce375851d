"""Estimated propensities: a model of the logging policy's choices, given the facts in the log.

The numbers hold only if the logging policy used nothing but these facts. If its choices also depended on something
that the log does not contain and that the reward depends on (a confounder), every number is biased, and no check of
the log can show it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bandit.domain import Progress
from bandit.encoding.encoder import Encoder
from bandit.errors import InputError
from bandit.evaluate.propensity.calibration import agreement
from bandit.evaluate.propensity.sample import ChoiceSample, FactColumns
from bandit.evaluate.propensity.temperature import OutOfFoldScores, softened
from bandit.models.multinomial import MultinomialFit, MultinomialLogit, ObservedChoices, choose_penalty
from bandit.ope.clusters import ClusterIndex
from bandit.printable import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.random import Generator

    from bandit.catalogue import Catalogue
    from bandit.domain import BoolArray, Contexts, FloatArray, Log, LoggedBatch
    from bandit.evaluate.propensity.calibration import PropensityFit, SoftmaxShape

OWN_OFFERS = 400
"""Up to this many offers, each has an effect of its own besides those of its options."""

MAX_ROWS, MIN_ROWS, MAX_CELLS = 150_000, 5_000, 8_000_000
"""Most decisions that are sampled, fewer where there are many offers: as many as have MAX_CELLS (decision, offer)
cells, though never less than MIN_ROWS."""

_PENALTY_ROWS = 12_000
_HELD_OUT = 0.25


class EstimatedPropensities:
    """P(offer | facts) of the policy that wrote a log, for each decision by a model that has not seen its customer.

    A conditional multinomial logit over the structure of the offers, cross-fitted by customer (Chernozhukov et al.
    2018, "Double/debiased machine learning for treatment and structural parameters") as the reward model is, then
    calibrated by two numbers of the largest out-of-fold likelihood: a temperature (Guo et al. 2017, "On calibration of
    modern neural networks", section 4.2), and a floor, the share that is spread evenly over the eligible offers,
    which is how rules that explore are written and what keeps weights bounded.

    The model has an additive effect of each declared fact on each offer; numeric facts have steps at their
    sixteenths. It cannot express interactions of two facts (one offer for loyal women and for men who are not loyal,
    another for all others), nor where exactly a threshold lies between two steps. There the propensities are right on
    average and wrong for single customers.
    """

    def __init__(
        self,
        columns: FactColumns,
        models: list[MultinomialLogit],
        softmax: SoftmaxShape,
        fit_quality: PropensityFit,
        *,
        outside: bool = False,
    ) -> None:
        """Keep the parts that `fit` has made; with `outside` the models have one more offer, for all not listed."""
        self.fit_quality, self._outside = fit_quality, outside
        self._columns, self._models, self._softmax = columns, models, softmax

    @staticmethod
    def fit(
        log: Log,
        catalogue: Catalogue,
        folds: int = 2,
        size: int = 65_536,
        progress: Progress | None = None,
        rng: Generator | None = None,
    ) -> EstimatedPropensities:
        """Estimate the propensities of a log in one pass, `size` decisions at a time.

        Where the propensity of some decisions is unknown (NaN), the model is fitted to these alone, else to all. It is
        fitted to a sample of at most MAX_ROWS decisions, fewer where there are more than 53 offers; `rng` draws the
        sample and is by default a generator of seed 1. InputError for a log without decisions, and for one whose
        customers are too few to fill each fold.
        """
        if folds < 2:
            raise InputError(f"cross-fitting needs at least 2 folds, not {folds}; leave it at 2 if unsure")
        every = log.n + log.left_out
        read = None if progress is None else (lambda done: progress(done, 2 * every))
        seed = sample_seed(np.random.default_rng(1) if rng is None else rng)
        sample = choice_sample(log, catalogue, size, seed, outside=log.left_out > 0, progress=read)
        fitted = None if progress is None else (lambda share: progress(every + int(share * every), 2 * every))
        return EstimatedPropensities.of_sample(sample, catalogue, folds, outside=log.left_out > 0, progress=fitted)

    @staticmethod
    def of_sample(
        sample: ChoiceSample,
        catalogue: Catalogue,
        folds: int = 2,
        *,
        outside: bool = False,
        progress: Callable[[float], None] | None = None,
    ) -> EstimatedPropensities:
        """Estimate the propensities of a log from the sample of it, which parts of the log may have merged.

        With `outside` the sample has decisions whose offer no policy can choose (`choice_sample`). `progress` is called
        with the share that is done. InputError as `fit`.
        """
        rows = sample.result()
        if not len(rows):
            raise InputError("the log has no decisions to estimate propensities from; import some first")
        columns = FactColumns(catalogue, rows.contexts)
        choices = ObservedChoices(columns.of(rows.contexts), rows.offer, rows.masks, rows.which, rows.weight)
        offers = offer_effects(Encoder(catalogue, pairs=False).offers.main)
        if outside:
            offers = np.pad(offers, (0, 1))
            offers[-1, -1] = 1.0
        fold = np.floor(rows.shares * folds)
        models = []
        for place in range(folds):
            train = fold != place
            if not train.any():
                raise InputError(
                    f"propensities cannot be estimated from {counted(len(rows), 'decision')} whose customers are too "
                    "few to make two parts; give a log of more customers"
                )
            models.append(_fitted(choices.take(train), (rows.shares * folds % 1.0)[train], offers))
            if progress is not None:
                progress((place + 1) / (folds + 1))
        scores = OutOfFoldScores(choices, fold, models)
        softmax = scores.best_shape()
        quality = scores.fit_quality(softmax, sample.n_seen, agreement(choices.x, rows.which, rows.shares, rows.offer))
        if progress is not None:
            progress(1.0)
        return EstimatedPropensities(columns, models, softmax, quality, outside=outside)

    def probabilities(self, contexts: Contexts, eligible: BoolArray, shares: FloatArray) -> FloatArray:
        """Return the (n, N) probabilities: above 0 where eligible and 0 elsewhere.

        Rows sum to 1, less the probability of an offer that the catalogue does not have where the log has such offers.

        `shares` (n,) in [0, 1) are the customers', by `ClusterIndex("fold")` over the log; they determine the fold.
        """
        n_offers = eligible.shape[1]
        if self._outside:
            eligible = _with_outside(eligible)
        x, table = self._columns.of(contexts), np.empty(eligible.shape)
        fold = np.floor(shares * len(self._models))
        for place, model in enumerate(self._models):
            rows = fold == place
            if rows.any():
                table[rows] = softened(model.scores(x[rows]), eligible[rows], self._softmax)
        return table[:, :n_offers]

    def propensity(self, batch: LoggedBatch, probabilities: FloatArray) -> FloatArray:
        """Return the (n,) propensities of the chosen offers: the logged one where it is known, else the estimate."""
        own = probabilities[np.arange(len(batch)), batch.offer]
        return np.where(np.isnan(batch.propensity), own, batch.propensity)


def sample_seed(rng: Generator) -> int:
    """Return the seed of a sample."""
    return int(rng.integers(2**63))


def choice_sample(
    log: Log,
    catalogue: Catalogue,
    size: int,
    seed: int,
    *,
    outside: bool,
    progress: Callable[[int], None] | None = None,
) -> ChoiceSample:
    """Return the sample of a log, or of a part of one, that propensities are estimated from.

    With `outside`, where the whole log left decisions out, they are chosen from one more offer, which stands for
    theirs. `progress` is called with the number of decisions read.
    """
    most = int(np.clip(MAX_CELLS // catalogue.n_offers, MIN_ROWS, MAX_ROWS))
    sample, keys, done = ChoiceSample(most, seed), ClusterIndex("fold"), 0
    for batch in _choices_of(log, size, outside=outside):
        sample.add(batch, *keys.read_batch(batch.contexts))
        done += len(batch)
        if progress is not None:
            progress(done)
    return sample


def _choices_of(log: Log, size: int, *, outside: bool) -> Iterator[LoggedBatch]:
    """Yield the decisions of a log; where it left some out, with one more offer, which stands for theirs."""
    if not outside:
        yield from log.batches(size)
        return
    for batch in log.batches(size):
        yield replace(batch, eligible=_with_outside(batch.eligible))
    for batch in log.outside(size):
        unknown = np.isnan(batch.propensity) & (not log.propensities_known)
        yield replace(
            batch,
            offer=np.full(len(batch), batch.eligible.shape[1], dtype=np.int64),
            eligible=_with_outside(batch.eligible),
            propensity=np.where(unknown, np.nan, 1.0),
        )


def _with_outside(eligible: BoolArray) -> BoolArray:
    """Return the (n, N + 1) masks with one more offer, always eligible."""
    return np.concatenate([eligible, np.ones((len(eligible), 1), dtype=np.bool_)], axis=1)


def offer_effects(main: FloatArray) -> FloatArray:
    """Return the offers' columns phi, in which effects are linear: their options, and an effect of each offer's own.

    `main` is (N, K). The result is (N, N) with phi phi' = main main' + I, which is all that matters under a ridge
    penalty; of more than OWN_OFFERS offers it is `main`, without effects of their own.
    """
    if len(main) > OWN_OFFERS:
        return main
    size, axes = np.linalg.eigh(main @ main.T + np.eye(len(main)))
    return np.asarray(axes * np.sqrt(size))


def _fitted(choices: ObservedChoices, within: FloatArray, offers: FloatArray) -> MultinomialLogit:
    """Return the model fitted to some choices; `within` (n,) in [0, 1) splits their customers to choose the penalty."""
    some = np.arange(min(len(choices), _PENALTY_ROWS))  # the rows come in random order
    penalty = choose_penalty(choices.take(some), offers, within[some] < _HELD_OUT)
    return MultinomialFit(choices, offers).solve(penalty)[0]
