"""Propensities of a log that has none, estimated from what its policy chose, given the facts in the log.

What holds afterwards holds only if the old policy looked at nothing but these facts: choices that also depend on
something that the log leaves out, and on which the reward depends too, bias every number, and no table shows it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import minimize_scalar

from bandit.domain import Progress
from bandit.encoding.encoder import Encoder
from bandit.errors import InputError
from bandit.evaluate.propensity.calibration import Calibration, Reliability, agreement
from bandit.evaluate.propensity.sample import FactColumns, Sample
from bandit.models.multinomial import CHOICE_CELLS, MultinomialFit, MultinomialLogit, ObservedChoices, choose_penalty
from bandit.ope.clusters import Keys

if TYPE_CHECKING:
    from numpy.random import Generator

    from bandit.catalogue import Catalogue
    from bandit.domain import BoolArray, Contexts, FloatArray, Log, LoggedBatch

LEVEL = 0.01
"""An estimated propensity below it, and below a twentieth of an even share, says that the offer was hardly made."""

OWN_OFFERS = 400
"""Up to so many offers, each may differ from what its options say."""

MAX_ROWS, MIN_ROWS, MAX_CELLS = 150_000, 5_000, 8_000_000
"""Most decisions that are sampled, fewer where there are many offers: as many as have MAX_CELLS (decision, offer)
cells, though never less than MIN_ROWS."""

_PENALTY_ROWS = 12_000
_TUNING_CELLS = 2_000_000  # the temperature needs no more, and rows come in random order
_HELD_OUT = 0.25
_LEAST_FLOOR = 1e-4


class EstimatedPropensities:
    """P(offer | facts) of the policy that wrote a log, for each decision by a model that has not seen its customer.

    A conditional multinomial logit over the structure of the offers, cross-fitted by customer (Chernozhukov et al.
    2018, "Double/debiased machine learning for treatment and structural parameters") as the reward model is, then
    calibrated by two numbers of the largest out-of-fold likelihood: a temperature (Guo et al. 2017, "On calibration of
    modern neural networks", section 4.2), and a floor, the share that is spread evenly over the eligible offers,
    which is how rules that explore are written and what keeps weights bounded.

    It can say: effects of each declared fact on each offer, those of numeric facts as steps at their sixteenths, added
    up. It cannot say: rules under which two facts matter only together and the same offers come back crosswise (this
    one to loyal women and to men who are not, that one to the others), and where exactly a threshold lies between two
    steps. There the propensities are right on average and wrong customer by customer.
    """

    def __init__(
        self,
        columns: FactColumns,
        models: list[MultinomialLogit],
        temperature: float,
        floor: float,
        calibration: Calibration,
    ) -> None:
        """Take what `fit` has made."""
        self.calibration = calibration
        self._columns, self._models = columns, models
        self._temperature, self._floor = temperature, floor

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

        Where the propensity of some decisions is NaN, as `StoreLog` gives those that nobody knows, only these are
        learned from; else all. Learned from are at most MAX_ROWS decisions, fewer where there are more than 53
        offers, drawn by `rng`, which left out is the generator of seed 1. InputError for a log without decisions, and
        for one whose customers do not make two parts.
        """
        if folds < 2:
            raise InputError(f"cross-fitting needs at least 2 folds, not {folds}; leave it at 2 if unsure")
        most = int(np.clip(MAX_CELLS // catalogue.n_offers, MIN_ROWS, MAX_ROWS))
        sample = Sample(most, np.random.default_rng(1) if rng is None else rng)
        keys, total = Keys("fold"), 2 * log.n
        done = 0
        for batch in log.batches(size):
            sample.add(batch, keys.read(batch.contexts.customers, len(batch))[1])
            done += len(batch)
            if progress is not None:
                progress(done, total)
        contexts, offer, masks, which, shares = sample.rows()
        if not len(offer):
            raise InputError("the log has no decisions to estimate propensities from; import some first")
        columns = FactColumns(catalogue, contexts)
        choices = ObservedChoices(columns.of(contexts), offer, masks, which)
        offers = offer_effects(Encoder(catalogue, pairs=False).offers.main)
        fold = np.floor(shares * folds)
        models = []
        for place in range(folds):
            train = fold != place
            if not train.any():
                raise InputError(
                    f"propensities cannot be estimated from {len(offer):,} decisions whose customers are too few to "
                    "make two parts; give a log of more customers"
                )
            models.append(_fitted(choices.take(train), (shares * folds % 1.0)[train], offers))
            if progress is not None:
                progress(log.n + (place + 1) * log.n // (folds + 1), total)
        pairs = agreement(choices.x, which, shares, offer)
        found = _calibrated(choices, fold, models, sample.n_seen, pairs)
        if progress is not None:
            progress(total, total)
        return EstimatedPropensities(columns, models, *found)

    def probabilities(self, contexts: Contexts, eligible: BoolArray, shares: FloatArray) -> FloatArray:
        """Return the (n, N) probabilities: rows sum to 1, above 0 where eligible and 0 elsewhere.

        `shares` (n,) in [0, 1) are the customers', by `Keys("fold")` over the log, and say in which fold a row is.
        """
        x, table = self._columns.of(contexts), np.empty(eligible.shape)
        fold = np.floor(shares * len(self._models))
        for place, model in enumerate(self._models):
            rows = fold == place
            if rows.any():
                table[rows] = _softened(model.scores(x[rows]), eligible[rows], self._temperature, self._floor)
        return table

    def propensity(self, batch: LoggedBatch, probabilities: FloatArray) -> FloatArray:
        """Return the (n,) propensities of the logged offers: the logged one where it is known, else the estimate."""
        own = probabilities[np.arange(len(batch)), batch.offer]
        return np.where(np.isnan(batch.propensity), own, batch.propensity)


class Overlap:
    """How much of a target policy's probability lies on offers that the old policy hardly made in that context.

    With estimated propensities it is not enough that an offer was ever shown. An estimate counts as "hardly" below
    `level` and below a twentieth of an even share: of 144 offers none has one in a hundred.
    """

    def __init__(self, level: float = LEVEL) -> None:
        self.level, self.n = level, 0
        self._outside = 0.0

    def add(self, estimated: FloatArray, target: FloatArray) -> None:
        """Add the (n, N) estimated propensities and the (n, N) probabilities of the target policy."""
        n_eligible = (estimated > 0.0).sum(axis=1, keepdims=True)
        thin = estimated < np.minimum(self.level, 0.05 / np.maximum(n_eligible, 1))
        self._outside += float(target[thin].sum())
        self.n += len(target)

    @property
    def share(self) -> float:
        """The share of the target's probability without support, in [0, 1]; 0 before anything was added."""
        return self._outside / self.n if self.n else 0.0


def offer_effects(main: FloatArray) -> FloatArray:
    """Return the columns phi of the N offers, of which effects are linear: their options', and one each of its own.

    `main` is (N, K). As many columns as there are offers say the same where phi phi' is the same; of more than
    OWN_OFFERS offers only the options' are used.
    """
    if len(main) > OWN_OFFERS:
        return main
    size, axes = np.linalg.eigh(main @ main.T + np.eye(len(main)))
    return np.asarray(axes * np.sqrt(size))


def _fitted(choices: ObservedChoices, within: FloatArray, offers: FloatArray) -> MultinomialLogit:
    """Return the model of one fold's choices; `within` (n,) in [0, 1) deals its customers for the penalty."""
    some = np.arange(min(len(choices), _PENALTY_ROWS))  # the rows come in random order
    penalty = choose_penalty(choices.take(some), offers, within[some] < _HELD_OUT)
    return MultinomialFit(choices, offers).solve(penalty)[0]


def _softened(scores: FloatArray, eligible: BoolArray, temperature: float, floor: float) -> FloatArray:
    """Return softmax(scores / temperature) over the eligible offers, mixed with an even share of `floor`."""
    table = np.where(eligible, scores / temperature, -np.inf)
    table -= table.max(axis=1, keepdims=True)
    np.exp(table, out=table)
    table *= (1.0 - floor) / table.sum(axis=1, keepdims=True)
    table += eligible * (floor / eligible.sum(axis=1, keepdims=True))
    return np.asarray(table)


def _calibrated(
    choices: ObservedChoices, fold: FloatArray, models: list[MultinomialLogit], n_log: int, pairs: tuple[int, float]
) -> tuple[float, float, Calibration]:
    """Return the temperature and the floor of the largest likelihood out of fold, and how good they make it."""
    n, n_offers = len(choices), choices.masks.shape[1]
    step = max(1, CHOICE_CELLS // n_offers)
    sizes = choices.masks.sum(axis=1)

    def scores(rows: slice) -> FloatArray:
        x, own = choices.x[rows], fold[rows]
        table = np.empty((len(x), n_offers))
        for place, model in enumerate(models):
            table[own == place] = model.scores(x[own == place])
        return table

    tuned = _blocks(min(n, max(1_000, _TUNING_CELLS // n_offers)), step)
    kept = [scores(rows) for rows in tuned]

    def chances(temperature: float, rows: slice, table: FloatArray) -> FloatArray:
        """Return the probability of each row's own offer before the floor."""
        soft = _softened(table, choices.masks[choices.which[rows]], temperature, 0.0)
        return np.asarray(soft[np.arange(len(soft)), choices.offer[rows]])

    def tuned_loss(log: float) -> float:
        parts = [chances(float(np.exp(log)), rows, table) for rows, table in zip(tuned, kept, strict=True)]
        chance = np.concatenate(parts)
        return _best_floor(chance, 1.0 / sizes[choices.which[: len(chance)]])[1]

    found = minimize_scalar(tuned_loss, bounds=(-3.0, 2.0), method="bounded", options={"xatol": 0.01})
    temperature = float(np.exp(found.x))
    blocks = _blocks(n, step)
    even = 1.0 / sizes[choices.which]
    floor = _best_floor(np.concatenate([chances(temperature, rows, scores(rows)) for rows in blocks]), even)[0]
    reliability, marginal = Reliability(), 0.0
    counts = np.bincount(choices.offer, minlength=n_offers)
    shares = (counts + 0.5) / np.maximum(np.bincount(choices.which, minlength=len(choices.masks)) @ choices.masks, 1)
    for rows in blocks:
        offer, eligible = choices.offer[rows], choices.masks[choices.which[rows]]
        reliability.add(_softened(scores(rows), eligible, temperature, floor), eligible, offer)
        marginal += float(np.log(shares[offer] / (eligible @ shares)).sum())
    uniform = float(np.log(even).mean())
    calibration = reliability.result(n_log, len(models), uniform, marginal / n, temperature, floor, pairs)
    return temperature, floor, calibration


def _best_floor(chance: FloatArray, even: FloatArray) -> tuple[float, float]:
    """Return the floor of the largest likelihood, which is concave in it, and the mean loss there."""
    found = minimize_scalar(
        lambda floor: -float(np.log((1.0 - floor) * chance + floor * even).mean()),
        bounds=(_LEAST_FLOOR, 1.0),
        method="bounded",
        options={"xatol": 1e-5},
    )
    return float(found.x), float(found.fun)


def _blocks(n: int, step: int) -> list[slice]:
    return [slice(start, min(start + step, n)) for start in range(0, n, step)]
