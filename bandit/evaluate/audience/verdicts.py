"""Verdicts on pairs of an option and a segment, each with its reason in one sentence."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bandit.evaluate.audience.results import AudienceFinding
from bandit.evaluate.diagnostics.target import MIN_EVENTS
from bandit.evaluate.verdict import too_few

if TYPE_CHECKING:
    from bandit.evaluate.audience.confirmation import PairEstimates
    from bandit.evaluate.audience.results import AudienceVerdict
    from bandit.ope import Estimate

CLOSE = 0.10
"""A share is "as assumed" where its interval contains the assumed one and is at most so wide on either side."""


@dataclass(frozen=True, slots=True)
class JudgedPair:
    """What a verdict is based on: the pair in words, what the baseline does, and the estimates.

    `who` names the baseline, `responders` those who respond, and `unit` what is gained, such as "EUR" or "conversions",
    empty for a reward. `population` and `assumed` are shares over the
    whole log, `decisions` the segment's decisions there. `fatal` is why the log cannot tell anything, None where it
    can, and `estimated` says whether propensities are estimates.
    """

    dimension: str
    option: str
    facts: tuple[str, ...]
    segment: str
    who: str
    responders: str
    unit: str
    population: float
    assumed: float | None
    decisions: int
    found: PairEstimates
    fatal: str | None
    estimated: bool

    def finding(self) -> AudienceFinding:
        """Return the row with its verdict."""
        verdict, reason = self._verdict()
        gain = self.found.gain
        total = replace(
            gain,
            value=gain.value * self.decisions,
            low=gain.low * self.decisions,
            high=gain.high * self.decisions,
            standard_error=gain.standard_error * self.decisions,
        )
        return AudienceFinding(
            dimension=self.dimension,
            option=self.option,
            facts=self.facts,
            segment=self.segment,
            population=self.population,
            assumed=self.assumed,
            share=self.found.share,
            should_get=self.found.should_get,
            gain=gain,
            total=total,
            confirmed=self.found.pair.confirmed,
            verdict=verdict,
            reason=f"{self.dimension} {self.option}: {reason}",
        )

    def _verdict(self) -> tuple[AudienceVerdict, str]:
        share, gain, assumed = self.found.share, self.found.gain, self.assumed
        unsupported = self._unsupported()
        if unsupported is not None:
            return "cannot tell", unsupported
        doubt = ", if the estimated propensities are right" if self.estimated else ""
        respond = f"of {self.responders} when everybody is offered it {_share(share)} are {self.segment}"
        if assumed is None:
            return "cannot tell", f"{self.who} give it to nobody, so there is no share to compare with; {respond}"
        given = f"{assumed:.0%} of those to whom {self.who} give it are {self.segment}"
        earn = f"giving it to them as well would {self._earns} {self._money()} per decision of theirs"
        if share.low > assumed and gain.low > 0.0:
            if self.found.pair.confirmed:
                return "surprise", f"{given}; {respond}; {earn}{doubt}"
            return "cannot tell", (
                f"{respond}, not {assumed:.0%}, and {earn}, but the search did not choose this pair, "
                "and only those it chooses are announced"
            )
        if gain.high < 0.0:
            loss = f"it would {self._earns} {self._money()} per decision of theirs"
            return "as assumed", f"{self.who} are right not to give it to more of {self.segment}: {loss}"
        around = share.low <= assumed <= share.high
        if around and share.high - share.low <= 2.0 * CLOSE:
            return "as assumed", f"{given}; {respond}"
        if around:
            return "cannot tell", f"{respond}, which may well be the {assumed:.0%} to whom {self.who} give it"
        if not math.isfinite(self.found.support.events):
            return "cannot tell", f"{respond}, not {assumed:.0%}, but {self.who} give it to all of them already"
        if share.high < assumed:
            return "cannot tell", f"{respond}, not {assumed:.0%}; see what else they respond to among the other options"
        return "cannot tell", (
            f"{respond}, not {assumed:.0%}, but whether it pays to give it to them as well cannot be told "
            f"({_bounds(gain)} per decision of theirs)"
        )

    def _unsupported(self) -> str | None:
        """Return why the log cannot tell anything of the pair, None where it can."""
        support = self.found.support
        if self.fatal is not None:
            return self.fatal
        if support.expected <= 0.0:
            return f"{self.segment} may never get it"
        if support.missing:
            return f"the log hardly ever gives it to some or all of {self.segment}"
        if too_few(self.found.share):
            return f"only {support.effective:.0f} effective decisions show it to {self.segment}"
        if support.events < MIN_EVENTS:
            return (
                f"only {support.events:.0f} responses of the rarer kind are to be expected where giving it to "
                f"{self.segment} differs from {self.who}"
            )
        if not math.isfinite(self.found.share.value):
            return "nobody responds to it"
        return None

    @property
    def _earns(self) -> str:
        return "bring" if self.unit == "conversions" else "earn"

    def _money(self) -> str:
        """Return the gain in words, such as "0.31 EUR more (+0.12 to +0.50)"."""
        gain = self.found.gain
        unit = f" {self.unit}" if self.unit else ""
        more = "more" if gain.value >= 0.0 else "less"
        return f"{abs(gain.value):,.{_decimals(gain)}f}{unit} {more} ({_bounds(gain)})"


def _share(share: Estimate) -> str:
    return f"{share.value:.0%} ({share.low:.0%} to {share.high:.0%})"


def _bounds(gain: Estimate) -> str:
    decimals = _decimals(gain)
    return f"{gain.low:+,.{decimals}f} to {gain.high:+,.{decimals}f}"


def _decimals(gain: Estimate) -> int:
    """Return how many decimals show two figures of the standard error."""
    error = gain.standard_error
    if not math.isfinite(error) or error <= 0.0:
        return 2
    return min(max(1 - math.floor(math.log10(error)), 0), 6)
