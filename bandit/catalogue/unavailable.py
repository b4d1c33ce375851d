"""Why no policy of a catalogue can choose an offer: an unknown option, a rule, or an option that is stopped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bandit.catalogue.catalogue import Catalogue
    from bandit.catalogue.eligibility import Rule

OTHER_DIMENSIONS = "an offer of other dimensions"
"""The words for an offer of a catalogue version that has other dimensions."""


@dataclass(frozen=True, slots=True)
class Unavailable:
    """Why an offer is not legal: the (dimension, option) pairs that are unknown, the numbers of rules, and words."""

    unknown: tuple[tuple[str, str], ...]
    rules: tuple[int, ...]
    words: str


def why_unavailable(catalogue: Catalogue, offer: Mapping[str, str]) -> Unavailable:
    """Return why an offer, of one option of each dimension, is not legal in a catalogue."""
    if set(offer) != set(catalogue.dimension_names):
        return Unavailable((), (), OTHER_DIMENSIONS)
    unknown = tuple(
        (dimension.name, offer[dimension.name])
        for dimension in catalogue.dimensions
        if offer[dimension.name] not in dimension.names
    )
    forbidding = [
        (number, rule.words)
        for number, rule in enumerate(catalogue.file.rules, start=1)
        if rule.when is None and rule.forbids(offer)
    ]
    if unknown:
        words = " with ".join(f"{name} {option}" for name, option in unknown)
    else:
        words = "; ".join(f"forbidden by rule {number} ({reason})" for number, reason in forbidding)
    return Unavailable(unknown, tuple(number for number, _ in forbidding), words)


def removed_by(catalogue: Catalogue, rule: Rule) -> str:
    """Return the words for an offer that a rule with a condition removes, or that is stopped."""
    if rule.number > len(catalogue.file.rules):
        return rule.reason
    return f"removed by rule {rule.number} ({rule.reason})"
