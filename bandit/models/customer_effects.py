"""Random effects of customers: each one's deviation from the population's effects, shrunk towards 0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from bandit.domain import FloatArray, IntArray, ObjectArray

_sum = np.add.reduce

INITIAL_CAPACITY = 1_024
"""Rows allocated for customers at first; after that their number doubles."""

ESTIMATE_CUSTOMERS = 50_000
"""Customers processed at once when variances are estimated: bounds the memory."""


class CustomerEffects:
    """u_customer ~ N(0, variance of each column) on the 1 + K option columns (the base first).

    Held as the natural parameters of the likelihood of each customer's own history, without the prior (two float32 a
    column and customer: 128 bytes for 16 columns), so that the prior's variances can be estimated at any time without
    touching a customer. The belief is diagonal and updated by one extended Kalman step an outcome on the logit scale,
    with the population's part of the score fixed (Fahrmeir 1992, "Posterior mode estimation by extended
    Kalman filtering for multivariate dynamic generalized linear models").
    """

    def __init__(self, owner: IntArray, deviation: FloatArray, strength: float = 20.0) -> None:
        """Take the (1 + K,) group of each column, each group's deviation, and its strength in weights of evidence."""
        self.owner = owner
        self.given = np.asarray(deviation, dtype=np.float64) ** 2
        self.variances = self.given.copy()
        self.strength = strength
        self._prior_of: FloatArray | None = None
        self._prior_columns: tuple[FloatArray, FloatArray] = (self.variances, self.variances)
        self._places: dict[str, int] = {}
        self._natural: NDArray[np.float32] = np.zeros((0, len(owner)), dtype=np.float32)
        self._precision: NDArray[np.float32] = np.zeros((0, len(owner)), dtype=np.float32)

    def __len__(self) -> int:
        return len(self._places)

    def places(self, customers: ObjectArray) -> IntArray:
        """Return each customer's place (n,), -1 for one without history."""
        places = self._places
        return np.array([places.get(customer, -1) for customer in customers.tolist()], dtype=np.int64)

    def means_and_variances(self, places: IntArray) -> tuple[FloatArray, FloatArray]:
        """Return means and variances, (n, 1 + K) each; at place -1 those of the prior."""
        prior, inverse = self._prior
        if not len(self._natural) or (len(places) == 1 and places[0] < 0):
            return np.zeros((len(places), len(prior))), np.tile(prior, (len(places), 1))
        if len(places) == 1:
            variance = 1.0 / (inverse + self._precision[places])
            return variance * self._natural[places], variance
        has_history = (places >= 0)[:, None]
        variance = 1.0 / (inverse + self._precision[places] * has_history)
        return variance * self._natural[places] * has_history, variance

    def means(self, places: IntArray) -> FloatArray:
        """Return the means (n, 1 + K) of `means_and_variances`."""
        return self.means_and_variances(places)[0]

    def by_column(self, customer: str, names: Sequence[str]) -> dict[str, tuple[float, float]]:
        """Return mean and standard deviation of each of the 1 + K named columns; empty without history."""
        if customer not in self._places:
            return {}
        mean, variance = self.means_and_variances(np.array([self._places[customer]], dtype=np.int64))
        spread = np.sqrt(variance[0])
        return dict(zip(names, zip(mean[0].tolist(), spread.tolist(), strict=True), strict=True))

    def offset(self, customers: ObjectArray, columns: FloatArray) -> FloatArray:
        """Return (n,), what the customers' own deviations add to the scores of offers with (n, 1 + K) columns."""
        mean = self.means(self.places(customers))
        return np.asarray((columns * mean).sum(axis=1))

    def learn(
        self, customers: ObjectArray, columns: FloatArray, score: FloatArray, y: FloatArray, weight: FloatArray
    ) -> None:
        """Learn n outcomes: the offers' columns (n, 1 + K), the population's scores (n,), responses, weights."""
        places = self.places_for(customers)
        _, inverse = self._prior
        for turn in in_turns(places):
            at, a = places[turn], columns[turn]
            mean, variance = self.means_and_variances(at)
            spread = (a * a * variance).sum(axis=1)
            # The chance under an uncertain score (MacKay 1992, "The evidence framework applied to classification").
            chance = expit((score[turn] + (a * mean).sum(axis=1)) / np.sqrt(1.0 + np.pi / 8.0 * spread))
            curvature = np.maximum(weight[turn] * chance * (1.0 - chance), 1e-9)
            share = variance * a / (1.0 + curvature * spread)[:, None]
            mean += share * (weight[turn] * (y[turn] - chance))[:, None]
            narrowed = variance - variance * a * share * curvature[:, None]
            self._precision[at] = np.maximum(1.0 / narrowed - inverse, 0.0)
            self._natural[at] = mean / narrowed

    def learn_one(self, customer: str, columns: FloatArray, score: float, y: float, weight: float) -> float:
        """Learn one outcome as `learn` does; return what the customer's effects added to its score before."""
        places = self._places
        at = places.setdefault(customer, len(places))
        self._make_room()
        _, inverse = self._prior
        variance = 1.0 / (inverse + self._precision[at])
        mean = variance * self._natural[at]
        offset, spread = float(_sum(columns * mean)), float(_sum(columns * columns * variance))
        chance = float(expit((score + offset) / sqrt(1.0 + np.pi / 8.0 * spread)))
        curvature = max(weight * chance * (1.0 - chance), 1e-9)
        share = variance * columns / (1.0 + curvature * spread)
        mean += share * (weight * (y - chance))
        narrowed = variance - variance * columns * share * curvature
        self._precision[at] = np.maximum(1.0 / narrowed - inverse, 0.0)
        self._natural[at] = mean / narrowed
        return offset

    @property
    def _prior(self) -> tuple[FloatArray, FloatArray]:
        """The prior's variances of all columns (1 + K,), and one over each."""
        if self._prior_of is not self.variances:
            self._prior_of, prior = self.variances, self.variances[self.owner]
            self._prior_columns = prior, 1.0 / prior
        return self._prior_columns

    def restate(self, customers: ObjectArray, columns: FloatArray, change: FloatArray) -> None:
        """Correct the responses of outcomes learned before, to first order; `change` (n,) is weight x (new - old y)."""
        np.add.at(self._natural, self.places_for(customers), (columns * change[:, None]).astype(np.float32))

    def estimate(self, rounds: int = 3) -> None:
        """Estimate the variances from all customers' histories (MacKay's fixed point, as in `Prior`)."""
        size = len(self.variances)
        for _ in range(rounds):
            squares, determined = np.zeros(len(self.owner)), np.zeros(len(self.owner))
            for start in range(0, len(self), ESTIMATE_CUSTOMERS):
                mean, variance = self.means_and_variances(np.arange(start, min(start + ESTIMATE_CUSTOMERS, len(self))))
                squares += (mean**2).sum(axis=0)
                determined += np.clip(1.0 - variance / self.variances[self.owner], 0.0, 1.0).sum(axis=0)
            shared = np.bincount(self.owner, determined, minlength=size)
            found = self.strength * self.given + np.bincount(self.owner, squares, minlength=size)
            self.variances = np.clip(found / (self.strength + shared), 1e-4, 16.0 * self.given)

    def decay(self, kept: float) -> None:
        """Keep a share of what was learned."""
        self._natural *= np.float32(kept)
        self._precision *= np.float32(kept)

    def places_for(self, customers: ObjectArray) -> IntArray:
        """Return each customer's place (n,), allocating one to each new customer."""
        places = self._places
        found = np.fromiter(
            (places.setdefault(customer, len(places)) for customer in customers), dtype=np.int64, count=len(customers)
        )
        self._make_room()
        return found

    def _make_room(self) -> None:
        """Allocate rows for all customers that have a place."""
        n = len(self._places)
        if n > len(self._natural):
            room = max(INITIAL_CAPACITY, 2 * len(self._natural), n)
            self._natural, self._precision = (
                np.concatenate([old, np.zeros((room - len(old), old.shape[1]), dtype=np.float32)])
                for old in (self._natural, self._precision)
            )

    def copied_names(self) -> dict[int, dict[str, int]]:
        """Return a copy of the customers' places by the identity of the original, for `copy.deepcopy`: a quick one."""
        return {id(self._places): dict(self._places)}

    def state(self) -> dict[str, NDArray[np.generic]]:
        """Return arrays, enough for `restore`."""
        n = len(self)
        return {
            "variances": self.variances,
            # One text of all names: an array of texts would take four bytes a character of the longest.
            "customers": np.frombuffer(msgspec.json.encode(list(self._places)), dtype=np.uint8),
            "natural": self._natural[:n],
            "precision": self._precision[:n],
        }

    def restore(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Load a state; ValueError or KeyError where it does not fit."""
        variances = np.array(arrays["variances"], dtype=np.float64)
        natural = np.array(arrays["natural"], dtype=np.float32)
        precision = np.array(arrays["precision"], dtype=np.float32)
        names = msgspec.json.decode(arrays["customers"].tobytes(), type=list[str])
        shape = (len(names), len(self.owner))
        if variances.shape != self.given.shape or natural.shape != shape or precision.shape != shape:
            raise ValueError("its customers' own deviations are of other offers")
        if not (np.isfinite(variances).all() and np.isfinite(natural).all() and np.isfinite(precision).all()):
            raise ValueError("its customers' own deviations are not finite")
        self.variances, self._natural, self._precision = variances, natural, precision
        self._places = {name: place for place, name in enumerate(names)}


def in_turns(places: IntArray) -> list[IntArray]:
    """Return the rows in groups in which each place occurs once, in order of appearance."""
    order = np.argsort(places, kind="stable")
    ordered = places[order]
    fresh = np.ones(len(places), dtype=np.bool_)
    fresh[1:] = ordered[1:] != ordered[:-1]
    if fresh.all():
        return [np.arange(len(places))]
    starts = np.flatnonzero(fresh)
    rank = np.arange(len(places)) - np.repeat(starts, np.diff(np.append(starts, len(places))))
    return [order[rank == turn] for turn in range(int(rank.max()) + 1)]
