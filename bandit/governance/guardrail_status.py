"""What a guardrail has seen so far: counts, rate, bounds, and whether it is broken."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from bandit.ope.estimate import finite_cell
from bandit.ope.guardrail_difference import difference_bounds
from bandit.ope.guardrail_rate import rate_bounds
from bandit.printable import counted
from bandit.tabular import Tabular

if TYPE_CHECKING:
    from bandit.catalogue.live_schema import GuardrailAction, GuardrailFile
    from bandit.domain import FloatArray
    from bandit.tabular import Cell

GuardrailVerdict: TypeAlias = Literal["broken", "holds", "too early"]
"""What a guardrail says: its bound is broken, is not shown to be broken, or there is too little to compare."""


@dataclass(frozen=True, slots=True)
class GuardrailStatus(Tabular):
    """One guardrail at one look.

    `decisions` are those that the policy served and that count, `events` those of them that have the event at least
    once, and `rate` their quotient; `other_...` are those of the group `against`, None for a guardrail of one rate.
    `value` is what is bounded: the rate, or the difference of both rates. `low` and `high` are one-sided bounds of it,
    each at `level` at every look together; the guardrail is broken where `low` is above `bound`, the rate or the
    difference that is allowed. `missing` says what there is too little of to compare two groups, empty where there is
    enough. `since` is the time from which decisions count, None for all, and `time` that of this look (microseconds
    since 1970 UTC). Rates of no decisions are None.
    """

    words: str
    event: str
    action: GuardrailAction
    level: float
    bound: float
    decisions: int
    events: int
    rate: float | None
    value: float | None
    low: float
    high: float
    against: str | None
    other_decisions: int | None
    other_events: int | None
    other_rate: float | None
    missing: str
    since: int | None
    time: int

    @property
    def broken(self) -> bool:
        """Whether the bound is broken."""
        return self.low > self.bound

    @property
    def stops(self) -> bool:
        """Whether the policy is to be stopped."""
        return self.broken and self.action == "stop"

    @property
    def verdict(self) -> GuardrailVerdict:
        """The status in a word."""
        return "broken" if self.broken else "too early" if self.missing or not self.decisions else "holds"

    @property
    def sentence(self) -> str:
        """The status in a sentence for people, without a full stop."""
        if not self.decisions:
            return f"{self.words}: too early to say: no decision of the policy counts yet"
        counts = f"{self.events:,} of {counted(self.decisions, 'decision')} had it ({_number(self.rate)})"
        if self.against is not None:
            other = f"in {self.against} {self.other_events:,} of {self.other_decisions:,} ({_number(self.other_rate)})"
            counts = f"{counts}, {other}"
        if self.missing:
            return f"{self.words}: too early to say: {self.missing}; {counts}"
        what = "the rate" if self.against is None else "the difference"
        bound = f"{what} is at least {_number(self.low)} ({_level(self.level)}, at every look)"
        return f"{self.words} {'is broken' if self.broken else 'holds'}: {counts}; {bound}"

    def to_rows(self) -> list[dict[str, Cell]]:
        """Return one row: the state, the numbers it rests on, and what is allowed."""
        told = self.verdict != "too early"
        return [
            {
                "guardrail": self.words,
                "state": self.verdict,
                "action": self.action,
                "decisions": self.decisions,
                "events": self.events,
                "value": self.value,
                "low": finite_cell(self.low) if told else None,
                "high": finite_cell(self.high) if told else None,
                "allowed": self.bound,
            }
        ]

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        plain = asdict(self) | {"verdict": self.verdict, "broken": self.broken, "sentence": self.sentence}
        return {"guardrail": plain.pop("words")} | plain


def rate_status(guardrail: GuardrailFile, events: int, decisions: int, since: int | None, time: int) -> GuardrailStatus:
    """Return the status of a guardrail with `at_most`."""
    bounds = rate_bounds(events, decisions, guardrail.level)
    rate = _rate(events, decisions)
    return GuardrailStatus(
        words=guardrail.words,
        event=guardrail.event,
        action=guardrail.action,
        level=guardrail.level,
        bound=guardrail.at_most or 0.0,
        decisions=decisions,
        events=events,
        rate=rate,
        value=rate,
        low=bounds.low,
        high=bounds.high,
        against=None,
        other_decisions=None,
        other_events=None,
        other_rate=None,
        missing="",
        since=since,
        time=time,
    )


def difference_status(
    guardrail: GuardrailFile, events: FloatArray, decisions: FloatArray, since: int | None, time: int
) -> GuardrailStatus:
    """Return the status of a guardrail with `against`, from the (customers, 2) counts of the policy and the group."""
    bounds = difference_bounds(events, decisions, guardrail.level)
    (happened, other_events), (totals, other) = (each.sum(axis=0).tolist() for each in (events, decisions))
    return GuardrailStatus(
        words=guardrail.words,
        event=guardrail.event,
        action=guardrail.action,
        level=guardrail.level,
        bound=guardrail.worse_by or 0.0,
        decisions=round(totals),
        events=round(happened),
        rate=_rate(happened, totals),
        value=bounds.value if np.isfinite(bounds.value) else None,
        low=bounds.low,
        high=bounds.high,
        against=guardrail.against,
        other_decisions=round(other),
        other_events=round(other_events),
        other_rate=_rate(other_events, other),
        missing=bounds.missing,
        since=since,
        time=time,
    )


def _rate(events: float, decisions: float) -> float | None:
    return events / decisions if decisions else None


def _number(rate: float | None) -> str:
    return "no rate" if rate is None else f"{rate:.2g}"


def _level(level: float) -> str:
    return f"{level:.4g}" if level > 0.995 else f"{level:.0%}"
