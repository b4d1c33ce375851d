"""How far a log supports one target policy: what its weights say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bandit.evaluate.diagnostics.findings import Check, Finding, share

if TYPE_CHECKING:
    from bandit.domain import BoolArray, FloatArray, IntArray
    from bandit.ope import Estimate

MIN_EFFECTIVE = 30.0
"""With fewer effective decisions, or fewer customers, than this the log cannot tell."""

MAX_UNSUPPORTED = 0.05
"""With a larger share of choices that the log never shows it cannot tell."""

FEW_EFFECTIVE = 200.0
"""With fewer effective decisions or customers than this, intervals may be too narrow."""

MIN_CONVERSIONS = 8.0
"""With fewer effective conversions than this nothing is better than anything: in simulated logs with 8 of them 95 %
intervals covered 95 to 96 % where all conversions are worth the same, with 4 of them 86 and with 2 of them 65 %."""

FEW_CONVERSIONS = 30.0
"""With fewer effective conversions than this, intervals may be too narrow where some are worth far more than others:
with log-normal amounts they covered 84 % at 8 conversions, 92 % at 33 and 95 % at 67."""

ONE_CUSTOMER = 0.1
"""A larger share of all weight in one customer is a doubt."""

_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class TargetSupport(Check):
    """What the weights w = target / propensity of one policy say about how much the log knows of it.

    `effective_rows` is sum(w)^2 / sum(w^2) over rows, `effective_customers` the same over the sums of w by customer
    (Kish 1965, "Survey sampling"), None where customers are not known. `largest_share` is the largest part of all
    weight that one customer has (one row, where customers are not known). `mean_weight` comes with a wide interval
    (99.9 %), so that it seldom cries wolf. `unsupported` is the share of the policy's probability on offers that the
    log never shows, and `impossible` that on offers which the logging policy rules out in the very context, None
    where its whole probabilities are not known.
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
    conversions: float | None = None
    slack: float = _ROUNDING

    @property
    def few_conversions(self) -> bool:
        """Whether too few conversions say what it earns for it to be called better than another."""
        return self.conversions is not None and self.conversions < MIN_CONVERSIONS

    @property
    def name(self) -> str:
        """What was checked, as a key."""
        return f"support of {self.policy}"

    def finding(self) -> Finding | None:
        """Return the gravest thing that is wrong."""
        customers = np.inf if self.effective_customers is None else self.effective_customers
        if self.effective_rows < MIN_EFFECTIVE:
            of = f"of {self.n:,} decisions only {self.effective_rows:.0f} (effective)"
            return self._found("fatal", f"{of} say anything about this policy")
        if customers < MIN_EFFECTIVE:
            return self._found("fatal", f"what the log says about this policy comes from {customers:.0f} customers")
        conversions = np.inf if self.conversions is None else self.conversions
        out_of_reach = max(self.unsupported, self.impossible or 0.0)
        if out_of_reach > MAX_UNSUPPORTED:
            where = (
                "the log never shows" if self.unsupported > MAX_UNSUPPORTED else "the logging policy rules out there"
            )
            return self._found("fatal", f"{share(out_of_reach)} of this policy's choices are offers that {where}")
        mean = self.mean_weight
        if not mean.low - self.slack <= 1.0 <= mean.high + self.slack:
            return self._found(
                "fatal",
                f"the weights average {mean.value:.3f} instead of 1, so the logged propensities are wrong or rule out "
                "part of this policy's choices",
            )
        if self.largest_share > ONE_CUSTOMER:
            one = "decision" if self.effective_customers is None else "customer"
            return self._found("doubt", f"one single {one} has {share(self.largest_share)} of the whole weight")
        if min(self.effective_rows, customers) < FEW_EFFECTIVE:
            return self._found(
                "doubt",
                f"{min(self.effective_rows, customers):.0f} effective "
                f"{'decisions' if self.effective_rows <= customers else 'customers'} are few: the interval may be too "
                "narrow",
            )
        if conversions < FEW_CONVERSIONS:
            return self._found(
                "doubt", f"{conversions:.0f} effective conversions are few: the interval may be too narrow"
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
            "conversions",
        )
        return (
            {"policy": self.policy} | self._plain(*fields, "impossible") | {"mean_weight": self.mean_weight.to_dict()}
        )


class TargetWeights:
    """Adds up one policy's weights, batch by batch; memory is 8 bytes a customer.

    Customers are numbered from 0 in order of appearance, as `bandit.ope.keys.Keys` numbers them.
    """

    def __init__(self) -> None:
        self._n, self._sum, self._squares, self._largest = 0, 0.0, 0.0, 0.0
        self._by_customer = np.zeros(0)
        self._impossible: float | None = None
        self._converted: tuple[float, float] | None = None

    def add(
        self,
        weight: FloatArray,
        cluster: IntArray | None,
        target: FloatArray | None = None,
        logging: FloatArray | None = None,
        converted: BoolArray | None = None,
    ) -> None:
        """Add n decisions: weights (n,), customers (n,) or None; the (n, N) of both policies where both are known.

        `converted` (n,) says which had the event that pays; left out where all are paid for in another way.
        """
        if not len(weight):
            return
        self._n += len(weight)
        self._sum += float(weight.sum())
        self._squares += float(weight @ weight)
        self._largest = max(self._largest, float(weight.max()))
        if cluster is not None:
            size = int(cluster.max()) + 1
            if size > len(self._by_customer):
                self._by_customer = np.append(self._by_customer, np.zeros(max(size, 2 * len(self._by_customer))))
            np.add.at(self._by_customer, cluster, weight)
        if converted is not None:
            total, squares = self._converted or (0.0, 0.0)
            paid = weight[converted]
            self._converted = total + float(paid.sum()), squares + float(paid @ paid)
        if target is not None and logging is not None:
            self._impossible = (self._impossible or 0.0) + float(target[logging <= 0.0].sum())

    def result(self, policy: str, mean_weight: Estimate, unsupported: float, slack: float = _ROUNDING) -> TargetSupport:
        """Return the support so far; `mean_weight` as of `Tally.mean_weight` at 99.9 %."""
        squares, customers = float(self._by_customer @ self._by_customer), None
        largest = self._largest
        if len(self._by_customer):
            customers, largest = _kish(self._sum, squares), float(self._by_customer.max())
        return TargetSupport(
            policy=policy,
            n=self._n,
            effective_rows=_kish(self._sum, self._squares),
            effective_customers=customers,
            largest_weight=self._largest,
            largest_share=largest / self._sum if self._sum > 0 else 0.0,
            mean_weight=mean_weight,
            unsupported=unsupported,
            impossible=None if self._impossible is None else self._impossible / self._n,
            conversions=None if self._converted is None else _kish(*self._converted),
            slack=slack,
        )


def _kish(total: float, squares: float) -> float:
    return total / squares * total if squares > 0 else 0.0
