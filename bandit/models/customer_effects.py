"""Random effects of customers: each one's deviation from the population's effects, shrunk towards 0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from bandit.domain import FloatArray, IntArray, ObjectArray
from bandit.domain.customer_rows import DIGEST_BITS, CustomerRows
from bandit.models.customer_memory import CustomerMemory

_sum = np.add.reduce

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

    by_key = False
    """Whether nothing but what is learned of a customer, or asked, needs that customer's row: see `CustomerMemory`."""

    def __init__(self, owner: IntArray, deviation: FloatArray, strength: float = 20.0) -> None:
        """Take the (1 + K,) group of each column, each group's deviation, and its strength in weights of evidence."""
        self.owner = owner
        self.given = np.asarray(deviation, dtype=np.float64) ** 2
        self.variances = self.given.copy()
        self.strength = strength
        self._prior_of: FloatArray | None = None
        self._prior_columns: tuple[FloatArray, FloatArray] = (self.variances, self.variances)
        self.memory = CustomerMemory(len(owner), by_key=self.by_key)

    def __len__(self) -> int:
        return self.memory.n

    def places(self, customers: ObjectArray) -> IntArray:
        """Return each customer's place (n,), -1 for one without history."""
        return self.memory.find(customers.tolist())

    def means_and_variances(self, places: IntArray) -> tuple[FloatArray, FloatArray]:
        """Return means and variances, (n, 1 + K) each; at place -1 those of the prior."""
        prior, inverse = self._prior
        if not len(self.memory.natural) or (len(places) == 1 and places[0] < 0):
            return np.zeros((len(places), len(prior))), np.tile(prior, (len(places), 1))
        natural, precision = self.memory.rows(places)
        if len(places) == 1:
            variance = 1.0 / (inverse + precision)
            return variance * natural, variance
        has_history = (places >= 0)[:, None]
        variance = 1.0 / (inverse + precision * has_history)
        return variance * natural * has_history, variance

    def means(self, places: IntArray) -> FloatArray:
        """Return the means (n, 1 + K) of `means_and_variances`."""
        return self.means_and_variances(places)[0]

    def by_column(self, customer: str, names: Sequence[str]) -> dict[str, tuple[float, float]]:
        """Return mean and standard deviation of each of the 1 + K named columns; empty without history."""
        place = self.memory.find([customer])
        if place[0] < 0:
            return {}
        mean, variance = self.means_and_variances(place)
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
            self.memory.touch(at)
            mean, variance = self.means_and_variances(at)
            spread = (a * a * variance).sum(axis=1)
            # The chance under an uncertain score (MacKay 1992, "The evidence framework applied to classification").
            chance = expit((score[turn] + (a * mean).sum(axis=1)) / np.sqrt(1.0 + np.pi / 8.0 * spread))
            curvature = np.maximum(weight[turn] * chance * (1.0 - chance), 1e-9)
            share = variance * a / (1.0 + curvature * spread)[:, None]
            mean += share * (weight[turn] * (y[turn] - chance))[:, None]
            narrowed = variance - variance * a * share * curvature[:, None]
            self.memory.precision[at] = np.maximum(1.0 / narrowed - inverse, 0.0)
            self.memory.natural[at] = mean / narrowed

    def learn_one(self, customer: str, columns: FloatArray, score: float, y: float, weight: float) -> float:
        """Learn one outcome as `learn` does; return what the customer's effects added to its score before."""
        memory = self.memory
        at = memory.find_or_add_one(customer)
        memory.touch_one(at)
        _, inverse = self._prior
        variance = 1.0 / (inverse + memory.precision[at])
        mean = variance * memory.natural[at]
        offset, spread = float(_sum(columns * mean)), float(_sum(columns * columns * variance))
        chance = float(expit((score + offset) / sqrt(1.0 + np.pi / 8.0 * spread)))
        curvature = max(weight * chance * (1.0 - chance), 1e-9)
        share = variance * columns / (1.0 + curvature * spread)
        mean += share * (weight * (y - chance))
        narrowed = variance - variance * columns * share * curvature
        memory.precision[at] = np.maximum(1.0 / narrowed - inverse, 0.0)
        memory.natural[at] = mean / narrowed
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
        places = self.places_for(customers)
        self.memory.touch(places)
        np.add.at(self.memory.natural, places, (columns * change[:, None]).astype(np.float32))

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
        self.memory.decay(kept)

    def places_for(self, customers: ObjectArray) -> IntArray:
        """Return each customer's place (n,), allocating one to each new customer."""
        return self.memory.find_or_add(customers.tolist())

    def state(self) -> dict[str, NDArray[np.generic]]:
        """Return arrays, enough for `restore`."""
        return self.state_of_all() | rows_state(self.memory.all_rows(), self.memory.decays)

    def decayed_state(self) -> dict[str, NDArray[np.generic]]:
        """Return what `state` does with every customer's row after all steps of decay."""
        return self.state_of_all() | rows_state(self.memory.decayed_rows(), self.memory.decays[:0])

    def keyed_state(self) -> dict[str, NDArray[np.generic]]:
        """Return what `state` does with a digest of the customers' rows in their place."""
        return self.state_of_all() | {
            "count": np.array([self.memory.n], dtype=np.int64),
            "digest": digest_array(self.memory.digest()),
            "decays": self.memory.decays,
        }

    def state_of_all(self) -> dict[str, NDArray[np.generic]]:
        """Return the arrays of a state that are not of single customers."""
        return {"variances": self.variances}

    def restore(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Load a state; ValueError or KeyError where it does not fit."""
        variances = np.array(arrays["variances"], dtype=np.float64)
        if variances.shape != self.given.shape:
            raise ValueError("its customers' own deviations are of other offers")
        decays = np.array(arrays.get("decays", ()), dtype=np.float32)
        if not (np.isfinite(variances).all() and np.isfinite(decays).all() and decays.ndim == 1):
            raise ValueError("its customers' own deviations are not finite")
        if "digest" in arrays:
            n, digest = int(arrays["count"][0]), int.from_bytes(arrays["digest"].tobytes(), "little")
            if not (self.by_key and n > 0 and digest < 1 << DIGEST_BITS):
                raise ValueError("it has its customers elsewhere, which this policy cannot read")
            self.memory.restore_keyed(n, digest, decays)
        else:
            rows = rows_of_state(arrays)
            if rows.factors.shape[2] != len(self.owner):
                raise ValueError("its customers' own deviations are of other offers")
            if not (np.isfinite(rows.factors).all() and (rows.epoch <= len(decays)).all() and (rows.epoch >= 0).all()):
                raise ValueError("its customers' own deviations are not finite")
            self.memory.restore(rows, decays)
        self.variances = variances


def rows_state(rows: CustomerRows, decays: NDArray[np.float32]) -> dict[str, NDArray[np.generic]]:
    """Return the arrays of a state that are of single customers, whose rows are in the order of their numbers."""
    factors = rows.factors
    state: dict[str, NDArray[np.generic]] = {
        # One text of all names: an array of texts would take four bytes a character of the longest.
        "customers": np.frombuffer(msgspec.json.encode(list(rows.customers)), dtype=np.uint8),
        "natural": factors[:, 0],
        "precision": factors[:, 1],
    }
    return state | {"epoch": rows.epoch, "decays": decays} if len(decays) else state


def rows_of_state(arrays: Mapping[str, NDArray[np.generic]]) -> CustomerRows:
    """Return the customers' rows of a whole state, of no version; ValueError or KeyError where they do not fit."""
    natural = np.array(arrays["natural"], dtype=np.float32)
    precision = np.array(arrays["precision"], dtype=np.float32)
    names = msgspec.json.decode(arrays["customers"].tobytes(), type=list[str])
    epoch = np.array(arrays["epoch"] if "epoch" in arrays else np.zeros(len(names)), dtype=np.int64)
    shape = (len(names), natural.shape[1])
    if natural.shape != shape or precision.shape != shape or epoch.shape != shape[:1]:
        raise ValueError("its customers' own deviations are of other offers")
    numbers = np.arange(len(names), dtype=np.int64)
    return CustomerRows(names, numbers, np.zeros(len(names), dtype=np.int64), epoch, np.stack([natural, precision], 1))


def digest_array(digest: int) -> NDArray[np.uint8]:
    """Return a digest of rows as the bytes that a state has."""
    return np.frombuffer(digest.to_bytes(DIGEST_BITS // 8, "little"), dtype=np.uint8)


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
