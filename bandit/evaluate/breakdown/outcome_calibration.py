"""Calibration of P(convert): what is predicted for customers not learned from, against what happened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit, logit, stdtrit

from bandit.catalogue import Catalogue
from bandit.errors import InputError
from bandit.evaluate.breakdown.means import MeanSums
from bandit.evaluate.candidates import CandidatePolicy, cross_fit
from bandit.evaluate.diagnostics.target import MIN_EVENTS
from bandit.evaluate.log_cache import cache_log
from bandit.evaluate.request import batch_size_of, catalogue_of
from bandit.evaluate.split import FOLD_SALT, folds_of, split_log
from bandit.ope.clusters import ClusterIndex
from bandit.ope.contrast import effective_number
from bandit.ope.estimate import Estimate, check_level, standard_error
from bandit.ope.incremental.blocks import BlockSums, summary_of
from bandit.policies import ThompsonSampling
from bandit.tabular import Tabular

if TYPE_CHECKING:
    from bandit.domain import BoolArray, FloatArray, IntArray, Log, LoggedBatch, Policy, Progress
    from bandit.tabular import Cell

MOST_CALIBRATED = 50_000
"""Decisions that calibration is computed on at most: of a larger log a part of the customers, dealt at random."""

_BINS = 10
_EVENTS_A_BIN = 2 * MIN_EVENTS
_STEPS = 50
_CLOSE = 1e-10
_SMALLEST = 1e-12


@dataclass(frozen=True, slots=True)
class CalibrationBin(Tabular):
    """Decisions of similar predictions: their mean `predicted` P(convert), and the share that converted, `observed`.

    The interval of `observed` is clustered by customer and holds for itself; with fewer than ten `events` of the rarer
    kind it is too narrow.
    """

    predicted: float
    observed: Estimate
    n: int
    events: int

    def to_rows(self) -> list[dict[str, Cell]]:
        """Return the bin as one row."""
        return [
            {
                "predicted": self.predicted,
                "observed": self.observed.value,
                "observed low": self.observed.low,
                "observed high": self.observed.high,
                "n": self.n,
                "events": self.events,
            }
        ]

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {"predicted": self.predicted, "observed": self.observed.to_dict(), "n": self.n, "events": self.events}


@dataclass(frozen=True, slots=True)
class OutcomeCalibration(Tabular):
    """Bins in order of prediction, and the line logit P(converts) = intercept + slope logit(predicted).

    A calibrated model has slope 1 and intercept 0 (Cox 1958, "Two further applications of a model for binary
    regression"): a slope below 1 says that predictions are too extreme, above 1 that they are too close together.
    Both are None, with the reason in `note`, where the log is too small to tell. `n` decisions were predicted.
    """

    bins: tuple[CalibrationBin, ...]
    slope: Estimate | None
    intercept: Estimate | None
    note: str
    n: int

    def to_rows(self) -> list[dict[str, Cell]]:
        """Return one row a bin."""
        return [row for each in self.bins for row in each.to_rows()]

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {
            "n": self.n,
            "bins": [each.to_dict() for each in self.bins],
            "slope": None if self.slope is None else self.slope.to_dict(),
            "intercept": None if self.intercept is None else self.intercept.to_dict(),
            "note": self.note,
        }


def outcome_calibration(
    log: Log,
    *,
    catalogue: Catalogue | None = None,
    policy: ThompsonSampling | None = None,
    folds: int = 2,
    level: float = 0.95,
    progress: Progress | None = None,
) -> OutcomeCalibration:
    """Return P(convert) as predicted for customers not learned from, against what happened, for the served offers.

    The model is that of `policy`'s settings, by default those of Thompson sampling, as one copy for each of `folds`
    parts of the customers, which has learned the other parts. It learns conversions, whatever the objective is.
    At most `MOST_CALIBRATED` decisions are used. InputError for an empty log, and for fewer than two folds.
    """
    check_level(level)
    given = catalogue_of(log) if catalogue is None else catalogue
    if not log.n:
        raise InputError("the log has no settled decisions to calibrate by; import some, or wait for their outcomes")
    used = log if log.n <= MOST_CALIBRATED else split_log(log, MOST_CALIBRATED / log.n, salt="calibration")
    size = batch_size_of(given)
    cached = cache_log(used, size)
    counted = [(len(batch), int(batch.converted.sum())) for batch in cached.batches(size)]
    n, events = (sum(column) for column in zip(*counted, strict=True))
    if min(events, n - events) < MIN_EVENTS:
        return OutcomeCalibration(
            (), None, None, f"{n:,} decisions have only {min(events, n - events)} outcomes of the rarer kind", n
        )
    settings = {} if policy is None else dict(policy.spec())
    model = _response_model(given, settings)
    done = [0]

    def advance(rows: int) -> None:
        done[0] += rows
        if progress is not None:
            progress(done[0], (folds + 1) * n)

    (fitted,) = cross_fit((CandidatePolicy("model", (model,)),), model.catalogue, cached, folds, size, advance)
    predictions = _Predictions(cached, fitted.copies, size, advance)
    return _calibration(predictions, level, _note(log, n))


def _response_model(catalogue: Catalogue, settings: dict[str, object]) -> ThompsonSampling:
    """Return a model of conversions with the settings of a policy.

    It has no effects of single customers: they say nothing of customers that were not learned from.
    """
    plain = catalogue.to_dict()
    objective = plain.get("objective", {})
    plain["objective"] = (dict(objective) if isinstance(objective, dict) else {}) | {"kind": "conversion"}
    return ThompsonSampling(
        Catalogue.from_stored(plain, where="calibration", fact_hash=catalogue.fact_hash),
        pairs=bool(settings.get("pairs", True)),
        personal=False,
    )


class _Predictions:
    """P(convert) of each served offer by the copy that has not learned from its customer, beside what happened."""

    def __init__(self, log: Log, copies: tuple[Policy, ...], size: int, advance: object) -> None:
        keys, first = ClusterIndex(FOLD_SALT), 0
        predicted, converted, customers, weights = [], [], [], []
        for batch in log.batches(size):
            ids, shares = keys.read_batch(batch.contexts)
            customers.append(np.arange(first, first + len(batch)) if ids is None else ids)
            first += len(batch)
            predicted.append(_predict(copies, batch, folds_of(shares, len(copies))))
            converted.append(batch.converted)
            weights.append(batch.weights)
            if callable(advance):
                advance(len(batch))
        self.predicted: FloatArray = np.concatenate(predicted)
        self.converted: BoolArray = np.concatenate(converted)
        self.customer: IntArray = np.concatenate(customers)
        self.weight: FloatArray = np.concatenate(weights)


def _predict(copies: tuple[Policy, ...], batch: LoggedBatch, fold: IntArray) -> FloatArray:
    found = np.empty(len(batch))
    for place, model in enumerate(copies):
        rows = np.flatnonzero(fold == place)
        if len(rows) and isinstance(model, ThompsonSampling):
            found[rows] = model.predict(batch.contexts.take(rows))[np.arange(len(rows)), batch.offer[rows]]
    return found


def _calibration(given: _Predictions, level: float, note: str) -> OutcomeCalibration:
    n, events = len(given.predicted), int(given.converted.sum())
    wanted = int(np.clip(min(events, n - events) // _EVENTS_A_BIN, 2, _BINS))
    edges = np.unique(np.quantile(given.predicted, np.arange(1, wanted) / wanted))
    which = np.searchsorted(edges, given.predicted)
    bins = tuple(_bin(given, np.flatnonzero(which == place), level) for place in np.unique(which).tolist())
    intercept, slope = calibration_line(given.predicted, given.converted, given.customer, level, given.weight)
    return OutcomeCalibration(bins, slope, intercept, note, n)


def _bin(given: _Predictions, rows: IntArray, level: float) -> CalibrationBin:
    sums, happened = MeanSums(), given.converted[rows]
    weight = given.weight[rows]
    sums.add(given.customer[rows], happened.astype(np.float64), happened, None if (weight == 1.0).all() else weight)
    events = int(happened.sum())
    return CalibrationBin(
        float(np.average(given.predicted[rows], weights=weight)),
        sums.estimates(level)[1],
        len(rows),
        min(events, len(rows) - events),
    )


def calibration_line(
    predicted: FloatArray,
    converted: BoolArray,
    customer: IntArray,
    level: float,
    weight: FloatArray | None = None,
) -> tuple[Estimate | None, Estimate | None]:
    """Return intercept and slope of the logistic regression of n outcomes on the logits of their predictions.

    By maximum likelihood, with Student-t intervals from errors clustered by customer (Liang and Zeger 1986,
    "Longitudinal data analysis using generalized linear models"); `customer` (n,) numbers them from 0. `weight` (n,)
    is how many outcomes each stands for, one by default. Both are None where all predictions are the same.
    """
    x = np.stack([np.ones(len(predicted)), logit(np.clip(predicted, _SMALLEST, 1.0 - _SMALLEST))])
    if np.ptp(x[1]) == 0.0:
        return None, None
    counted = np.ones(len(predicted)) if weight is None else weight
    inverse: FloatArray = np.eye(2)
    weights = np.array([0.0, 1.0])
    for _ in range(_STEPS):
        chance = expit(weights @ x)
        inverse = np.asarray(np.linalg.inv((x * (counted * chance * (1.0 - chance))) @ x.T), dtype=np.float64)
        step = inverse @ (x @ (counted * (converted - chance)))
        weights += step
        if np.abs(step).max() < _CLOSE:
            break
    # An influence is a row's part of the estimate's error, so the error of their sum is that of the estimate.
    blocks = BlockSums(2)
    blocks.add(customer, (inverse @ (x * (counted * (converted - expit(weights @ x))))).T)
    summary = summary_of([blocks.columns([0, 1])], blocks.customers)
    quantile = float(stdtrit(max(blocks.customers - 1, 1), 0.5 + level / 2))
    found = []
    for place, name in enumerate(("intercept", "slope")):
        value, error = float(weights[place]), standard_error(summary, np.eye(2)[place]) * summary.total
        found.append(
            Estimate(
                name=name,
                value=value,
                low=value - quantile * error,
                high=value + quantile * error,
                n=len(predicted),
                effective_sample_size=effective_number(float(counted.sum()), float(counted @ counted)),
                max_weight=1.0,
                mean_weight=1.0,
                standard_error=error,
                clusters=blocks.customers,
                level=level,
            )
        )
    return found[0], found[1]


def _note(log: Log, n: int) -> str:
    return "" if n == log.n else f"computed on {n:,} of {log.n:,} decisions: a part of the customers, dealt at random"
