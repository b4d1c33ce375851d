"""The declared roll-out and the sticky offers of a catalogue, ready to be used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bandit.catalogue.facts import Fact
from bandit.catalogue.group_schema import SegmentRulesFile
from bandit.catalogue.groups import Groups
from bandit.catalogue.live_schema import RolloutFile, RolloutMode
from bandit.catalogue.segments import compile_segments


@dataclass(frozen=True, slots=True)
class DeclaredRollout:
    """The roll-out that a catalogue begins with, and what serves where the policy does not.

    `rules` are the segment rules that serve in place of the policy; None where the fallback does. `salt` deals the
    customers to both.
    """

    mode: RolloutMode
    share: float
    rules: SegmentRulesFile | None
    salt: str


@dataclass(frozen=True, slots=True)
class StickyOffers:
    """How long a customer keeps an offer, in microseconds, and the events that end it before."""

    duration: int
    until: tuple[str, ...]


def build_rollout(
    file: RolloutFile,
    groups: Groups | None,
    facts: Mapping[str, Fact],
    offer_index: Callable[[Mapping[str, str]], int],
    fallback: int | None,
    where: str,
) -> DeclaredRollout:
    """Return the roll-out of a validated file; CatalogueError for rules that do not fit."""
    rules = file.rules
    if rules is not None:
        compile_segments(rules, facts, offer_index, fallback, f"{where}: [rollout]")
    elif groups is not None:
        rules = groups.rules
    return DeclaredRollout(file.mode, 1.0 if file.share is None else file.share, rules, file.salt)
