"""Verdicts as people read them: a sign, the verdict and its reason in one sentence, and what would help."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bandit.evaluate.diagnostics.cures import CURES
from bandit.report.layout import SIGN_STYLES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bandit.evaluate.diagnostics.cures import Cure

CANNOT_TELL = "cannot tell"

SIGNS: Mapping[str, str] = {"better": "+", "worse": "-", CANNOT_TELL: "?", "no difference found": "="}
"""The sign of each verdict, so that it can be read without its colour."""


@dataclass(frozen=True, slots=True)
class VerdictOn:
    """A verdict on something by its name, the reason as its result gives it, and the cure where there is one."""

    name: str
    verdict: str | None
    reason: str | None
    cure: Cure | None = None


def verdict_sentences(verdicts: Iterable[VerdictOn]) -> list[str]:
    """Return one sentence a verdict, which begins with its sign.

    What would help where nothing can be told is said with the first verdict that it would help, and a reason that
    several verdicts share with the first of them.

    >>> verdict_sentences([VerdictOn("a", "cannot tell", "cannot tell: why"), VerdictOn("b", "better", "it earns 2")])
    ['? a: cannot tell - why.', '+ b: better - it earns 2.']
    """
    lines, fatal, cures = [], set(), set()
    for each in verdicts:
        reason = str(each.reason).removeprefix(f"{CANNOT_TELL}: ")
        if each.verdict == CANNOT_TELL:
            known = reason in fatal
            fatal.add(reason)
            reason = "for the same reason" if known else reason
            if each.cure is not None and each.cure not in cures:
                cures.add(each.cure)
                reason = f"{reason}; {CURES[each.cure]}"
        lines.append(f"{SIGNS.get(str(each.verdict), ' ')} {each.name}: {each.verdict} - {reason}.")
    return lines


def signed_cell(verdict: str | None) -> str:
    """Return a verdict with its sign and in its colour, as a cell of a table."""
    if verdict is None or verdict not in SIGNS:
        return verdict or ""
    sign = SIGNS[verdict]
    return f"[{SIGN_STYLES[sign]}]{sign} {verdict}[/{SIGN_STYLES[sign]}]"
