"""How good estimated propensities are: calibration out of fold, likelihood, and signs of a deterministic policy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bandit.printable import counted

if TYPE_CHECKING:
    from bandit.domain import BoolArray, FloatArray, IntArray

PREDICTED_EDGES = (0.0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.98, 1.0)
"""Edges of the bins of predicted probability; narrow near 0, where a small error makes a large error in a weight."""

CERTAIN_PROBABILITY = 0.98
"""An offer with a larger probability is nearly certain."""

MIN_CERTAIN_SHARE = 0.85
"""From this share of decisions with a nearly certain offer on, the logging policy seems to be deterministic."""

MAX_SURPRISING_SHARE = 0.005
"""With a larger share of decisions whose offer was nearly ruled out, the logging policy made random choices."""

MAX_CHANCE = 0.001
"""With a larger floor, or a larger share of pairs of equal facts and different offers, it made random choices, too."""

MAX_CALIBRATION_ERROR = 0.05
"""With a larger calibration error, apart from 1 / sqrt(n) for chance, the estimates must not be trusted."""

DETERMINISTIC_LOGGING = (
    "cannot tell: the policy that wrote the log always gave the same customer the same offer, so the log shows one "
    "side only"
)


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """The (decision, eligible offer) pairs whose predicted probability is in one bin.

    `predicted` is its mean, `observed` the share of them in which the offer was made, `n` their number.
    """

    predicted: float
    observed: float
    n: int


@dataclass(frozen=True, slots=True)
class PropensityFit:
    """How good estimated propensities are, out of fold, over `n` sampled decisions of the log's `n_log`.

    `bins` is the reliability table. `error` is the expected calibration error: per decision, half the sum over bins of
    |predicted - observed| n, which is the probability that is in the wrong bin. `log_likelihood` is the mean of a
    decision, to be compared with that of uniform choice (`uniform`) and of shares that do not depend on the customer
    (`marginal`). `temperature` and `floor` are those of the fitted probabilities: softmax(score / temperature), mixed
    with a share `floor` that is spread evenly over the eligible offers. `certain` is the share of decisions whose
    chosen offer had a probability above 0.98, `surprising` of those whose chosen offer had one below 0.02. `repeats`
    counts the customers with the same facts as another one, and `agreeing` is the share of such pairs of customers
    that got the same offer, 0 where there are none.
    """

    n: int
    n_log: int
    folds: int
    bins: tuple[ReliabilityBin, ...]
    error: float
    log_likelihood: float
    uniform: float
    marginal: float
    temperature: float
    floor: float
    certain: float
    surprising: float
    repeats: int
    agreeing: float

    @property
    def deterministic(self) -> bool:
        """Whether the logging policy seems to give each context always the same offer.

        Either the model predicts nearly every choice, or most customers share their facts with another one and got
        the same offer. Rules that the model cannot express (interactions of two facts), on facts that no two customers
        share, go unnoticed.
        """
        surprises = self.surprising > MAX_SURPRISING_SHARE or self.floor > MAX_CHANCE
        predicted = self.certain >= MIN_CERTAIN_SHARE and not surprises
        return predicted or (self.repeats >= self.n / 2 and self.agreeing >= 1.0 - MAX_CHANCE)

    @property
    def note(self) -> str:
        """The assumption that the numbers depend on, as a sentence without its full stop."""
        return (
            f"propensities are estimated from {counted(self.n, 'decision')} (calibration error {self.error:.1%}): the "
            "numbers hold only if the policy that wrote the log used nothing but the facts in it"
        )

    @property
    def warning(self) -> str | None:
        """Why these propensities must not be used, a sentence that begins with "cannot tell"; None if they may."""
        if self.deterministic:
            return DETERMINISTIC_LOGGING
        if self.error > MAX_CALIBRATION_ERROR + self.n**-0.5:
            return (
                f"cannot tell: the estimated propensities are off by {self.error:.1%} on average, so weights made of "
                "them must not be trusted"
            )
        return None

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {
            "n": self.n,
            "n_log": self.n_log,
            "folds": self.folds,
            "bins": [{"predicted": each.predicted, "observed": each.observed, "n": each.n} for each in self.bins],
            "error": self.error,
            "log_likelihood": self.log_likelihood,
            "uniform": self.uniform,
            "marginal": self.marginal,
            "temperature": self.temperature,
            "floor": self.floor,
            "certain": self.certain,
            "surprising": self.surprising,
            "repeats": self.repeats,
            "agreeing": self.agreeing,
            "deterministic": self.deterministic,
            "note": self.note,
            "warning": self.warning,
        }


@dataclass(frozen=True, slots=True)
class SoftmaxShape:
    """What turns scores into probabilities: the softmax's temperature and the share `floor` that is spread evenly."""

    temperature: float
    floor: float


@dataclass(frozen=True, slots=True)
class LikelihoodBaselines:
    """Mean log-likelihoods to compare a model's with: of uniform choice, and of the offers' shares (`marginal`)."""

    uniform: float
    marginal: float


@dataclass(frozen=True, slots=True)
class SameFactPairs:
    """How many customers share their facts with another one, and the share of such pairs that got the same offer."""

    repeats: int = 0
    agreeing: float = 0.0


class ReliabilityTable:
    """Compares predicted probabilities with the choices made, in bins of probability, batch by batch."""

    def __init__(self) -> None:
        self._edges = np.array(PREDICTED_EDGES[1:-1])
        self._sums = np.zeros((3, len(PREDICTED_EDGES) - 1))
        self._n = 0
        self._certain = self._surprising = self._log = 0.0

    def add(
        self, predicted: FloatArray, eligible: BoolArray, offer: IntArray, weight: FloatArray | None = None
    ) -> None:
        """Add n decisions: `predicted` and `eligible` are (n, N), `offer` (n,) is what was chosen.

        `weight` (n,), whose mean over all is 1, is how much each counts, one by default.
        """
        width = self._sums.shape[1]
        each = None if weight is None else np.broadcast_to(weight[:, None], eligible.shape)[eligible]
        every = np.ones(len(offer)) if weight is None else weight
        own = predicted[np.arange(len(offer)), offer]
        place = np.searchsorted(self._edges, predicted[eligible], side="right")
        cells = predicted[eligible] if each is None else predicted[eligible] * each
        self._sums[0] += np.bincount(place, weights=cells, minlength=width)
        self._sums[1] += np.bincount(np.searchsorted(self._edges, own, side="right"), weights=weight, minlength=width)
        self._sums[2] += np.bincount(place, weights=each, minlength=width)
        self._n += len(offer)
        self._log += float((np.log(own) * every).sum())
        self._certain += float(every[own > CERTAIN_PROBABILITY].sum())
        self._surprising += float(every[own < 1.0 - CERTAIN_PROBABILITY].sum())

    def result(
        self, n_log: int, folds: int, baselines: LikelihoodBaselines, softmax: SoftmaxShape, pairs: SameFactPairs
    ) -> PropensityFit:
        """Return the record; at least one decision was added."""
        filled = self._sums[:, self._sums[2] > 0]
        n = self._n
        return PropensityFit(
            n=n,
            n_log=n_log,
            folds=folds,
            bins=tuple(
                ReliabilityBin(predicted / cells, observed / cells, round(cells))
                for predicted, observed, cells in filled.T.tolist()
            ),
            error=float(np.abs(filled[0] - filled[1]).sum() / (2.0 * n)),
            log_likelihood=self._log / n,
            uniform=baselines.uniform,
            marginal=baselines.marginal,
            temperature=softmax.temperature,
            floor=softmax.floor,
            certain=self._certain / n,
            surprising=self._surprising / n,
            repeats=pairs.repeats,
            agreeing=pairs.agreeing,
        )


def agreement(x: FloatArray, which: IntArray, customer: FloatArray, offer: IntArray) -> SameFactPairs:
    """Return how many customers share their facts with another one, and how many of these pairs got the same offer.

    n decisions with facts `x` (n, d), eligible sets `which` (n,), a number of each customer (n,) and offers (n,). Of a
    customer's decisions with the same facts one is counted: a customer who keeps an offer drawn once proves no rule.
    """
    # Equal rows have equal random projections up to rounding; unequal rows practically never have.
    projected = (
        x @ np.random.default_rng(1).normal(size=x.shape[1]) + np.random.default_rng(2).random(which.max() + 1)[which]
    )
    facts = np.unique(np.round(projected, 9), return_inverse=True)[1]
    _, first = np.unique(np.stack([facts, customer], axis=1), axis=0, return_index=True)
    alike = np.bincount(facts[first]).astype(np.float64)
    same = np.unique(np.stack([facts[first], offer[first]], axis=1), axis=0, return_counts=True)[1].astype(np.float64)
    pairs = float((alike * (alike - 1.0)).sum())
    agreeing = float((same * (same - 1.0)).sum()) / pairs if pairs else 0.0
    return SameFactPairs(int((alike[alike > 0] - 1.0).sum()), agreeing)
