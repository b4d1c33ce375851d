"""The texts of a drafted catalogue, mapping and segment rules, with what was guessed as comments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bandit.logfiles.draft.toml_text import comment_line, entry, listing, toml_value

if TYPE_CHECKING:
    from bandit.logfiles.columns.number_style import NumberStyle
    from bandit.logfiles.draft.fact_drafts import FactDraft
    from bandit.logfiles.draft.offers import ForbidDraft, LeverDraft
    from bandit.logfiles.draft.practice import PracticeDraft
    from bandit.logfiles.draft.records import Guess, Roles

UNKNOWN_MEANS = (
    '"unknown" means that evaluate estimates from the facts how probable each offer was, which is right where offers '
    "depended on these facts alone, and that it says how well it fits"
)


@dataclass(frozen=True, slots=True, eq=False)
class Drafted:
    """All that the three files are written from; `propensities` are either one value or (offer, value) pairs."""

    file: str
    name: str
    roles: Roles
    delimiter: str
    levers: tuple[LeverDraft, ...]
    facts: tuple[FactDraft, ...]
    forbids: tuple[ForbidDraft, ...]
    suggestions: tuple[ForbidDraft, ...]
    practice: PracticeDraft
    propensity: str
    propensities: tuple[tuple[tuple[str, ...], str], ...]
    propensity_reason: str
    margin: float | None

    def offer(self, options: Sequence[str]) -> dict[str, str]:
        """Return an offer by dimension."""
        return {lever.name: option for lever, option in zip(self.levers, options, strict=True)}

    def reason_of(self, column: str | None, role: str = "") -> str:
        """Return why a column was given its role."""
        for guess in self.roles.guesses:
            if guess.column == column and (not role or guess.role == role):
                return guess.reason
        return ""


def catalogue_text(draft: Drafted) -> str:
    """Return the catalogue."""
    roles = draft.roles
    lines = [
        comment_line(f"Drafted from {draft.file} by `offer-bandit init --from`; every guess can be changed."),
        entry("name", draft.name),
        entry("currency", roles.currency or "EUR", "" if roles.currency else "not in the file; change it"),
        "",
        "[objective]",
        *_objective(draft),
        "",
        comment_line("What is known of a customer when the decision is made."),
        "[context]",
    ]
    for fact in draft.facts:
        value: dict[str, object] = {"type": fact.kind}
        if fact.values:
            value["values"] = list(fact.values)
        lines.append(entry(fact.name, value, "" if fact.values else draft.reason_of(fact.column)))
    lines += _left_out(roles.left_out)
    lines += ["", comment_line("An offer is one option of each dimension.")]
    for lever in draft.levers:
        lines += ["[[dimensions]]", entry("name", lever.name, draft.reason_of(lever.column, "offer").split(":")[0])]
        if any(lever.percent(option) for option in lever.options):
            lines.append(comment_line("rate: the share of the revenue that is given away, read from the option's name"))
        lines += listing("options", [_option(lever, option) for option in lever.options])
        lines.append("")
    lines += _rules(draft)
    lines += [
        comment_line("What is served when nothing else can be."),
        "[fallback]",
        *(entry(name, option) for name, option in draft.offer(draft.practice.otherwise).items()),
    ]
    return "\n".join(lines) + "\n"


def _objective(draft: Drafted) -> list[str]:
    outcome = draft.roles.outcome
    if outcome.revenue is None:
        lines = [entry("kind", "conversion", "conversion | revenue | profit | reward; the file has no money")]
    elif draft.margin is None:
        lines = [
            entry("kind", "revenue", "conversion | revenue | profit; for profit add margin = the share that is earned")
        ]
    else:
        lines = [entry("kind", "profit", "conversion | revenue | profit"), entry("margin", draft.margin)]
    lines.append(entry("event", outcome.event, "the event that converts"))
    lines.append(entry("window", "7d", "later events do not count; the file has one row a decision, so all of them do"))
    return lines


def _option(lever: LeverDraft, option: str) -> dict[str, object]:
    percent = lever.percent(option)
    if not percent:
        return {"name": option}
    return {
        "name": option,
        "rate": round(percent / 100.0, 6),
        "depth": int(percent) if percent.is_integer() else percent,
    }


def _left_out(left_out: Sequence[Guess]) -> list[str]:
    if not left_out:
        return []
    shown = [comment_line(f"{guess.column}: {guess.reason}") for guess in left_out[:40]]
    more = len(left_out) - 40
    return [comment_line("Left out:"), *shown, *([comment_line(f"and {more:,} more")] if more > 0 else [])]


def _rules(draft: Drafted) -> list[str]:
    lines: list[str] = []
    for rule, off in [*((rule, False) for rule in draft.forbids), *((rule, True) for rule in draft.suggestions)]:
        forbid = {name: list(options) for name, options in rule.forbid.items()}
        reason = f"never in the file, where at least {rule.expected:,.0f} rows were to be expected by chance"
        mark = "# " if off else ""
        if off:
            lines.append(comment_line("Perhaps a rule; take the # away if it is one:"))
        lines.append(f"{mark}[[rules]]")
        if rule.when is not None:
            lines.append(entry("when", rule.when, off=off))
        lines += [entry("forbid", forbid, off=off), entry("reason", reason, off=off), ""]
    return lines


def mapping_text(draft: Drafted) -> str:
    """Return the mapping."""
    roles = draft.roles
    lines = [comment_line(f"What the columns of {draft.file} mean; drafted by `offer-bandit init --from`.")]
    if draft.delimiter != ",":
        lines.append(entry("delimiter", draft.delimiter))
    lines += ["[columns]", *_columns(draft), *_numbers(roles.numbers)]
    lines += ["", "[context]", *(_fact_source(fact) for fact in draft.facts), "", "[offer]"]
    for lever in draft.levers:
        lines.append(entry(lever.name, _source(lever.column, lever.map)))
    for options, share in draft.propensities:
        lines += ["", "[[propensity]]", entry("offer", draft.offer(options)), entry("value", share)]
    lines += ["", "[[outcomes]]", *_outcome(draft)]
    return "\n".join(lines) + "\n"


def _columns(draft: Drafted) -> list[str]:
    """Return the lines of [columns]."""
    roles = draft.roles
    if roles.customer is None:
        lines = [entry("row_customer", value=True, comment=draft.reason_of("", "customer"))]
    else:
        lines = [entry("customer", roles.customer, draft.reason_of(roles.customer, "customer"))]
    if roles.decision_id is not None:
        lines.append(entry("decision_id", roles.decision_id))
    if roles.time is not None and roles.time_style is not None:
        lines.append(entry("time", roles.time, draft.reason_of(roles.time, "time")))
        if roles.time_style.time_format != "iso":
            lines.append(entry("time_format", roles.time_style.time_format))
        if roles.time_style.unit != "s":
            lines.append(entry("time_unit", roles.time_style.unit))
    lines.append(comment_line(f"propensity: {draft.propensity_reason}"))
    return lines if draft.propensities else [*lines, entry("propensity", draft.propensity)]


def _numbers(style: NumberStyle) -> list[str]:
    """Return the lines of [numbers], none where numbers are written plainly."""
    given = (("decimal", style.decimal, "."), ("thousands", style.thousands, ""))
    lists = (("signs", list(style.signs)), ("missing", list(style.missing)))
    lines = [entry(name, value) for name, value, usual in given if value != usual]
    lines += [entry(name, value) for name, value in lists if value]
    given_marks = (("brackets", style.brackets), ("trailing_minus", style.trailing_minus))
    lines += [entry(name, value) for name, value in given_marks if value]
    return ["", "[numbers]", *lines] if lines else []


def _fact_source(fact: FactDraft) -> str:
    return entry(fact.name, _source(fact.column, fact.map) if fact.map else fact.column)


def _source(column: str, table: Mapping[str, object]) -> dict[str, object]:
    return {"column": column} | ({"map": dict(table)} if table else {})


def _outcome(draft: Drafted) -> list[str]:
    outcome = draft.roles.outcome
    when: object = outcome.when
    if outcome.equals is not None:
        when = {"column": outcome.when, "equals": outcome.equals}
    elif outcome.above_zero:
        when = {"column": outcome.when, "above": 0}
    lines = [entry("event", outcome.event), entry("when", when, draft.reason_of(outcome.when, "outcome"))]
    if outcome.revenue is not None:
        lines.append(entry("revenue", outcome.revenue, draft.reason_of(outcome.revenue, "revenue")))
    return lines


def rules_text(draft: Drafted) -> str:
    """Return the segment rules."""
    practice = draft.practice
    lines = [
        comment_line(
            "Today's practice, with which policies are compared: the first segment that matches names the offer."
        ),
        comment_line(f"Drafted: {practice.reason}. Change it to what you do today."),
        entry("name", "today's practice" if practice.segments else _plain_name(draft)),
        "",
    ]
    for when, options in practice.segments:
        lines += [
            "[[segments]]",
            entry("name", when),
            entry("when", when),
            f"offer = {toml_value(draft.offer(options))}",
            "",
        ]
    lines += ["[otherwise]", *(entry(name, option) for name, option in draft.offer(practice.otherwise).items())]
    return "\n".join(lines) + "\n"


def _plain_name(draft: Drafted) -> str:
    return f"everybody: {', '.join(draft.practice.otherwise)}"
