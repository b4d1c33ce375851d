"""What many campaigns show of one way to compute lift: coverage, false verdicts, errors, customers until a verdict."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri

from bandit.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simulator.validation.lift_campaigns.looks import CampaignRecord, WayRecord

_Z = float(ndtri(0.975))


@dataclass(frozen=True, slots=True)
class WilsonShare:
    """`hits` of `n`, with the 95 % interval of Wilson (1927, JASA 22)."""

    hits: int
    n: int

    @property
    def value(self) -> float:
        """The share; NaN of none."""
        return self.hits / self.n if self.n else float("nan")

    @property
    def bounds(self) -> tuple[float, float]:
        """The interval: (p + z^2 / 2n -+ z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n).

        >>> [round(bound, 4) for bound in WilsonShare(190, 200).bounds]
        [0.9104, 0.9726]
        """
        if not self.n:
            return 0.0, 1.0
        p, square = self.value, _Z**2 / self.n
        half = np.sqrt(p * (1.0 - p) * square + square**2 / 4.0)
        middle = p + square / 2.0
        return max(0.0, float((middle - half) / (1.0 + square))), min(1.0, float((middle + half) / (1.0 + square)))

    def to_dict(self) -> dict[str, float | int | None]:
        """Return plain JSON values."""
        low, high = self.bounds
        return {"hits": self.hits, "n": self.n, "value": self.value if self.n else None, "low": low, "high": high}


@dataclass(frozen=True, slots=True)
class WaySummary:
    """One way over n campaigns of one setting.

    `covered` are the intervals for one look that hold the truth, `own_covered` those that hold that of the campaign's
    own customers; `truth_below` and `truth_above` are those that the truth is outside of, on either side.
    `false_better` and `false_worse` are false verdicts at one look, `daily_better` and `daily_worse` campaigns with one
    at any daily look, and `daily_false` those with either. A verdict is false where the truth so far is 0 or of the
    other sign. `always_covered` are campaigns whose anytime intervals hold the truth so far at every look that gave an
    answer; `last_covered` those at the last look.

    `found_once` and `found_daily` have a verdict of the truth's sign, at the end or by any look; `customers` is the
    median number of customers seen at the first such look, None where fewer than half of the campaigns come to it.
    `bias` is the mean of estimate - truth with its standard error, `spread` the deviation of estimate - truth, and
    `stated` the root of the mean square of the standard errors. `variance` is the mean ratio of a campaign's estimated
    variance to that of means. `doubted` are campaigns in which the weights were found to be wrong.
    """

    setting: str
    way: str
    n: int
    truth: float
    own_truth: float
    agreement: float
    covered: WilsonShare
    own_covered: WilsonShare
    truth_below: WilsonShare
    truth_above: WilsonShare
    false_better: WilsonShare
    false_worse: WilsonShare
    daily_false: WilsonShare
    daily_better: WilsonShare
    daily_worse: WilsonShare
    always_covered: WilsonShare
    last_covered: WilsonShare
    found_once: WilsonShare
    found_daily: WilsonShare
    doubted: WilsonShare
    customers: float | None
    bias: float
    bias_error: float
    spread: float
    stated: float
    variance: float

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        plain = asdict(self)
        for name in self.__slots__:
            value = getattr(self, name)
            if isinstance(value, WilsonShare):
                plain[name] = value.to_dict()
            elif isinstance(value, float) and not np.isfinite(value):
                plain[name] = None
        return plain


def summary_of(setting: str, way: str, records: Sequence[CampaignRecord]) -> WaySummary:
    """Return the summary of one way; InputError without records."""
    if not records:
        raise InputError(f"there are no campaigns of the setting {setting}; run some first")
    n = len(records)
    ways = [each.ways[way] for each in records]
    truth, own = np.array([each.truth for each in records]), np.array([each.own_truth for each in records])
    low, high = np.array([each.once_low for each in ways]), np.array([each.once_high for each in ways])
    off = np.array([each.values[-1] for each in ways]) - truth
    error = np.array([each.errors[-1] for each in ways])
    means = np.array([each.ways["means"].errors[-1] for each in records])
    once = np.array([sign(each.once) for each in ways])
    daily = [false_looks(each, way) for each in records]
    first = np.array([customers_until_verdict(each, way) for each in records])
    spread = float(off.std(ddof=1)) if n > 1 else float("nan")
    median = float(np.median(first))

    def of(hits: Sequence[bool] | np.ndarray) -> WilsonShare:
        return WilsonShare(int(np.sum(hits)), n)

    return WaySummary(
        setting=setting,
        way=way,
        n=n,
        truth=float(truth.mean()),
        own_truth=float(own.mean()),
        agreement=float(np.mean([each.agreement for each in records])),
        covered=of((low <= truth) & (truth <= high)),
        own_covered=of((low <= own) & (own <= high)),
        truth_below=of(truth < low),
        truth_above=of(truth > high),
        false_better=of((once > 0) & (truth <= 0.0)),
        false_worse=of((once < 0) & (truth >= 0.0)),
        daily_false=of([better or worse for better, worse in daily]),
        daily_better=of([better for better, _ in daily]),
        daily_worse=of([worse for _, worse in daily]),
        always_covered=of([always_covered(each, way) for each in records]),
        last_covered=of([w.lows[-1] <= r.truth <= w.highs[-1] for w, r in zip(ways, records, strict=True)]),
        found_once=of((once != 0) & (once == np.sign(truth))),
        found_daily=of(np.isfinite(first)),
        doubted=of([each.doubted for each in ways]),
        customers=median if np.isfinite(median) else None,
        bias=float(off.mean()),
        bias_error=spread / float(np.sqrt(n)),
        spread=spread,
        stated=float(np.sqrt((error**2).mean())),
        variance=float(((error / means) ** 2).mean()),
    )


def sign(verdict: str) -> int:
    """Return 1 for "better", -1 for "worse" and 0 for a verdict that claims neither."""
    return {"better": 1, "worse": -1}.get(verdict, 0)


def false_looks(record: CampaignRecord, way: str) -> tuple[bool, bool]:
    """Return whether any daily look gave a false "better", and whether any gave a false "worse"."""
    signs = np.array([sign(each) for each in record.ways[way].verdicts])
    truths = np.array(record.truths)
    return bool(((signs > 0) & (truths <= 0.0)).any()), bool(((signs < 0) & (truths >= 0.0)).any())


def always_covered(record: CampaignRecord, way: str) -> bool:
    """Return whether the anytime interval holds the truth so far at every daily look with an answer."""
    looks: WayRecord = record.ways[way]
    answered = np.array([each != "cannot tell" for each in looks.verdicts])
    truths = np.array(record.truths)
    return bool(((np.array(looks.lows) <= truths) & (truths <= np.array(looks.highs)))[answered].all())


def customers_until_verdict(record: CampaignRecord, way: str) -> float:
    """Return the customers seen at the first daily look with a verdict of the whole campaign's sign, else infinity."""
    wanted = np.sign(record.truth)
    for verdict, seen in zip(record.ways[way].verdicts, record.customers, strict=True):
        if wanted and sign(verdict) == wanted:
            return float(seen)
    return float("inf")
