"""What to do next after a verdict: one step a line, most with the command that does it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bandit.evaluate.diagnostics.target import MIN_EVENTS

if TYPE_CHECKING:
    from bandit.evaluate import Evaluation, PolicyEvaluation
    from bandit.report.html.contents import ReportContents

_LEARNERS = {"thompson": "thompson", "vw": "vw", "vw-slates": "vw-slates"}


@dataclass(frozen=True, slots=True)
class NextStep:
    """One thing to do, and the command for it, empty where there is none."""

    text: str
    command: str = ""


def steps_after_lift(contents: ReportContents, verdict: str) -> tuple[NextStep, ...]:
    """Return what to do after a verdict on live groups."""
    name = shlex.quote(contents.source.name)
    if verdict == "better":
        return (
            NextStep(
                "Raise the policy's share of the customers, and keep a small group of today's rules: it goes on "
                "showing what the policy is worth."
            ),
            NextStep("See what serves whom now.", f"offer-bandit rollout show {name}"),
            *_by_segment(contents, name),
        )
    if verdict == "worse":
        return (
            NextStep("Return to the state before the last change of the roll-out.",
                     f"offer-bandit rollout rollback {name}"),
            NextStep("Or serve the fallback to everybody, from the next decision on.", f"offer-bandit kill {name}"),
            *_by_segment(contents, name),
        )  # fmt: skip
    wait = NextStep(
        "See when these groups will tell, and which shares tell soonest.",
        f"offer-bandit plan catalogue.toml --from {name} --lift 10%",
    )
    return (NextStep("Let the groups go on: looking again costs nothing, the interval holds at every look."), wait)


def _by_segment(contents: ReportContents, name: str) -> tuple[NextStep, ...]:
    """Return the step that looks at the lift by the first fact of the catalogue, none without facts."""
    fact = next(iter(contents.source.catalogue.facts), None)
    if fact is None:
        return ()
    return (
        NextStep(
            "Look at the same figures for one kind of customers at a time.",
            f"offer-bandit lift {name} --by {shlex.quote(fact)}",
        ),
    )


def steps_after_evaluation(
    contents: ReportContents, evaluation: Evaluation, best: PolicyEvaluation
) -> tuple[NextStep, ...]:
    """Return what to do after a verdict from the log alone."""
    name = shlex.quote(contents.source.name)
    match best.verdict:
        case "better":
            return _start(contents, name, best)
        case "worse":
            return (
                NextStep("Stay with the baseline; nothing was lost, since no customer has met the policy."),
                NextStep("See below in which segments and with which options the difference arises."),
            )
        case "no difference found":
            return (
                NextStep("See how many decisions tell a difference of the size that matters to you.",
                         f"offer-bandit plan catalogue.toml{_pilot(contents, name, best)}"),
                NextStep("Leave a larger share of offers to chance: random offers are what a log learns from."),
                NextStep("Or let customers tell: declare [groups] in the catalogue, the policy beside today's rules."),
            )  # fmt: skip
    return _cures(contents, evaluation, best, name)


def _start(contents: ReportContents, name: str, best: PolicyEvaluation) -> tuple[NextStep, ...]:
    word = _policy_word(contents, best)
    learns, stored = word in _LEARNERS, contents.source.store is not None
    steps = []
    if learns:
        steps.append(
            NextStep(
                "Let it learn from the whole log, into a database that can decide.",
                f"offer-bandit learn-offline {name}{_more(contents)} --policy {word} --into new.db",
            )
        )
    elif not stored:
        steps.append(NextStep("Import the log into a database that can decide.", "offer-bandit import --help"))
    database = "new.db" if learns or not stored else name
    measured = f" --from {name}" if stored else ""
    return (
        *steps,
        NextStep(
            "Declare [groups] in the catalogue, the policy beside today's rules, and see when lift will tell.",
            f'offer-bandit plan catalogue.toml{measured} --groups "policy=0.5,rules=0.5" --lift 10%',
        ),
        NextStep(
            "Start with a small share of the customers.",
            f"offer-bandit rollout set {database} --mode ramp --share 0.1",
        ),
    )


def _pilot(contents: ReportContents, name: str, best: PolicyEvaluation) -> str:
    """Return the options by which `plan` takes its variance from the log, where it is a database."""
    if contents.source.store is None:
        return " --explore 0.1"
    return f" --from {name} --policy {_policy_word(contents, best)}"


def _more(contents: ReportContents) -> str:
    """Return what else a command needs to read the log, with a space before it."""
    return f" {contents.source.arguments}" if contents.source.arguments else ""


def _cures(contents: ReportContents, evaluation: Evaluation, best: PolicyEvaluation, name: str) -> tuple[NextStep, ...]:
    """Return what would let the log tell, by what is wrong with it."""
    steps: list[NextStep] = []
    store = contents.source.store
    if store is not None and contents.source.written_by is None:
        several = [row.id for row in store.catalogues.policies()]
        if len(several) > 1:
            steps.append(
                NextStep(
                    f"The database has the decisions of {len(several)} policies, which together support little: judge "
                    "on those of one.",
                    f"offer-bandit report {name} --written-by {several[0]}",
                )
            )
    checks = {each.check for each in (*evaluation.findings, *best.findings) if each.severity == "fatal"}
    if checks & {"propensities", "overlap"}:
        steps.append(
            NextStep(
                "Log how probable each offer was. Rules that always give the same customer the same offer show nothing "
                "about any other: leave one decision in ten to chance, and log its probability."
            )
        )
    steps.append(
        NextStep(
            f"See how many decisions, at which share of random offers, it takes: at least {MIN_EVENTS:.0f} customers "
            "must have responded to what the policy would do otherwise.",
            "offer-bandit plan catalogue.toml --explore 0.1",
        )
    )
    steps.append(NextStep("Or compare live: declare [groups] in the catalogue, the policy beside today's rules."))
    return tuple(steps)


def _policy_word(contents: ReportContents, best: PolicyEvaluation) -> str:
    """Return how the policy is named on the command line, where it can be told."""
    policy = contents.options.policies.get(best.name)
    kind = "thompson" if policy is None else str(policy.spec().get("kind"))
    return _LEARNERS.get(kind, "POLICY")
