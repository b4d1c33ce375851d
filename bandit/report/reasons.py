"""The explanation of a decision in words: as a view of plain texts, from which terminal and HTML are made."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bandit.printable import plain
from bandit.report.numbers import count
from bandit.report.times import iso_minute

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bandit.explain.records import (
        ComparedOffer,
        CredibleNumber,
        DecisionExplanation,
        FiredSegment,
        LeadReasons,
    )

MOST_REASONS = 8
"""Most facts whose contributions are shown one by one; the rest is one row."""

_LONGEST = 300
"""Most characters of a name or a sentence from outside."""

_SURE, _LIKELY = 0.95, 0.8
"""Posterior probabilities from which an offer is called better, or probably better."""

_UNBOUNDED = 1e3
"""Width of an interval, in units of the number, from which it says nothing."""


@dataclass(frozen=True, slots=True)
class ReasonRow:
    """What one fact adds to the lead of the chosen offer: its words, the signed number, the share of the longest bar.

    `bar` is in [-1, 1]; None for a row that is a sum.
    """

    words: str
    number: str
    remark: str
    bar: float | None = None


@dataclass(frozen=True, slots=True)
class ReasonView:
    """An explanation as plain texts, not escaped for any medium.

    `headline` says what was decided and why in one sentence. `overview` has (name, words) rows, `removed` (offers,
    reason, condition). `offers` is a table: the first row names its columns. `notes` say what cannot be known.
    """

    headline: str
    overview: tuple[tuple[str, str], ...]
    eligible: str
    removed: tuple[tuple[str, str, str], ...]
    segment: tuple[str, ...]
    offers: tuple[tuple[str, ...], ...]
    lead: tuple[str, ...]
    reasons: tuple[ReasonRow, ...]
    reasons_title: str
    chance: tuple[str, ...]
    notes: tuple[str, ...]


def reason_view(explanation: DecisionExplanation) -> ReasonView:
    """Return an explanation in words."""
    reasons, title = _reasons(explanation)
    return ReasonView(
        headline=_headline(explanation),
        overview=_overview(explanation),
        eligible=_eligible(explanation),
        removed=tuple(
            (
                f"{count(each.n_offers)} offer{'s' if each.n_offers != 1 else ''}",
                _safe(each.reason),
                f"rule {each.rule}" + (f", as {_safe(each.condition)}" if each.condition else ""),
            )
            for each in explanation.removals
        ),
        segment=() if explanation.segment is None else _segment(explanation.segment, explanation),
        offers=_offers(explanation),
        lead=_lead(explanation),
        reasons=reasons,
        reasons_title=title,
        chance=_chance(explanation),
        notes=tuple(_safe(note) for note in explanation.notes),
    )


def _headline(explanation: DecisionExplanation) -> str:
    """Return what was decided and the main reason, in one sentence."""
    what = f'"{_safe(explanation.label)}" was chosen'
    served, chance = explanation.served, explanation.chance
    if served.kind == "imported":
        return f"{what} by another program: the log was imported, so its reasons are not known."
    if served.fault is not None:
        return f"{what} as the fallback, because the policy could not be asked: {_safe(served.fault)}."
    if served.kind == "random":
        return f"{what} at random: the customer is in the control group that gets any eligible offer."
    if served.kind == "holdout":
        return f"{what} since the customer is in the holdout, which always gets this offer."
    if served.kind == "fallback":
        return f"{what}: it is the fallback, since no policy served this customer."
    if explanation.segment is not None:
        return f"{what} by segment rules: {_safe(explanation.segment.sentence)}."
    if chance.is_best is None:
        return f"{what} by {_safe(served.policy or 'the policy')}."
    quantity = _quantity(explanation)
    if len(explanation.offers) == 1:
        return f"{what}: no other offer was eligible for this customer."
    if chance.is_best:
        return f"{what} because it has the highest {quantity} for this customer, by what was learned until then."
    return (
        f"{what} to explore: another offer has a higher {quantity} for this customer, by what was learned until then."
    )


def _overview(explanation: DecisionExplanation) -> tuple[tuple[str, str], ...]:
    served = explanation.served
    rows = [
        ("decision", f"{_safe(explanation.decision_id)}, {iso_minute(explanation.time)} UTC"),
        ("offer", _pairs(explanation.offer)),
        ("customer", _safe(explanation.customer)),
        ("facts", _pairs(explanation.facts) or "none known"),
        ("served", f"{_safe(served.sentence)}{'' if served.step is None else _after(served.step)}"),
    ]
    if served.held_from is not None:
        rows.append(("held from", f"decision {_safe(served.held_from)}"))
    return tuple(rows)


def _after(step: int) -> str:
    return " before it had learned anything" if not step else f" after {count(step)} steps of learning"


def _eligible(explanation: DecisionExplanation) -> str:
    n, every = explanation.n_eligible, explanation.n_offers
    if n == every:
        return f"All {count(every)} offers were eligible." if every > 1 else "The catalogue has this one offer."
    ending = "; removed were" if explanation.removals else "."
    return f"{count(n)} of {count(every)} offers {'was' if n == 1 else 'were'} eligible{ending}"


def _segment(segment: FiredSegment, explanation: DecisionExplanation) -> tuple[str, ...]:
    lines = [f"{_capital(_safe(segment.sentence))}{'' if segment.number else '.'}"]
    if segment.number is not None:
        name = f' "{_safe(segment.name)}"' if segment.name else ""
        lines = [f"{_capital(_safe(segment.sentence))}:{name} {_safe(segment.condition)}."]
    if segment.offer is not None and segment.offer != explanation.label:
        lines.append(
            f'It names "{_safe(segment.offer)}"; the offer was drawn from the share of random offers '
            f"({_percent(segment.exploration)})."
        )
    if segment.skipped:
        numbers = ", ".join(map(str, segment.skipped))
        lines.append(f"Segment {numbers} matched before, but its offer was not eligible.")
    return tuple(lines)


def _offers(explanation: DecisionExplanation) -> tuple[tuple[str, ...], ...]:
    """Return the table of the compared offers: a row a quantity, a column an offer."""
    offers = explanation.offers
    if not offers:
        return ()
    rows = [
        ("", *(each.role if each.role != "best" else f"best {_quantity(explanation)}" for each in offers)),
        ("offer", *(_safe(each.label) for each in offers)),
        ("drawn with", *("?" if each.probability is None else _percent(each.probability) for each in offers)),
    ]
    if any(each.reward is not None for each in offers):
        rows.append((_quantity(explanation, unit=True), *(_number(each.reward) for each in offers)))
    if _in_money(explanation) and any(each.p_convert is not None for each in offers):
        rows.append((_p_convert(explanation), *(_number(each.p_convert, percent=True) for each in offers)))
    if any(each.revenue is not None for each in offers):
        rows.append((f"revenue if so, {_safe(explanation.unit)}", *(_number(each.revenue) for each in offers)))
    return tuple(rows)


def _lead(explanation: DecisionExplanation) -> tuple[str, ...]:
    lead, offers = explanation.lead, explanation.offers
    if lead is None or len(offers) < 2:
        return ()
    chosen, other = offers[:2]
    name = "runner-up" if other.role == "runner-up" else "best offer"
    differences = [
        f"{_safe(dimension)} {_safe(chosen.offer[dimension])} instead of {_safe(other.offer[dimension])}"
        for dimension in chosen.offer
        if chosen.offer[dimension] != other.offer[dimension]
    ]
    more = "more" if lead.reward.value >= 0.0 else "less"
    scale = _scale(explanation)
    size = f"{_plain_number(abs(lead.reward.value) * scale)} {_unit(explanation)}"
    sentence = (
        f"Against the {name} ({', '.join(differences)}) {size} {more} is expected of the chosen offer"
        f"{_interval_words(lead.reward, explanation)}: {_sureness(lead, name)}."
    )
    return (sentence,)


def _sureness(lead: LeadReasons, name: str) -> str:
    better = lead.p_better
    if better >= _SURE:
        return f"by the policy's belief it is better, with a probability of {_percent(better)}"
    if better >= _LIKELY:
        return f"it is probably better, with a probability of {_percent(better)}"
    if better > 1.0 - _LIKELY:
        return f"which of the two is better is not known yet ({_percent(better)} for the chosen one)"
    return f"the {name} is {'probably ' if better > 1.0 - _SURE else ''}better, with a probability of {_percent(1 - better)}"


def _reasons(explanation: DecisionExplanation) -> tuple[tuple[ReasonRow, ...], str]:
    """Return the rows of what adds to the lead, and their title."""
    lead = explanation.lead
    if lead is None:
        return (), ""
    scale, facts = _scale(explanation), lead.facts
    decimals = _decimals(max([abs(each.worth) for each in facts] + [abs(lead.base)], default=0.0) * scale)
    longest = max([abs(each.worth) for each in facts] + [abs(lead.base)], default=0.0) or 1.0
    rows = [
        ReasonRow(
            "a customer of average facts",
            f"{lead.base * scale:+,.{decimals}f}",
            "costs included" if _in_money(explanation) else "",
            lead.base / longest,
        )
    ]
    for each in facts[:MOST_REASONS]:
        words = _safe(each.fact) + (f" = {_safe(each.value)}" if each.value else "")
        remark = f"mostly by {_safe(each.strongest_part)}" if each.strongest_part != "any offer" else "of any offer"
        rows.append(ReasonRow(words, f"{each.worth * scale:+,.{decimals}f}", remark, each.worth / longest))
    if len(facts) > MOST_REASONS:
        rest = sum(each.worth for each in facts[MOST_REASONS:])
        rows.append(
            ReasonRow(f"{len(facts) - MOST_REASONS} more facts", f"{rest * scale:+,.{decimals}f}", "", rest / longest)
        )
    rows.append(ReasonRow("together", f"{lead.reward.value * scale:+,.{decimals}f}", "", None))
    averaged = "this decision alone" if lead.averaged_over == 1 else f"the last {count(lead.averaged_over)} decisions"
    other = "runner-up" if explanation.offers[1].role == "runner-up" else "best offer"
    title = (
        f"What adds (+) to the lead over the {other}, or takes from it (-), in {_unit(explanation)}; average facts are "
        f"those of {averaged}"
    )
    return tuple(rows), title


def _chance(explanation: DecisionExplanation) -> tuple[str, ...]:
    chance, served = explanation.chance, explanation.served
    if chance.propensity is None:
        return ("With which probability it was chosen is not known.",)
    sentences = [_how_likely(explanation)]
    if chance.best_probability is not None and chance.is_best is False:
        sentences.append(f"The best offer would have been drawn with {_percent(chance.best_probability)}.")
    if chance.n_possible is not None and explanation.n_eligible > 1:
        rest = explanation.n_eligible - chance.n_possible
        words = f"{count(chance.n_possible)} of {count(explanation.n_eligible)} eligible offers had more than the least"
        least = "" if chance.floor is None else f" probability ({_percent(chance.floor)})"
        sentences.append(f"{words}{least or ' probability'}." if rest else "Every eligible offer had a real chance.")
    shown = [each for each in served.arms if each.weight > 0.0]
    if len(shown) > 1:
        parts = ", ".join(
            f"{_safe(each.arm)} {_percent(each.weight)} x {'?' if each.probability is None else _percent(each.probability)}"
            for each in shown
        )
        sentences.append(f"That is the sum over the arms that may serve this customer: {parts}.")
    if chance.recomputed is not None and abs(chance.recomputed - chance.propensity) <= 1e-9:
        sentences.append("Computed again from the log it is the same.")
    return tuple(sentences)


def _how_likely(explanation: DecisionExplanation) -> str:
    chance = explanation.chance
    propensity = float(chance.propensity or 0.0)
    words = f"At that moment this customer would have got this offer with a probability of {_percent(propensity)}"
    if chance.floor is None or chance.floor <= 0.0 or explanation.served.kind == "imported":
        return f"{words}."
    if propensity <= chance.floor * (1.0 + 1e-9):
        return f"{words}, the least that every eligible offer has."
    return f"{words}; the least that every eligible offer has is {_percent(chance.floor)}."


# -- texts -----------------------------------------------------------------------------------------------------------


def _quantity(explanation: DecisionExplanation, *, unit: bool = False) -> str:
    """Return the name of the expected reward."""
    if not _in_money(explanation):
        return _p_convert(explanation)
    words = f"expected {explanation.objective}"
    return f"{words}, {_safe(explanation.unit)}" if unit else words


def _p_convert(explanation: DecisionExplanation) -> str:
    return f"P({plain(explanation.event, 12)})"


def _in_money(explanation: DecisionExplanation) -> bool:
    return explanation.objective != "conversion"


def _unit(explanation: DecisionExplanation) -> str:
    return _safe(explanation.unit) if _in_money(explanation) else "percentage points"


def _scale(explanation: DecisionExplanation) -> float:
    return 1.0 if _in_money(explanation) else 100.0


def _interval_words(number: CredibleNumber, explanation: DecisionExplanation) -> str:
    if _says_nothing(number):
        return ""
    scale = _scale(explanation)
    return f" ({explanation.level:.0%} interval {_signed(number.low * scale)} to {_signed(number.high * scale)})"


def _number(number: CredibleNumber | None, *, percent: bool = False) -> str:
    if number is None:
        return "?"
    shown = _percent if percent else _plain_number
    if _says_nothing(number):
        return f"{shown(number.value)} (not known yet)"
    return f"{shown(number.value)} ({shown(number.low)} to {shown(number.high)})"


def _says_nothing(number: CredibleNumber) -> bool:
    width = number.high - number.low
    return not math.isfinite(width) or width > _UNBOUNDED * max(abs(number.value), 1e-12) + 1e3


def _plain_number(value: float) -> str:
    return f"{value:,.{_decimals(value)}f}" if math.isfinite(value) else "?"


def _decimals(value: float) -> int:
    """Return how many decimals a number is shown with: about three figures."""
    size = abs(value)
    return 0 if size >= 1_000 else 1 if size >= 100 else 2 if size >= 0.1 or not size else 3


def _signed(value: float) -> str:
    shown = _plain_number(value)
    return shown if value < 0.0 or shown == "?" else f"+{shown}"


def _percent(share: float) -> str:
    """Return a share as a percentage with three figures.

    >>> _percent(0.5106), _percent(0.00017857), _percent(1.0)
    ('51.1%', '0.0179%', '100%')
    """
    return f"{100.0 * share:.3g}%"


def _pairs(values: Mapping[str, object]) -> str:
    return ", ".join(f"{_safe(str(name))} {_safe(_value(value))}" for name, value in values.items())


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _safe(text: str) -> str:
    return plain(text, _LONGEST)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
