"""Whether estimated propensities are right: reliability out of fold, what they explain, and what they cannot know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from bandit.domain import BoolArray, FloatArray, IntArray

PREDICTED_EDGES = (0.0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.98, 1.0)
"""Edges of the bins of predicted probability, fine near 0, where a small error is a large one in a weight."""

CERTAIN_PROBABILITY = 0.98
"""Above it an offer is all but certain."""

MIN_CERTAIN_SHARE = 0.85
"""Share of decisions whose own offer was all but certain, from which on the old policy seems to be deterministic."""

MAX_SURPRISING_SHARE = 0.005
"""Share of decisions whose own offer was all but ruled out; with more, the old policy left something to chance."""

MAX_CHANCE = 0.001
"""A floor above it, or more pairs of equal facts and different offers, and the old policy left something to chance."""

MAX_CALIBRATION_ERROR = 0.05
"""A larger calibration error, beyond about 1 / sqrt(n) which is chance, and the estimates are not to be trusted."""

DETERMINISTIC_LOGGING = (
    "cannot tell: the old policy gave the same customer always the same offer, so the log shows one side only; judge "
    "by an experiment that leaves a share to chance (see `offer-bandit plan`)"
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

    `bins` is the reliability table. `error` is the expected calibration error: half the sum over bins of
    |predicted - observed| n, a decision, which is the probability that is in the wrong bin. `log_likelihood` is a
    decision's, beside that of the eligible offers being all alike (`uniform`) and of shares that do not depend on the
    customer (`marginal`). `temperature` and `floor` are those of the fitted probabilities: softmax(score /
    temperature), mixed with a share `floor` that is spread evenly over the eligible offers. `certain` is the share of
    decisions whose own offer had a probability above 0.98, `surprising` of those whose own had one below 0.02.
    `repeats` counts the customers with the same facts as another one, and `agreeing` is the share of such pairs of
    customers that got the same offer, 0 where there are none.
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
        """Whether the old policy seems to give each context one offer only, and nothing to chance.

        Either as far as the model can tell, or since most customers have the facts of another and got the same offer.
        Rules that the model cannot say (two facts crosswise), of facts that no two customers share, go unnoticed.
        """
        foreseen = (
            self.certain >= MIN_CERTAIN_SHARE and self.surprising <= MAX_SURPRISING_SHARE and self.floor <= MAX_CHANCE
        )
        return foreseen or (self.repeats >= self.n / 2 and self.agreeing >= 1.0 - MAX_CHANCE)

    @property
    def note(self) -> str:
        """What the numbers rest on, as a sentence without its full stop."""
        return (
            f"propensities are estimated from {self.n:,} decisions (calibration error {self.error:.1%}): the numbers "
            "hold only if the facts in the log are all that the old policy looked at"
        )

    @property
    def warning(self) -> str | None:
        """Why nothing can be told by these propensities, a sentence that begins with "cannot tell", or None."""
        if self.deterministic:
            return DETERMINISTIC_LOGGING
        if self.error > MAX_CALIBRATION_ERROR + self.n**-0.5:
            return (
                f"cannot tell: the estimated propensities are off by {self.error:.1%} on average, so weights made of "
                "them are not to be trusted; log the probabilities that decisions are made with"
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


class ReliabilityTable:
    """Gathers predicted probabilities and what was chosen, batch by batch."""

    def __init__(self) -> None:
        self._edges = np.array(PREDICTED_EDGES[1:-1])
        self._sums = np.zeros((3, len(PREDICTED_EDGES) - 1))
        self._n = self._certain = self._surprising = 0
        self._log = 0.0

    def add(self, predicted: FloatArray, eligible: BoolArray, offer: IntArray) -> None:
        """Add n decisions: `predicted` and `eligible` are (n, N), `offer` (n,) is what was chosen."""
        width = self._sums.shape[1]
        own = predicted[np.arange(len(offer)), offer]
        place = np.searchsorted(self._edges, predicted[eligible], side="right")
        self._sums[0] += np.bincount(place, weights=predicted[eligible], minlength=width)
        self._sums[1] += np.bincount(np.searchsorted(self._edges, own, side="right"), minlength=width)
        self._sums[2] += np.bincount(place, minlength=width)
        self._n += len(offer)
        self._log += float(np.log(own).sum())
        self._certain += int((own > CERTAIN_PROBABILITY).sum())
        self._surprising += int((own < 1.0 - CERTAIN_PROBABILITY).sum())

    def result(
        self,
        n_log: int,
        folds: int,
        uniform: float,
        marginal: float,
        temperature: float,
        floor: float,
        pairs: tuple[int, float] = (0, 0.0),
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
            uniform=uniform,
            marginal=marginal,
            temperature=temperature,
            floor=floor,
            certain=self._certain / n,
            surprising=self._surprising / n,
            repeats=pairs[0],
            agreeing=pairs[1],
        )


def agreement(x: FloatArray, which: IntArray, customer: FloatArray, offer: IntArray) -> tuple[int, float]:
    """Return how many customers have the facts of another, and the share of such pairs that got the same offer.

    n decisions of facts `x` (n, d), sets `which` (n,), customers by a number of each (n,) and offers (n,). Of a
    customer's decisions with the same facts one is taken: that a customer keeps an offer once drawn is no rule.
    """
    # Equal rows have equal sums, up to rounding; those of unequal ones are all but never equal.
    sums = (
        x @ np.random.default_rng(1).normal(size=x.shape[1]) + np.random.default_rng(2).random(which.max() + 1)[which]
    )
    facts = np.unique(np.round(sums, 9), return_inverse=True)[1]
    _, first = np.unique(np.stack([facts, customer], axis=1), axis=0, return_index=True)
    alike = np.bincount(facts[first]).astype(np.float64)
    same = np.unique(np.stack([facts[first], offer[first]], axis=1), axis=0, return_counts=True)[1].astype(np.float64)
    pairs = float((alike * (alike - 1.0)).sum())
    return int((alike[alike > 0] - 1.0).sum()), float((same * (same - 1.0)).sum()) / pairs if pairs else 0.0
