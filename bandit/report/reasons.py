"""The explanation of a decision in words: as a view of plain texts, from which terminal and HTML are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bandit.report.numbers import count, counted
from bandit.report.reason_words import (
    capital,
    decimals_for,
    in_money,
    interval_words,
    p_convert_name,
    pairs_text,
    percentage,
    plain_number,
    quantity_name,
    safe,
    unit_name,
    unit_scale,
    with_interval,
)
from bandit.report.times import iso_minute

if TYPE_CHECKING:
    from bandit.explain.records import (
        DecisionExplanation,
        FiredSegment,
        LeadReasons,
    )

MOST_FACT_REASONS = 8
"""Most facts whose contributions are shown one by one; the rest is one row."""

TRANSFORM_WORDS = {"log": "logarithm", "rank": "rank"}
"""What a transformed numeric fact counts by, in words."""

_LIKELY = 0.8
"""Posterior probability from which an offer is called probably better; it is called better beyond the interval."""


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
                counted(each.n_combinations, "combination") if each.n_combinations else counted(each.n_offers, "offer"),
                safe(each.reason),
                f"rule {each.rule}, for everybody"
                if each.n_combinations
                else f"rule {each.rule}" + (f", as {safe(each.condition)}" if each.condition else ""),
            )
            for each in explanation.removals
        ),
        segment=() if explanation.segment is None else _segment(explanation.segment, explanation),
        offers=_offers(explanation),
        lead=_lead(explanation),
        reasons=reasons,
        reasons_title=title,
        chance=_chance(explanation),
        notes=tuple(safe(note) for note in explanation.notes),
    )


def _headline(explanation: DecisionExplanation) -> str:
    """Return what was decided and the main reason, in one sentence."""
    what = f'"{safe(explanation.label)}" was chosen'
    served = explanation.served
    if served.kind == "imported":
        return f"{what} by another program: the log was imported, so its reasons are not known."
    if served.fault is not None:
        return f"{what} as the fallback, because the policy could not be asked: {safe(served.fault)}."
    if served.kind == "random":
        return f"{what} at random: the customer is in the control group that gets any eligible offer."
    if served.kind == "holdout":
        return f"{what} since the customer is in the holdout, which always gets this offer."
    if served.kind == "fallback":
        return f"{what}: it is the fallback, since no policy served this customer."
    if explanation.segment is not None:
        return f"{what} {_segment_reason(explanation.segment, explanation)}."
    return _policy_headline(what, explanation)


def _policy_headline(what: str, explanation: DecisionExplanation) -> str:
    """Return the main reason of a policy's choice."""
    served, chance = explanation.served, explanation.chance
    if served.policy_kind == "uniform":
        return f"{what} at random: the policy gives every eligible offer the same probability."
    if served.policy_kind == "constant":
        return f"{what} since the policy gives everyone the same offer wherever it is eligible."
    if chance.is_best is None:
        return f"{what} by {safe(served.policy or 'the policy')}."
    quantity = quantity_name(explanation)
    if len(explanation.offers) == 1:
        return f"{what}: no other offer was eligible for this customer."
    if chance.is_best:
        return f"{what} because it has the highest {quantity} for this customer, by what was learned until then."
    return (
        f"{what} to explore: another offer has a higher {quantity} for this customer, by what was learned until then."
    )


def _segment_reason(segment: FiredSegment, explanation: DecisionExplanation) -> str:
    if segment.offer is None:
        return "at random, since no segment rule names an eligible offer"
    if segment.offer != explanation.label:
        return f"at random by segment rules, which draw {percentage(segment.exploration)} of their offers so"
    if segment.number is None:
        return "by segment rules, as the offer of those whom no segment names one for"
    name = f' ("{safe(segment.name)}")' if segment.name else ""
    return f"by segment rules: segment {segment.number}{name} names it"


def _overview(explanation: DecisionExplanation) -> tuple[tuple[str, str], ...]:
    served = explanation.served
    rows = [
        ("decision", f"{safe(explanation.decision_id)}, {iso_minute(explanation.time)} UTC"),
        ("offer", pairs_text(explanation.offer)),
        ("customer", safe(explanation.customer)),
        ("facts", pairs_text(explanation.facts) or "none known"),
        ("served", f"{safe(served.sentence)}{'' if served.step is None else _after(served.step)}"),
    ]
    if served.held_from is not None:
        rows.append(("held from", f"decision {safe(served.held_from)}"))
    return tuple(rows)


def _after(step: int) -> str:
    if not step:
        return " before it had learned anything"
    return f" after {count(step)} step{'s' if step > 1 else ''} of learning"


def _eligible(explanation: DecisionExplanation) -> str:
    n, every = explanation.n_eligible, explanation.n_offers
    if n == every:
        alone = f"All {count(every)} offers were eligible" if every > 1 else "The catalogue has this one offer"
        return f"{alone}; never offered are" if explanation.removals else f"{alone}."
    ending = "; removed were" if explanation.removals else "."
    return f"{count(n)} of {count(every)} offers {'was' if n == 1 else 'were'} eligible{ending}"


def _segment(segment: FiredSegment, explanation: DecisionExplanation) -> tuple[str, ...]:
    lines = [f"{capital(safe(segment.sentence))}{'' if segment.number else '.'}"]
    if segment.number is not None:
        name = f' "{safe(segment.name)}"' if segment.name else ""
        lines = [f"{capital(safe(segment.sentence))}:{name} {safe(segment.condition)}."]
    if segment.offer is not None and segment.offer != explanation.label:
        lines.append(
            f'It names "{safe(segment.offer)}"; the offer was drawn from the share of random offers '
            f"({percentage(segment.exploration)})."
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
    best = f"best {quantity_name(explanation)}"
    roles = {"chosen": "chosen", "runner-up": "runner-up", "best": best, "likely": "next likely"}
    rows = [
        ("", *(roles[each.role] for each in offers)),
        ("offer", *(safe(each.label) for each in offers)),
        ("drawn with", *("?" if each.probability is None else percentage(each.probability) for each in offers)),
    ]
    if any(each.reward is not None for each in offers):
        rows.append((quantity_name(explanation, unit=True), *(with_interval(each.reward) for each in offers)))
    if in_money(explanation) and any(each.p_convert is not None for each in offers):
        rows.append((p_convert_name(explanation), *(with_interval(each.p_convert, percent=True) for each in offers)))
    if any(each.revenue is not None for each in offers):
        rows.append((f"revenue if so, {safe(explanation.unit)}", *(with_interval(each.revenue) for each in offers)))
    return tuple(rows)


def _lead(explanation: DecisionExplanation) -> tuple[str, ...]:
    lead, offers = explanation.lead, explanation.offers
    if lead is None or len(offers) < 2:
        return ()
    chosen, other = offers[:2]
    name = "runner-up" if other.role == "runner-up" else "best offer"
    differences = [
        f"{safe(dimension)} {safe(chosen.offer[dimension])} instead of {safe(other.offer[dimension])}"
        for dimension in chosen.offer
        if chosen.offer[dimension] != other.offer[dimension]
    ]
    more = "more" if lead.reward.value >= 0.0 else "less"
    scale = unit_scale(explanation)
    size = f"{plain_number(abs(lead.reward.value) * scale)} {unit_name(explanation)}"
    sentence = (
        f"Against the {name} ({', '.join(differences)}) {size} {more} is expected of the chosen offer"
        f"{interval_words(lead.reward, explanation)}: {_sureness(lead, name, explanation.level)}."
    )
    return (sentence,)


def _sureness(lead: LeadReasons, name: str, level: float) -> str:
    """Return which of the two offers is better, and how sure; surely where the interval is on one side of 0."""
    better, sure = lead.p_better, (1.0 + level) / 2.0
    if better >= sure:
        return f"by the policy's belief it is better, with a probability of {percentage(better)}"
    if better >= _LIKELY:
        return f"it is probably better, with a probability of {percentage(better)}"
    if better > 1.0 - _LIKELY:
        return f"which of the two is better is not known yet ({percentage(better)} for the chosen one)"
    how = "probably better" if better > 1.0 - sure else "better"
    return f"the {name} is {how}, with a probability of {percentage(1.0 - better)}"


def _reasons(explanation: DecisionExplanation) -> tuple[tuple[ReasonRow, ...], str]:
    """Return the rows of what adds to the lead, and their title."""
    lead = explanation.lead
    if lead is None:
        return (), ""
    scale, facts = unit_scale(explanation), lead.facts
    decimals = decimals_for(max([abs(each.worth) for each in facts] + [abs(lead.base)], default=0.0) * scale)
    longest = max([abs(each.worth) for each in facts] + [abs(lead.base)], default=0.0) or 1.0
    rows = [
        ReasonRow(
            "a customer of average facts",
            f"{lead.base * scale:+,.{decimals}f}",
            "costs included" if in_money(explanation) else "",
            lead.base / longest,
        )
    ]
    for each in facts[:MOST_FACT_REASONS]:
        words = safe(each.fact) + (f" = {safe(each.value)}" if each.value else "")
        remark = f"mostly by {safe(each.strongest_part)}" if each.strongest_part != "any offer" else "of any offer"
        if each.transform:
            remark += f", by its {TRANSFORM_WORDS.get(each.transform, each.transform)}"
        rows.append(ReasonRow(words, f"{each.worth * scale:+,.{decimals}f}", remark, each.worth / longest))
    if len(facts) > MOST_FACT_REASONS:
        rest = sum(each.worth for each in facts[MOST_FACT_REASONS:])
        rows.append(
            ReasonRow(
                f"{len(facts) - MOST_FACT_REASONS} more facts", f"{rest * scale:+,.{decimals}f}", "", rest / longest
            )
        )
    rows.append(ReasonRow("together", f"{lead.reward.value * scale:+,.{decimals}f}", "", None))
    averaged = "this decision alone" if lead.averaged_over == 1 else f"the last {count(lead.averaged_over)} decisions"
    other = "runner-up" if explanation.offers[1].role == "runner-up" else "best offer"
    title = (
        f"What adds (+) to the lead over the {other}, or takes from it (-), in {unit_name(explanation)}; average "
        f"facts are those of {averaged}"
    )
    return tuple(rows), title


def _chance(explanation: DecisionExplanation) -> tuple[str, ...]:
    chance, served = explanation.chance, explanation.served
    if chance.propensity is None:
        return ("With which probability it was chosen is not known.",)
    sentences = [_how_likely(explanation)]
    if chance.n_possible is not None and chance.floor is not None and explanation.n_eligible > 1:
        rest = explanation.n_eligible - chance.n_possible
        words = f"{count(chance.n_possible)} of {count(explanation.n_eligible)} eligible offers had more than that"
        sentences.append(f"{words}." if rest else "Every eligible offer had more than that.")
    if chance.best_probability is not None and chance.is_best is False:
        sentences.append(f"The best offer would have been drawn with {percentage(chance.best_probability)}.")
    shown = [each for each in served.arms if each.weight > 0.0]
    if len(shown) > 1:
        parts = ", ".join(
            f"{safe(each.arm)} {percentage(each.weight)} x "
            f"{'?' if each.probability is None else percentage(each.probability)}"
            for each in shown
        )
        sentences.append(f"That is the sum over the arms that may serve this customer: {parts}.")
    if chance.recomputed is not None and abs(chance.recomputed - chance.propensity) <= 1e-9:
        sentences.append("Computed again from the log it is the same.")
    return tuple(sentences)


def _how_likely(explanation: DecisionExplanation) -> str:
    chance = explanation.chance
    propensity = float(chance.propensity or 0.0)
    words = f"At that moment this customer would have got this offer with a probability of {percentage(propensity)}"
    if chance.floor is None or chance.floor <= 0.0 or explanation.served.kind == "imported":
        return f"{words}."
    if propensity <= chance.floor * (1.0 + 1e-9):
        return f"{words}, the least that every eligible offer has."
    return f"{words}; the least that every eligible offer has is {percentage(chance.floor)}."
