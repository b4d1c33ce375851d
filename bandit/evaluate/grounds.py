"""On what grounds a verdict rests: what estimated propensities leave open, and the reason in one sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bandit.evaluate.diagnostics import Finding
from bandit.evaluate.diagnostics.target import MAX_UNSUPPORTED, MIN_EVENTS, too_few_events
from bandit.evaluate.propensity.calibration import DETERMINISTIC_LOGGING
from bandit.evaluate.verdict import Verdict, verdict_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bandit.evaluate.propensity.calibration import PropensityFit
    from bandit.ope import Estimate


def of_estimates(calibration: PropensityFit | None) -> tuple[Finding, ...]:
    """Return what is to be said of estimated propensities, whoever is judged."""
    if calibration is None:
        return ()
    note = Finding("propensities", "doubt", calibration.note)
    if calibration.warning is None or calibration.deterministic:
        return (note,)
    return (Finding("propensities", "fatal", _bare(calibration.warning)), note)


def of_overlap(share: float, calibration: PropensityFit | None) -> tuple[Finding, ...]:
    """Return why estimated propensities cannot answer for a policy."""
    if calibration is None or share <= MAX_UNSUPPORTED:
        return ()
    if calibration.deterministic:
        return (Finding("overlap", "fatal", _bare(DETERMINISTIC_LOGGING)),)
    sentence = f"{share:.0%} of this policy's choices are offers that the old policy hardly made to such customers"
    return (Finding("overlap", "fatal", sentence),)


def _bare(sentence: str) -> str:
    return sentence.removeprefix("cannot tell: ")


def verdict_and_reason(
    is_baseline: bool,
    found: Sequence[Finding],
    difference: Estimate | None,
    baseline: str | None,
    compared: int,
    estimated: bool,
    events: float,
) -> tuple[Verdict | None, str | None]:
    """Return the verdict and the reason in one sentence.

    `events` is how many outcomes of the rarer kind are to be expected where policy and baseline differ.
    """
    fatal = next((each.sentence for each in found if each.severity == "fatal"), None)
    if fatal is not None:
        return "cannot tell", f"cannot tell: {fatal}"
    if is_baseline:
        return "the baseline", "the others are compared with it"
    if difference is None:
        return None, None
    verdict = verdict_of(difference)
    if events < MIN_EVENTS:
        return "cannot tell", f"cannot tell: {too_few_events(events, str(baseline))}"
    beside = f", wide enough for {compared} comparisons at once" if compared > 1 else ""
    beside += ", if the estimated propensities are right" if estimated else ""
    interval = f"{difference.low:+.4g} to {difference.high:+.4g} at {difference.level:.0%}{beside}"
    said = {
        "better": f"it earns {difference.value:+.4g} a decision against {baseline}, {interval}",
        "worse": f"it earns {difference.value:+.4g} a decision against {baseline}, {interval}",
        "no difference found": f"the difference to {baseline} may be anything from {interval}",
    }
    return verdict, said.get(verdict, "cannot tell: the difference has no finite value")
