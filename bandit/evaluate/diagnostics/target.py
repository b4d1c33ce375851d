"""How far a log supports one target policy, by the policy's weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bandit.evaluate.diagnostics.findings import DiagnosticCheck, Finding, share
from bandit.ope.contrast import PolicyContrast, effective_number
from bandit.ope.estimate import MIN_EFFECTIVE_SAMPLE_SIZE
from bandit.printable import counted

if TYPE_CHECKING:
    from bandit.domain import FloatArray, IntArray
    from bandit.ope import Estimate

MAX_UNSUPPORTED = 0.05
"""With a larger share of choices that the log never shows, the verdict is "cannot tell"."""

FEW_EFFECTIVE = 200.0
"""With fewer effective decisions or customers than this, intervals may be too narrow."""

MIN_EVENTS = 10.0
"""With fewer outcomes than this where two policies differ, the verdict is "cannot tell".

Over 97 simulated cells (markets and multi-class data, 1,000 to 100,000 decisions, logs from uniform to 97 % rules) the
95 % intervals of dr covered 92.4 % of the values and 91.8 % of the differences without this rule, 94.6 and 94.5 % with
it; where all offers are equal, the verdict was "worse" in 11.4 % of the logs without it, in 2.1 % with it.
"""

FEW_EVENTS = 30.0
"""With fewer than this, intervals may be too narrow where some outcomes are worth far more than others."""

MAX_CUSTOMER_SHARE = 0.1
"""A larger share of the whole weight on one customer is a doubt."""

_WEIGHT_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class TargetSupport(DiagnosticCheck):
    """How far the log supports one policy, by its weights w = target / propensity.

    Where rows stand for other numbers s of decisions than one, s w counts in place of w, but in `largest_weight`.
    `effective_rows` is sum(w)^2 / sum(w^2) over rows, `effective_customers` the same over the sums of w by customer
    (Kish 1965, "Survey sampling"), None where customers are not known. `largest_share` is the largest share of the
    whole weight that one customer has (one row, where customers are not known). `mean_weight` has a wide interval
    (99.9 %), so that false alarms are rare. `unsupported` is the share of the policy's probability on offers that the
    log never shows, and `impossible` that on offers which the logging policy rules out in the same context, None
    where its probabilities of all offers are not known. `events` is the number of outcomes of the rarer kind to be
    expected where the policy differs from the one that wrote the log (`PolicyContrast`). `slack` is by how much the
    mean weight may miss 1 beyond its interval: rounding, and more where propensities are estimates.
    """

    policy: str
    n: int
    effective_rows: float
    effective_customers: float | None
    largest_weight: float
    largest_share: float
    mean_weight: Estimate
    unsupported: float
    impossible: float | None
    events: float = np.inf
    slack: float = _WEIGHT_ROUNDING

    @property
    def name(self) -> str:
        """What was checked, as a key."""
        return f"support of {self.policy}"

    def finding(self) -> Finding | None:
        """Return the gravest thing that is wrong."""
        customers = np.inf if self.effective_customers is None else self.effective_customers
        if self.effective_rows < MIN_EFFECTIVE_SAMPLE_SIZE:
            return self._finding(
                "fatal",
                f"of {counted(self.n, 'decision')} only {self.effective_rows:.0f} (effective sample size) say anything "
                "about this policy",
                "more decisions",
            )
        if customers < MIN_EFFECTIVE_SAMPLE_SIZE:
            return self._finding(
                "fatal",
                f"only {customers:.0f} customers (effective number) say anything about this policy",
                "more decisions",
            )
        if self.events < MIN_EVENTS:
            return self._finding(
                "fatal", too_few_events(self.events, "the policy that wrote the log"), "more decisions"
            )
        out_of_reach = max(self.unsupported, self.impossible or 0.0)
        if out_of_reach > MAX_UNSUPPORTED:
            where = (
                "the log never shows"
                if self.unsupported > MAX_UNSUPPORTED
                else "the policy that wrote the log never makes to such customers"
            )
            sentence = f"{share(out_of_reach)} of this policy's choices are offers that {where}"
            return self._finding("fatal", sentence, "random share")
        mean = self.mean_weight
        if not mean.low - self.slack <= 1.0 <= mean.high + self.slack:
            return self._finding(
                "fatal",
                f"the weights average {mean.value:.3f} instead of 1, so the logged propensities are wrong or rule out "
                "part of this policy's choices",
                "known propensities",
            )
        if self.largest_share > MAX_CUSTOMER_SHARE:
            one = "decision" if self.effective_customers is None else "customer"
            return self._finding("doubt", f"one single {one} has {share(self.largest_share)} of the total weight")
        if min(self.effective_rows, customers) < FEW_EFFECTIVE:
            return self._finding(
                "doubt",
                f"only {min(self.effective_rows, customers):.0f} effective "
                f"{'decisions' if self.effective_rows <= customers else 'customers'} support this policy: the interval "
                "may be too narrow",
            )
        if self.events < FEW_EVENTS:
            return self._finding(
                "doubt",
                f"where it differs from the policy that wrote the log only about {self.events:.0f} outcomes of the "
                "rarer kind are to be expected: the interval may be too narrow",
            )
        return None

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        fields = (
            "n",
            "effective_rows",
            "effective_customers",
            "largest_weight",
            "largest_share",
            "unsupported",
            "events",
        )
        return (
            {"policy": self.policy} | self._to_json(*fields, "impossible") | {"mean_weight": self.mean_weight.to_dict()}
        )


def too_few_events(events: float, other: str) -> str:
    """Return the sentence for a finding of too few outcomes where a policy differs from another."""
    return f"where it differs from {other} only {events:.0f} outcomes of the rarer kind are to be expected"


class TargetWeights:
    """Adds up one policy's weights, batch by batch; memory is 8 bytes a customer.

    Customers are numbered from 0 in order of appearance, as `bandit.ope.clusters.ClusterIndex` numbers them.
    """

    def __init__(self) -> None:
        self._n, self._sum, self._squares, self._largest = 0, 0.0, 0.0, 0.0
        self._decisions, self._most = 0.0, 0.0  # what the rows stand for, and the largest weight times that
        self._by_customer = np.zeros(0)
        self._complete: tuple[float, float] | None = None  # of sealed customers the sum of squares and the largest
        self._impossible: float | None = None
        self.contrast = PolicyContrast()

    def add(
        self,
        weight: FloatArray,
        cluster: IntArray | None,
        target: FloatArray | None = None,
        logging: FloatArray | None = None,
        *,
        stands_for: FloatArray | None = None,
    ) -> None:
        """Add n decisions: weights (n,), customers (n,) or None, both policies' (n, N) probabilities where known.

        `stands_for` (n,) is how many decisions each row stands for, one by default.
        """
        if not len(weight):
            return
        self._largest = max(self._largest, float(weight.max()))
        self.contrast.add(weight - 1.0, stands_for)
        self._n += len(weight)
        self._decisions += float(len(weight) if stands_for is None else stands_for.sum())
        weight = weight if stands_for is None else weight * stands_for
        self._sum += float(weight.sum())
        self._squares += float(weight @ weight)
        self._most = max(self._most, float(weight.max()))
        if cluster is not None:
            size = int(cluster.max()) + 1
            if size > len(self._by_customer):
                self._by_customer = np.append(self._by_customer, np.zeros(size - len(self._by_customer) // 2))
            np.add.at(self._by_customer, cluster, weight)
        if target is not None and logging is not None:
            ruled_out = target if stands_for is None else target * stands_for[:, None]
            self._impossible = (self._impossible or 0.0) + float(ruled_out[logging <= 0.0].sum())

    def seal(self) -> None:
        """Complete the customers, which no more decisions are added of; the memory of each is freed."""
        self._complete, self._by_customer = self._customers(), np.zeros(0)

    def _customers(self) -> tuple[float, float] | None:
        """Return the sum of squares and the largest of the customers' weights, None where customers are not known."""
        if not len(self._by_customer):
            return self._complete
        return float(self._by_customer @ self._by_customer), float(self._by_customer.max())

    def __add__(self, other: TargetWeights) -> TargetWeights:
        """Return the weights of both, which are sealed and have no customer in common."""
        both = TargetWeights()
        both._n, both._decisions = self._n + other._n, self._decisions + other._decisions
        both._sum, both._squares = self._sum + other._sum, self._squares + other._squares
        both._largest, both._most = max(self._largest, other._largest), max(self._most, other._most)
        both.contrast = self.contrast + other.contrast
        sealed = [each for each in (self._complete, other._complete) if each is not None]
        if sealed:
            both._complete = sum(squares for squares, _ in sealed), max(largest for _, largest in sealed)
        known = [each for each in (self._impossible, other._impossible) if each is not None]
        both._impossible = sum(known) if known else None
        return both

    def result(
        self,
        policy: str,
        mean_weight: Estimate,
        unsupported: float,
        *,
        rarer: float = 1.0,
        slack: float = _WEIGHT_ROUNDING,
    ) -> TargetSupport:
        """Return the support so far; `mean_weight` is that of `Tally.mean_weight` at the level 99.9 %.

        `rarer` is the share of the rarer kind of outcome in the log, 1 where outcomes are not of two kinds.
        """
        known, customers, largest = self._customers(), None, self._most
        if known is not None:
            customers, largest = effective_number(self._sum, known[0]), known[1]
        return TargetSupport(
            policy=policy,
            n=self._n,
            effective_rows=effective_number(self._sum, self._squares),
            effective_customers=customers,
            largest_weight=self._largest,
            largest_share=largest / self._sum if self._sum > 0 else 0.0,
            mean_weight=mean_weight,
            unsupported=unsupported,
            impossible=None if self._impossible is None else self._impossible / self._decisions,
            events=self.contrast.size * rarer,
            slack=slack,
        )
