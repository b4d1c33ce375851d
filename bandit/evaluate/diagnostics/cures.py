"""What to do where the verdict is "cannot tell"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

Cure: TypeAlias = Literal[
    "more decisions",
    "random share",
    "known propensities",
    "other baseline",
    "new assignment",
    "means",
    "later",
]
"""What would let a comparison be told, as a key."""

CURES: Mapping[Cure, str] = {
    "more decisions": (
        "collect more decisions, or leave more of them to chance: `offer-bandit plan` says how many it takes, from a "
        "log or with live [groups]"
    ),
    "random share": (
        "leave a share of the decisions to chance from now on, with exploration = 0.1 in the rules or random = 0.05 "
        "under [groups]"
    ),
    "known propensities": (
        'log the probability that each offer was drawn with, or set propensity = "unknown" in the mapping to have it '
        "estimated"
    ),
    "other baseline": "compare with a baseline that the log supports, such as --baseline logged",
    "new assignment": "find what biased the groups, then assign customers anew under another salt",
    "means": "compare by means, with --weights means",
    "later": "look again when the first windows have ended",
}
"""Each cure in words, as an imperative without a full stop."""


def cure_json(cure: Cure | None) -> dict[str, str] | None:
    """Return a cure as plain JSON values: its key and its sentence."""
    return None if cure is None else {"kind": cure, "sentence": CURES[cure]}
