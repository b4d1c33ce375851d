"""A belief of a linear model as natural parameters, which beliefs learned elsewhere from other outcomes add to."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from zipfile import BadZipFile

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from bandit.domain import FloatArray
from bandit.errors import InputError

BELIEF_VERSION = 1
"""The version of a belief's parameters and bytes; another one is refused."""

_HEADER = "belief"
_READING_FAULTS = (OSError, ValueError, KeyError, TypeError, BadZipFile, EOFError)


@dataclass(frozen=True, slots=True, eq=False)
class Belief:
    """N(mean, covariance) over D weights: a prior, and what n outcomes of a linear-Gaussian model add to it.

    The prior has the means `center` (D,) and independent `variance` (D,). `precision` (D, D) and `moment` (D,) are sums
    over the outcomes: row row' / noise and row y / noise. They are the natural parameters of the posterior minus those
    of the prior, so that beliefs of disjoint outcomes merge by adding them, with the prior counted once (Murphy,
    "Machine Learning: A Probabilistic Perspective" (2012), section 4.3.1). `design` says what the weights mean, in any
    words: beliefs of other designs do not merge.

    >>> one = Belief.of_prior("a, b", np.zeros(2), np.ones(2)).learned(np.eye(2), np.array([1.0, 3.0]))
    >>> one.mean.round(12).tolist()
    [0.5, 1.5]
    """

    design: str
    center: FloatArray
    variance: FloatArray
    precision: FloatArray
    moment: FloatArray
    n: float = 0.0
    version: int = field(default=BELIEF_VERSION)

    @staticmethod
    def of_prior(design: str, center: FloatArray, variance: FloatArray) -> Belief:
        """Return the belief before any outcome, of prior means and variances (D,)."""
        size = len(center)
        own = np.array(center, dtype=np.float64), np.array(variance, dtype=np.float64)
        return Belief(design, *own, np.zeros((size, size)), np.zeros(size))

    def learned(self, rows: FloatArray, y: FloatArray, noise: float | FloatArray = 1.0) -> Belief:
        """Return the belief that has learned n outcomes more: rows (n, D), y (n,), and the noise's variance."""
        weighted = rows / np.broadcast_to(np.asarray(noise, dtype=np.float64), len(y))[:, None]
        added = Belief(self.design, self.center, self.variance, weighted.T @ rows, y @ weighted, float(len(y)))
        return self.merge(added)

    def merge(self, other: Belief) -> Belief:
        """Return the belief of the outcomes of both, which have none in common; the order does not matter.

        InputError where the other one is of another version, design or prior.
        """
        if other.version != self.version:
            raise InputError(
                f"one belief is of version {self.version} and the other of version {other.version}; learn both with "
                "the same program"
            )
        if other.design != self.design or other.center.shape != self.center.shape:
            raise InputError("the weights of one belief mean something else than those of the other; merge one design")
        if not (np.array_equal(self.center, other.center) and np.array_equal(self.variance, other.variance)):
            raise InputError("the two beliefs started from different priors; learn both from the same one")
        return Belief(
            self.design,
            self.center,
            self.variance,
            self.precision + other.precision,
            self.moment + other.moment,
            self.n + other.n,
            self.version,
        )

    @property
    def covariance(self) -> FloatArray:
        """The (D, D) covariance, solved in units of the prior's deviations."""
        return self.solved()[1]

    @property
    def mean(self) -> FloatArray:
        """The (D,) means."""
        return self.solved()[0]

    def solved(self) -> tuple[FloatArray, FloatArray]:
        """Return mean (D,) and covariance (D, D)."""
        deviation = np.sqrt(self.variance)
        system = deviation[:, None] * self.precision * deviation
        system[np.diag_indices_from(system)] += 1.0
        factor = cho_factor(system, lower=True, check_finite=False)
        covariance = deviation[:, None] * cho_solve(factor, np.diag(deviation), check_finite=False)
        # What the outcomes say beside the prior's means moves these.
        off = self.moment - self.precision @ self.center
        mean = self.center + deviation * cho_solve(factor, deviation * off, check_finite=False)
        return np.asarray(mean), np.asarray(0.5 * (covariance + covariance.T))

    def dumps(self) -> bytes:
        """Return the belief as bytes: plain values and arrays, never code."""
        header = json.dumps({"version": self.version, "design": self.design, "n": self.n}).encode()
        buffer = io.BytesIO()
        arrays = {name: getattr(self, name) for name in ("center", "variance", "precision", "moment")}
        np.savez(buffer, allow_pickle=False, **{_HEADER: np.frombuffer(header, dtype=np.uint8)}, **arrays)
        return buffer.getvalue()

    @staticmethod
    def loads(state: bytes) -> Belief:
        """Return the belief that `dumps` wrote; InputError for other bytes and for another version."""
        try:
            with np.load(io.BytesIO(state), allow_pickle=False) as members:
                header = json.loads(members[_HEADER].tobytes())
                version = header["version"]
                if version == BELIEF_VERSION:
                    names = ("center", "variance", "precision", "moment")
                    center, variance, precision, moment = (np.array(members[name], dtype=np.float64) for name in names)
                    found = Belief(str(header["design"]), center, variance, precision, moment, float(header["n"]))
                    found._check()
                    return found
        except _READING_FAULTS as fault:
            raise InputError(f"these bytes are no belief ({fault}); write it again with Belief.dumps") from fault
        raise InputError(
            f"the belief is of version {version!r} and this program reads version {BELIEF_VERSION}; learn it again "
            "with this program"
        )

    def _check(self) -> None:
        """Raise ValueError where the arrays do not fit each other."""
        size = len(self.center)
        arrays = (self.center, self.variance, self.moment, self.precision)
        if [part.shape for part in arrays] != [(size,)] * 3 + [(size, size)]:
            raise ValueError("its arrays do not fit each other")
        if not (all(np.isfinite(part).all() for part in arrays) and (self.variance > 0.0).all()):
            raise ValueError("it has numbers that are impossible")
