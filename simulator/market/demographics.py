"""Observed facts of customers: how each is drawn, declared in a catalogue and turned into features.

Every fact is a monotone function of a standard normal, and the normals of one customer share an "engagement"
factor (a one-factor Gaussian copula), so that loyal customers also bought lately and spend more.
Columns are in the canonical form of `bandit.domain.Contexts`: the same code reads a population and a batch of
contexts, where a missing fact counts as the average customer's.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from bandit.domain import FloatArray, IntArray, ObjectArray


@dataclass(frozen=True, slots=True, kw_only=True)
class FactSpec(ABC):
    """One observed fact and its effects, which are per standard deviation of the fact.

    `engagement` is the correlation of the fact's normal with the shared factor, in [-1, 1]; `taste` the fact's
    weight among the facts that explain tastes; `base`, `basket` and `visits` its effect on the logit of the base
    rate, on the log of the basket and on the log of the rate of visits. For a categorical fact, where values have
    no order, the three are standard deviations over its values and the market draws the effects.
    """

    name: str
    engagement: float = 0.0
    taste: float = 1.0
    base: float = 0.0
    basket: float = 0.0
    visits: float = 0.0

    @property
    def n_features(self) -> int:
        """The number of columns that `features` gives."""
        return 1

    @abstractmethod
    def draw(self, normal: FloatArray) -> IntArray | FloatArray:
        """Return the (n,) canonical column from (n,) standard normals."""

    @abstractmethod
    def features(self, column: IntArray | FloatArray) -> FloatArray:
        """Return (n, n_features): mean about 0, variance about 1 in all, 0 where missing."""

    @abstractmethod
    def declaration(self) -> Mapping[str, object]:
        """Return the fact's entry under [context] of the catalogue."""

    @abstractmethod
    def sent(self, column: IntArray | FloatArray) -> ObjectArray | FloatArray | IntArray:
        """Return the (n,) column as a caller of the engine would send it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Numeric(FactSpec):
    """A numeric fact: normal, or lognormal if `log` (then `center` is the median and `spread` the log's deviation).

    Values are rounded to `decimals` and kept within [low, high]. With `by_log` (of a lognormal one with `low` above 0)
    effects are linear in the logarithm of the value instead of in the value.
    """

    center: float
    spread: float
    low: float
    high: float
    log: bool = False
    decimals: int = 0
    by_log: bool = False

    @property
    def mean(self) -> float:
        """The mean before values are cut at the ends."""
        return self.center * math.exp(self.spread**2 / 2) if self.log else self.center

    @property
    def deviation(self) -> float:
        """The standard deviation before values are cut at the ends."""
        return self.mean * math.sqrt(math.expm1(self.spread**2)) if self.log else self.spread

    def draw(self, normal: FloatArray) -> FloatArray:
        """Return the values."""
        shifted = self.spread * normal
        values = self.center * np.exp(shifted) if self.log else self.center + shifted
        return np.clip(np.round(values, self.decimals), self.low, self.high)

    def features(self, column: IntArray | FloatArray) -> FloatArray:
        """Return the standardised values, or their standardised logarithms, as one column."""
        if self.by_log:
            center, spread, values = math.log(self.center), self.spread, np.log(column)
        else:
            center, spread, values = self.mean, self.deviation, column
        standard = (values - center) / spread
        return np.where(np.isnan(standard), 0.0, standard)[:, None]

    def declaration(self) -> Mapping[str, object]:
        """Declare the fact with its center and scale, so that a learner need not estimate them."""
        return {"type": "numeric", "center": round(self.mean, 4), "scale": round(self.deviation, 4)}

    def sent(self, column: IntArray | FloatArray) -> FloatArray | IntArray:
        """Return the numbers, as integers where the fact has no decimals."""
        return column.astype(np.float64) if self.decimals > 0 else column.astype(np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Categorical(FactSpec):
    """A categorical fact: one of a few texts, with the share of each."""

    values: tuple[str, ...]
    shares: tuple[float, ...]

    @property
    def n_features(self) -> int:
        """One column a value."""
        return len(self.values)

    def draw(self, normal: FloatArray) -> IntArray:
        """Return the codes."""
        cuts = ndtri(np.cumsum(self.shares)[:-1])
        return np.searchsorted(cuts, normal).astype(np.int64)

    def features(self, column: IntArray | FloatArray) -> FloatArray:
        """Return indicators less their shares, over root of share x (values - 1): variance 1 over all values."""
        shares = np.array(self.shares)
        codes = np.asarray(column, dtype=np.int64)
        known = (codes >= 0) & (codes < len(shares))
        hit = codes[:, None] == np.arange(len(shares))
        return np.where(known[:, None], (hit - shares) / np.sqrt(shares * max(len(shares) - 1, 1)), 0.0)

    def declaration(self) -> Mapping[str, object]:
        """Declare the values."""
        return {"type": "categorical", "values": list(self.values)}

    def sent(self, column: IntArray | FloatArray) -> ObjectArray:
        """Return the texts."""
        return np.array(self.values, dtype=object)[np.asarray(column, dtype=np.int64)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Boolean(FactSpec):
    """A boolean fact; `share` of the customers have it."""

    share: float

    def draw(self, normal: FloatArray) -> FloatArray:
        """Return 0 and 1."""
        return (normal > ndtri(1.0 - self.share)).astype(np.float64)

    def features(self, column: IntArray | FloatArray) -> FloatArray:
        """Return the standardised indicator as one column."""
        standard = (column - self.share) / math.sqrt(self.share * (1.0 - self.share))
        return np.where(np.isnan(standard), 0.0, standard)[:, None]

    def declaration(self) -> Mapping[str, object]:
        """Declare a boolean."""
        return {"type": "boolean"}

    def sent(self, column: IntArray | FloatArray) -> ObjectArray:
        """Return True and False."""
        return np.array([False, True], dtype=object)[np.asarray(column, dtype=np.int64)]
