"""The verdict card: the money against today's rules, with its interval, in one sentence, and what to do next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bandit.evaluate import LOGGED
from bandit.printable import decisions_that_count
from bandit.report.html.next_steps import NextStep, steps_after_evaluation, steps_after_lift
from bandit.report.html.numbers import RewardWords, between, bounds, middle, percent
from bandit.report.html.section import sentence, tone_of
from bandit.report.numbers import count

if TYPE_CHECKING:
    from bandit.evaluate import Evaluation, PolicyEvaluation
    from bandit.evaluate.lift_log import LiftReport
    from bandit.evaluate.lift_results import LiftRow
    from bandit.ope import Estimate
    from bandit.report.html.contents import ReportContents
    from bandit.report.html.section import Tone

_HEADLINES = {
    "better": "{group} earns more than {baseline}",
    "worse": "{group} earns less than {baseline}",
    "no difference found": "No difference found between {group} and {baseline}",
    "cannot tell": "This log cannot tell",
}

_POLICY_GROUP = "policy"


@dataclass(frozen=True, slots=True)
class CardFigure:
    """One amount of the card: what it is per, the amount with its unit, and its interval."""

    per: str
    amount: str
    interval: str


@dataclass(frozen=True, slots=True)
class VerdictCard:
    """The card: its verdict, headline and sentence, the amounts (none where nothing can be told), and what to do.

    `also` is a finding besides the verdict that its reader should not miss, empty where there is none.
    """

    verdict: str
    tone: Tone
    headline: str
    sentence: str
    figures: tuple[CardFigure, ...]
    basis: str
    steps: tuple[NextStep, ...]
    also: str = ""


def verdict_card(contents: ReportContents) -> VerdictCard:
    """Return the card: about the lift of live groups where there are any, else about the best policy judged."""
    lift = contents.lift.value
    if lift is not None and (row := headline_row(lift)) is not None:
        return _of_lift(contents, lift, row)
    if contents.evaluation.value is not None:
        return _of_evaluation(contents, contents.evaluation.value)
    reason = sentence(contents.evaluation.reason)
    return VerdictCard("cannot tell", "unknown", _HEADLINES["cannot tell"], reason, (), "", ())


def headline_row(report: LiftReport) -> LiftRow | None:
    """Return the comparison that the card is about: of the group "policy" where it is compared, else the first."""
    rows = report.lift.verdicts
    return next((row for row in rows if row.group == _POLICY_GROUP), rows[0] if rows else None)


def best_policy(evaluation: Evaluation) -> PolicyEvaluation | None:
    """Return the policy that the card is about: the best of those called better, else the best that can be judged."""
    rows = [row for row in evaluation.rows if row.name != evaluation.baseline]
    order = {"better": 0, "no difference found": 1, "worse": 2}

    def rank(row: PolicyEvaluation) -> tuple[int, float]:
        value = 0.0 if row.together is None else row.together.value
        return order.get(row.verdict or "", 3), -value

    return min(rows, key=rank, default=None)


def _of_lift(contents: ReportContents, report: LiftReport, row: LiftRow) -> VerdictCard:
    shown = row.anytime if report.lift.options.look == "daily" else row.once
    unit = RewardWords.of(contents.source.catalogue)
    group = next(each for each in report.lift.groups if each.name == row.group)
    words = _words(
        row.verdict, f'group "{row.group}"', f'group "{row.baseline}"', shown, unit, row.reason, earned="earned"
    )
    total = f"in the {count(group.decisions)} decisions of this group so far"
    customers = sum(each.customers for each in report.lift.groups)
    decisions = sum(each.decisions for each in report.lift.groups)
    look = ", at every look" if report.lift.options.look == "daily" else ""
    together = f", for {len(report.lift.verdicts)} comparisons together" if len(report.lift.verdicts) > 1 else ""
    return VerdictCard(
        verdict=row.verdict,
        tone=tone_of(row.verdict),
        headline=_headline(row.verdict, f'group "{row.group}"', f'group "{row.baseline}"'),
        sentence=words,
        figures=_figures(row.verdict, shown, unit, group.decisions, total),
        basis=(
            f"Measured live: groups of customers side by side, {count(decisions)} settled decisions of "
            f"{count(customers)} customers. The interval holds with {percent(shown.level)} confidence{together}{look}."
        ),
        steps=steps_after_lift(contents, row.verdict),
    )


def _of_evaluation(contents: ReportContents, evaluation: Evaluation) -> VerdictCard:
    best, unit = best_policy(evaluation), RewardWords.of(contents.source.catalogue)
    if best is None:
        words = "The only policy given is the baseline, so there is nothing to compare it with."
        return VerdictCard("cannot tell", "unknown", _HEADLINES["cannot tell"], words, (), "", ())
    verdict, baseline = best.verdict or "cannot tell", _baseline(evaluation)
    known = verdict != "cannot tell" and best.together is not None
    words = sentence((best.reason or "").removeprefix("cannot tell: "))
    if known and best.together is not None:
        words = _words(verdict, best.name, baseline, best.together, unit, "", earned="would have earned")
    elif len(evaluation.rows) > 1:
        words = f"What {best.name} would earn cannot be told from this log: {words[:1].lower()}{words[1:]}"
    figures: tuple[CardFigure, ...] = ()
    if known and best.together is not None:
        decisions = round(evaluation.stands_for)
        total = f"in all {count(decisions)} decisions of this log"
        figures = _figures(verdict, best.together, unit, decisions, total)
    compared = sum(row.together is not None for row in evaluation.rows)
    together = f", for {compared} comparisons together" if compared > 1 else ""
    return VerdictCard(
        verdict=verdict,
        tone=tone_of(verdict),
        headline=_headline(verdict, best.name, baseline),
        sentence=words,
        figures=figures,
        basis=(
            "Estimated from the log alone, before the policy meets a customer: "
            f"{decisions_that_count(evaluation.n, evaluation.stands_for)}"
            f"{_of_customers(evaluation)}. The interval holds with {percent(evaluation.realised.level)} confidence"
            f"{together}."
        ),
        steps=steps_after_evaluation(contents, evaluation, best),
    )


def _baseline(evaluation: Evaluation) -> str:
    return "what was logged" if evaluation.baseline in {None, LOGGED} else str(evaluation.baseline)


def _of_customers(evaluation: Evaluation) -> str:
    return "" if evaluation.customers is None else f" of {count(evaluation.customers)} customers"


def _headline(verdict: str, group: str, baseline: str) -> str:
    words = _HEADLINES[verdict].format(group=group, baseline=baseline)
    return words[:1].upper() + words[1:]


def _words(
    verdict: str, group: str, baseline: str, shown: Estimate, unit: RewardWords, reason: str, *, earned: str
) -> str:
    """Return the verdict in one sentence."""
    if verdict == "cannot tell":
        return sentence(reason.removeprefix("cannot tell: "))
    interval = between(shown, signed=True)
    if verdict == "no difference found":
        return (
            f"Compared with {baseline}, {group} may earn anything {interval} {unit.amount} per decision: the "
            "difference, if there is one, is too small for this many decisions."
        )
    more = "more" if verdict == "better" else "less"
    size = middle(shown).lstrip("\N{MINUS SIGN}")
    return sentence(
        f"{group} {earned} {size} {unit.amount} {more} per decision than {baseline}: {interval}, with "
        f"{percent(shown.level)} confidence"
    )


def _figures(verdict: str, shown: Estimate, unit: RewardWords, n: int, total: str) -> tuple[CardFigure, ...]:
    """Return the amounts per 1,000 decisions, per decision, and in total; the first is the large one.

    Where no difference is found the interval is the amount: its middle would be taken for a result.
    """
    if verdict == "cannot tell":
        return ()
    sizes = (("per 1,000 decisions", 1000.0), ("per decision", 1.0), (total, float(n)))
    if verdict == "no difference found":
        return tuple(
            CardFigure(per, f"{bounds(shown, times=times, signed=True)} {unit.amount}", "") for per, times in sizes
        )
    return tuple(
        CardFigure(
            per, f"{middle(shown, times=times, signed=True)} {unit.amount}", bounds(shown, times=times, signed=True)
        )
        for per, times in sizes
    )
