"""Sentences on the decisions and customers that a result leaves out, the same for every command."""

from __future__ import annotations

from bandit.printable import counted

OFFER_UNKNOWN = "the offer is not in the catalogue"
STILL_OPEN = "still open (the window has not ended)"
SEVERAL_GROUPS = "seen in several groups"
OTHER_ASSIGNMENT = "made under other groups, shares or salt than the catalogue's"


def left_out_lines(*reasons: tuple[int, str, str]) -> list[str]:
    """Return one sentence for each (number, noun, reason) whose number is not 0.

    >>> left_out_lines((1, "decision", STILL_OPEN), (0, "customer", SEVERAL_GROUPS))
    ['1 decision was left out: still open (the window has not ended).']
    """
    return [f"{counted(n, noun, ('was', 'were'))} left out: {why}." for n, noun, why in reasons if n]


def never_activated(event: str | None) -> str:
    """Return the reason of decisions on which the event that activates them was never recorded."""
    return f'the event "{event}" never came'


def group_unknown(name: str) -> str:
    """Return the reason of decisions of a group that is not compared."""
    return f'no share is known of the group "{name}"'
