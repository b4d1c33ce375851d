"""Sentences on the decisions and customers that a result leaves out, the same for every command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bandit.domain import OutsideReason
from bandit.printable import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

_SHOWN = 5

OFFER_UNKNOWN = "the catalogue does not have the offer, or a rule of it removes it"
STILL_OPEN = "still open (the window has not ended)"
SEVERAL_GROUPS = "seen in several groups"
OTHER_ASSIGNMENT = "made under other groups, shares or salt than the catalogue's"


def left_out_lines(*reasons: tuple[int, str, str]) -> list[str]:
    """Return one sentence for each (number, noun, reason) whose number is not 0.

    >>> left_out_lines((1, "decision", STILL_OPEN), (0, "customer", SEVERAL_GROUPS))
    ['1 decision was left out: still open (the window has not ended).']
    """
    return [f"{counted(n, noun, ('was', 'were'))} left out: {why}." for n, noun, why in reasons if n]


def outside_lines(
    n: int, total: int, reasons: Sequence[OutsideReason], *, counted_in: bool, costs_count: bool = False
) -> list[str]:
    """Return sentences on the `n` of all decisions whose offer no policy of the catalogue can choose; none without any.

    With `counted_in` they are part of the result, else they are left out of it. With `costs_count` the costs of offers
    are part of the reward, and those that are not known are mentioned.

    >>> outside_lines(2, 6, [OutsideReason("variant v2", 2)], counted_in=False)
    ['2 of 6 decisions have an offer that no policy of the catalogue can choose (variant v2); they are left out.']
    """
    if not n:
        return []
    named = [each.words if len(reasons) == 1 else f"{each.words}: {each.n:,}" for each in reasons[:_SHOWN]]
    if len(reasons) > _SHOWN:
        named.append(f"and {counted(len(reasons) - _SHOWN, 'more reason')}")
    what = f" ({'; '.join(named)})" if named else ""
    have, are = ("has", "it is") if n == 1 else ("have", "they are")
    effect = f"{are} left out"
    if counted_in:
        effect = "it counts as one" if n == 1 else "they count as decisions"
        effect += " that no policy here makes"
    of = f"{n:,} of {counted(total, 'decision')} {have}"
    lines = [f"{of} an offer that no policy of the catalogue can choose{what}; {effect}."]
    unknown = sum(each.n for each in reasons if not each.costs_known)
    if counted_in and costs_count and unknown:
        lines.append(
            f"The costs of the unknown options of {counted(unknown, 'decision')} are not known and count as 0 in "
            "what the log earned; declare these options with their costs and stopped = true."
        )
    return lines


def never_activated(event: str | None) -> str:
    """Return the reason of decisions on which the event that activates them was never recorded."""
    return f'the event "{event}" never came'


def group_unknown(name: str) -> str:
    """Return the reason of decisions of a group that is not compared."""
    return f'no share is known of the group "{name}"'
