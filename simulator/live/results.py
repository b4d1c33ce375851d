"""What lift says of a live campaign at each look, beside the truth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass

from bandit.domain import FloatArray, IntArray
from bandit.evaluate.diagnostics.findings import to_json
from bandit.evaluate.lift import LiftRow
from bandit.evaluate.lift_log import LiftReport, lift_of
from bandit.ope import Estimate
from bandit.store import Store
from simulator.live.plan import LivePlan, LiveWorld
from simulator.live.truth import TrueLift, TrueValues, fixed_values
from simulator.simulation.targets import RunRecord


@dataclass(frozen=True, slots=True)
class LiveLook:
    """The comparison of the groups after some weeks, at the time `now`, per decision.

    `report` is what `offer-bandit lift` says then, `values` the true mean of the expected rewards of what each group
    was served in its settled decisions, and `truth` the true lift of each pair, in the order of the report's rows.
    """

    weeks: int
    now: int
    report: LiftReport
    values: Mapping[str, float]
    truth: tuple[TrueLift, ...]

    @property
    def after(self) -> str:
        """When it was, in words."""
        return f"After {self.weeks} week{'s' if self.weeks > 1 else ''}"

    def pairs(self) -> Iterator[tuple[LiftRow, Estimate, TrueLift]]:
        """Yield each pair: the row of the report, the difference with the interval its verdict rests on, the truth."""
        for each in self.truth:
            row = self.report.lift.row(each.group, each.baseline, unit="decision")
            yield row, row.anytime if self.report.lift.options.look == "daily" else row.once, each

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {
            "weeks": self.weeks,
            "now": self.now,
            "lift": self.report.to_dict(),
            "true_values": {name: to_json(value) for name, value in self.values.items()},
            "true_lift": [
                truth.to_dict() | {"covered": truth.within(used.low, used.high)} for _, used, truth in self.pairs()
            ],
        }


@dataclass(frozen=True, slots=True)
class LiveResults:
    """The looks at one live campaign, in order; `unit` is that of a reward, `amount` the short one of a sentence."""

    plan: LivePlan
    unit: str
    amount: str
    database: str
    looks: tuple[LiveLook, ...]

    def closing(self) -> str:
        """Return one sentence for whoever decides about the policy, which claims no more than the last look shows."""
        last = self.looks[-1]
        pairs = list(last.pairs())
        row, used, truth = next((pair for pair in pairs if pair[0].group == "policy"), pairs[0])
        earns = f"{last.after} {row.group} earns {abs(1_000 * used.value):,.0f} {self.amount} per 1,000 decisions"
        bounds = (
            f"{1_000 * used.low:+,.0f} to {1_000 * used.high:+,.0f}; at the same visits truly "
            f"{1_000 * truth.same_visits:+,.0f}"
        )
        match row.verdict:
            case "better":
                return f"{earns} more than {row.baseline} ({bounds}): give it more customers."
            case "worse":
                return f"{earns} less than {row.baseline} ({bounds}): give its customers back to {row.baseline}."
            case "cannot tell":
                return f"{last.after} {row.group} cannot be compared with {row.baseline}: {row.reason}."
            case _:
                return (
                    f"{last.after} it cannot be told whether {row.group} earns more than {row.baseline} ({self.amount} "
                    f"per 1,000 decisions: {bounds}): go on until it can."
                )

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values; the same plan, catalogue and customer key give the same."""
        return {
            "plan": asdict(self.plan),
            "database": self.database,
            "unit": self.unit,
            "looks": [each.to_dict() for each in self.looks],
            "closing": self.closing(),
        }


class LookTaker:
    """Compares the groups of a world, and works out the truth of the decisions compared."""

    def __init__(self, store: Store, world: LiveWorld, record: RunRecord) -> None:
        self.store, self.world, self.record = store, world, record
        self._fixed: Mapping[str, FloatArray] | None = None

    def look(self, weeks: int, now: int) -> LiveLook:
        """Return what `lift` says after these weeks, at the time `now`, and the truth of the same decisions."""
        report = lift_of(self.store, self.world.catalogue, now=now)
        truth = self._truth((self.record.visits.times < now - self.world.catalogue.objective.window).nonzero()[0])
        values = {each.name: truth.mean(each.name) for each in report.lift.groups}
        rows = (row for row in report.lift.rows if row.unit == "decision" and row.method == report.lift.method)
        pairs = [(row.group, row.baseline) for row in rows]
        return LiveLook(weeks, now, report, values, tuple(truth.lift(*pair) for pair in pairs))

    def _truth(self, settled: IntArray) -> TrueValues:
        record, population = self.record, self.world.population
        if self._fixed is None:
            self._fixed = fixed_values(self.world)
        visits = record.visits.take(settled)
        served = population.expected_chosen(visits.customers, record.offer[settled], visits.times)
        return TrueValues(
            record.group[settled], served, {name: values[settled] for name, values in self._fixed.items()}
        )
