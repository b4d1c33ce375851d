"""Check of the logged propensities where only that of the chosen offer is known.

For an offer a, the sum over its decisions of 1 / propensity is on average the number of decisions in which it was
eligible and had a probability above 0 (Horvitz and Thompson 1952, "A generalization of sampling without replacement
from a finite universe"). So the ratio of that sum to the number of decisions in which a was eligible is on average
at most 1, and it is 1 where the logging policy never rules the offer out. Above 1, propensities are wrong; below 1,
the offer is never shown in part of the contexts, or propensities are wrong. The same holds for sums over the offers
of an option.

1 / propensity has a heavy tail, so the two sides are tested in different ways:

- above: Student's t with the clustered standard error of the sample. A rare large 1 / propensity also makes the
  standard error large, so this test is conservative. An absurdly small propensity is tested by itself: the chance
  that anything of probability p or less is ever chosen is at most p x (eligible offers of all decisions).
- below: values that the sample lacks are missing from its standard error, too, so the variance is bounded by design:
  with no probability below the smallest p seen, the sum of squares is on average at most (eligible decisions) / p,
  and the chance of falling z such deviations short is at most exp(-z^2 / 2) (Maurer 2003, "A bound on the deviation
  probability for sums of non-negative random variables"). Where choices depend on each other within a customer, the
  variance is multiplied by the observed design effect.

Where a decision stands for s decisions, s counts in place of 1 on both sides, and the bound below has the largest s
as a factor.

All offers together, options and single offers are tested at once: each p-value is multiplied by their number
(Bonferroni). Wrong propensities pass if the marginal counts happen to be right.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.special import stdtr

from bandit.evaluate.diagnostics.buckets import bucket_of, number_of_buckets, variance_of_total
from bandit.evaluate.diagnostics.findings import SIGNIFICANCE, DiagnosticCheck, Finding, to_json
from bandit.evaluate.diagnostics.labels import OfferLabels

if TYPE_CHECKING:
    from bandit.catalogue import Catalogue
    from bandit.domain import BoolArray, FloatArray, IntArray

MOST_CHECKED_OFFERS = 100_000
"""With more offers than this nothing is checked, since their eligibility is not known as a table."""

MIN_LISTED_DECISIONS = 30
"""An offer chosen in at least this many decisions is listed by itself; options are always listed."""


@dataclass(frozen=True, slots=True)
class InversePropensityRatio:
    """The sum of inverse propensities of an option, an offer or all offers, over how often it was eligible.

    `ratio` is sum(1 / propensity) over its decisions, divided by the (decision, eligible offer) pairs that have it;
    `error` is its standard error, clustered; `z` is (ratio - 1) in errors, where below 1 the error is the larger one
    that the design allows. `p` is two-sided and adjusted for all options and offers tested together.
    """

    label: str
    kind: Literal["all", "option", "offer"]
    decisions: int
    ratio: float
    error: float
    z: float
    p: float

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {name: to_json(getattr(self, name)) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class PropensityCalibration(DiagnosticCheck):
    """Whether inverse propensities of `n` decisions add up; `counted` has the options and the frequent offers.

    `smallest` is the smallest logged propensity and `smallest_p` bounds the chance of seeing one so small;
    `certain` is the share of decisions with propensity 1, and `design_effect` how much more the counts vary between
    customers than between rows.
    """

    n: int
    smallest: float
    smallest_p: float
    certain: float
    design_effect: float
    counted: tuple[InversePropensityRatio, ...]

    @property
    def name(self) -> str:
        """What was checked, as a key."""
        return "propensities"

    @property
    def deterministic(self) -> bool:
        """Whether every logged propensity is 1."""
        return self.certain == 1.0

    def finding(self) -> Finding | None:
        """Return a fatal finding for too large a ratio, a doubt for too small a one or if all propensities are 1."""
        if self.deterministic:
            return self._finding(
                "doubt",
                "every logged propensity is 1: the policy that wrote the log left nothing to chance, so the log does "
                "not show what another offer would have earned",
                "random share",
            )
        if self.smallest_p < SIGNIFICANCE:
            return self._finding(
                "fatal",
                f"the logged propensities are wrong: one is {self.smallest:.2g}, and in {self.n:,} decisions "
                f"an offer so improbable should never have been chosen (p < {self.smallest_p:.1g})",
                "known propensities",
            )
        off = [each for each in self.counted if each.p < SIGNIFICANCE]
        above = max((each for each in off if each.ratio > 1.0), key=lambda each: each.z, default=None)
        if above is not None:
            return self._finding(
                "fatal",
                f"the logged propensities are wrong: weighted by 1 / propensity, {above.label} was chosen "
                f"{above.ratio:.2f} times as often as it was eligible, where 1 is the most there can be",
                "known propensities",
            )
        below = min((each for each in off if each.ratio < 1.0), key=lambda each: each.z, default=None)
        if below is not None:
            return self._finding(
                "doubt",
                f"weighted by 1 / propensity, {below.label} was chosen only {below.ratio:.2f} times as often "
                "as it was eligible: part of the customers never get it although they are eligible, or the logged "
                "propensities are wrong",
            )
        return None

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        fields = ("n", "smallest", "smallest_p", "certain", "deterministic", "design_effect")
        return self._to_json(*fields) | {"counted": [each.to_dict() for each in self.counted]}


class InversePropensitySums:
    """Adds up inverse propensities, batch by batch, in two tables of (buckets, offers) of at most 64 MB."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue, self.labels = catalogue, OfferLabels(catalogue)
        n_offers = catalogue.n_offers
        self.buckets = number_of_buckets(n_offers)
        self._observed, self._expected = np.zeros((2, self.buckets, n_offers))
        self._rows = np.zeros(self.buckets)
        self._shown, self._squares = np.zeros(n_offers, dtype=np.int64), np.zeros(n_offers)
        self._n, self._certain, self._smallest = 0, 0, 1.0
        self._total, self._total_squares, self._largest, self._pairs = 0.0, 0.0, 1.0, 0.0
        # With weights s: by offer the sums of s^2 / propensity and of s^2 where eligible.
        self._squared: FloatArray | None = None

    def add(
        self,
        offer: IntArray,
        propensity: FloatArray,
        eligible: BoolArray,
        cluster: IntArray | None,
        stands_for: FloatArray | None = None,
    ) -> None:
        """Add n decisions: offer and propensity (n,), eligible (n, N), the customers' numbers (n,) or None.

        `stands_for` (n,) is how many decisions each row stands for, one by default.
        """
        if not len(offer):
            return
        bucket = self._add_eligible(eligible, cluster, stands_for)
        inverse = 1.0 / propensity
        if self._squared is None:
            np.add.at(self._observed, (bucket, offer), inverse)
            self._squares += np.bincount(offer, weights=inverse**2, minlength=len(self._shown))
        else:
            self._add_weighted(bucket, offer, inverse, np.ones(len(offer)) if stands_for is None else stands_for)
        self._shown += np.bincount(offer, minlength=len(self._shown))
        self._certain += int((propensity == 1.0).sum())
        self._smallest = min(self._smallest, float(propensity.min()))

    def add_outside(self, eligible: BoolArray, cluster: IntArray | None, stands_for: FloatArray | None = None) -> None:
        """Add n decisions that chose an offer which is not of the catalogue, from its `eligible` (n, N) and others."""
        if len(eligible):
            self._add_eligible(eligible, cluster, stands_for)

    def _add_eligible(self, eligible: BoolArray, cluster: IntArray | None, stands_for: FloatArray | None) -> IntArray:
        """Count how often each offer was eligible, and return the bucket of each row, (n,)."""
        n = len(eligible)
        ids = np.arange(self._n, self._n + n) if cluster is None else cluster
        bucket = bucket_of(ids, self.buckets)
        self._n += n
        if stands_for is not None or self._squared is not None:
            self._weigh_eligible(bucket, eligible, np.ones(n) if stands_for is None else stands_for)
            return bucket
        counts = np.bincount(bucket, minlength=self.buckets)
        if eligible.strides[0] == 0:  # all rows share one set
            self._expected += np.outer(counts, eligible[0])
        else:
            order = np.argsort(bucket.astype(np.uint16), kind="stable")  # small numbers are sorted by their digits
            used = np.flatnonzero(counts)
            starts = np.cumsum(counts[used]) - counts[used]
            self._expected[used] += np.add.reduceat(eligible[order].view(np.uint8), starts, axis=0, dtype=np.int32)
        self._rows += counts
        self._total += n
        self._total_squares += n
        return bucket

    def _weigh_eligible(self, bucket: IntArray, eligible: BoolArray, stands_for: FloatArray) -> None:
        """Count how often each offer was eligible where rows stand for several decisions."""
        squares = stands_for * stands_for
        if self._squared is None:
            self._squared, self._pairs = self._weighted_sums()
        self._rows += np.bincount(bucket, weights=stands_for, minlength=self.buckets)
        for number in np.unique(bucket).tolist():
            here = bucket == number
            self._expected[number] += stands_for[here] @ eligible[here]
        self._squared[1] += squares @ eligible
        self._pairs += float(eligible.sum())
        self._total += float(stands_for.sum())
        self._total_squares += float(squares.sum())
        self._largest = max(self._largest, float(stands_for.max()))

    def _add_weighted(self, bucket: IntArray, offer: IntArray, inverse: FloatArray, stands_for: FloatArray) -> None:
        """Count how often each offer was chosen where rows stand for several decisions."""
        size, squares = len(self._shown), stands_for * stands_for
        np.add.at(self._observed, (bucket, offer), stands_for * inverse)
        self._squares += np.bincount(offer, weights=squares * inverse**2, minlength=size)
        if self._squared is not None:
            self._squared[0] += np.bincount(offer, weights=squares * inverse, minlength=size)

    def _weighted_sums(self) -> tuple[FloatArray, float]:
        """Return the sums that are added up besides where rows have weights; of rows without, the weights are 1."""
        if self._squared is not None:
            return self._squared, self._pairs
        return np.stack([self._observed.sum(axis=0), self._expected.sum(axis=0)]), float(self._expected.sum())

    def __add__(self, other: InversePropensitySums) -> InversePropensitySums:
        """Return the sums of both; equal numbers of customers stand for the same customer in both."""
        both = InversePropensitySums(self._catalogue)
        both._observed, both._expected = self._observed + other._observed, self._expected + other._expected
        both._rows, both._shown = self._rows + other._rows, self._shown + other._shown
        both._squares = self._squares + other._squares
        both._n, both._certain = self._n + other._n, self._certain + other._certain
        both._smallest, both._largest = min(self._smallest, other._smallest), max(self._largest, other._largest)
        both._total, both._total_squares = self._total + other._total, self._total_squares + other._total_squares
        if self._squared is not None or other._squared is not None:
            (mine, pairs), (theirs, more) = self._weighted_sums(), other._weighted_sums()
            both._squared, both._pairs = mine + theirs, pairs + more
        return both

    def result(self) -> PropensityCalibration:
        """Return the calibration of what was added so far."""
        certain = self._certain / max(int(self._shown.sum()), 1)
        surprise = min(self._smallest * max(float(self._expected.sum()), self._pairs), 1.0) if self._n else 1.0
        effect = self._design_effect()
        counted: list[InversePropensityRatio] = []
        if self._n and certain < 1.0:
            counted = self._counted(effect)
        return PropensityCalibration(self._n, self._smallest, surprise, certain, effect, tuple(counted))

    def _design_effect(self) -> float:
        """Return how much more the offers' counts vary between buckets than they would were rows independent."""
        if not self._n:
            return 1.0
        excess = self._observed - self._expected
        observed = variance_of_total(excess, self._rows).sum()
        # Per row and offer t = 1{chosen} / p and E = 1{eligible}: (t - E)^2 = t^2 - 2 t + E, since t E = t.
        if self._squared is None:
            squares = self._squares - 2.0 * self._observed.sum(axis=0) + self._expected.sum(axis=0)
            rows = (squares - excess.sum(axis=0) ** 2 / self._n).sum()
        else:
            squares = self._squares - 2.0 * self._squared[0] + self._squared[1]
            rows = (squares - (excess.sum(axis=0) / self._total) ** 2 * self._total_squares).sum()
        return max(1.0, float(observed / rows)) if rows > 0 and np.isfinite(observed) else 1.0

    def _counted(self, effect: float) -> list[InversePropensityRatio]:
        """Return all offers, every option that was eligible at least once and every offer chosen often enough."""
        labels = self.labels
        observed, expected = labels.with_sums(self._observed), labels.with_sums(self._expected)
        decisions = labels.with_sums(self._shown[None, :])[0]
        eligible = expected.sum(axis=0)
        tested = np.flatnonzero(eligible > 0)
        observed, expected, decisions, eligible = (
            observed[:, tested],
            expected[:, tested],
            decisions[tested],
            eligible[tested],
        )
        total = observed.sum(axis=0)
        variance = variance_of_total(observed - expected, self._rows)
        z, p = self._test(total, eligible, variance, effect)
        adjusted = np.minimum(p * len(p), 1.0)
        return [
            InversePropensityRatio(
                label=labels.label(place),
                kind=labels.kind(place),
                decisions=int(decisions[column]),
                ratio=float(total[column] / eligible[column]),
                error=float(np.sqrt(variance[column]) / eligible[column]),
                z=float(z[column]),
                p=float(adjusted[column]),
            )
            for column, place in enumerate(tested.tolist())
            if labels.kind(place) != "offer" or decisions[column] >= MIN_LISTED_DECISIONS
        ]

    def _test(
        self, total: FloatArray, eligible: FloatArray, variance: FloatArray, effect: float
    ) -> tuple[FloatArray, FloatArray]:
        """Return z and the two-sided p-value of each ratio being 1."""
        freedom = max(int((self._rows > 0).sum()) - 1, 1)
        excess = total - eligible
        # Up to rounding, choices that are all certain give counts that are exact and do not vary.
        excess[np.abs(excess) <= 1e-9 * eligible] = 0.0
        widest = np.maximum(variance, effect * self._largest * eligible / self._smallest)
        with np.errstate(divide="ignore", invalid="ignore"):
            z = np.where(excess == 0, 0.0, excess / np.sqrt(np.where(excess > 0, variance, widest)))
        return z, np.minimum(2.0 * np.where(excess > 0, stdtr(freedom, -z), np.exp(-(z**2) / 2.0)), 1.0)
