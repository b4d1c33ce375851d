"""Segment rules over a catalogue: the conditions compiled, and the offers as their numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from bandit.catalogue.conditions import Condition, compile_condition
from bandit.catalogue.facts import Fact
from bandit.catalogue.group_schema import SegmentRulesFile
from bandit.domain import BoolArray, Contexts, IntArray
from bandit.errors import CatalogueError, OfferError

IsEligible = Callable[[int], BoolArray]
"""Returns for an offer's number in which of n rows it is eligible, (n,)."""


@dataclass(frozen=True, slots=True)
class CompiledSegment:
    """A condition, and the number of the offer of those for whom it holds."""

    condition: Condition
    offer: int


@dataclass(frozen=True, slots=True)
class CompiledSegments:
    """Segments in order, and the offers for those whom none names an eligible offer for, in order."""

    segments: tuple[CompiledSegment, ...]
    otherwise: tuple[int, ...]

    def named(self, contexts: Contexts, is_eligible: IsEligible) -> IntArray:
        """Return the (n,) offers of the first matching segment whose offer is eligible; -1 where there is none."""
        offer = np.full(contexts.n, -1, dtype=np.int64)
        for segment in self.segments:
            offer[(offer < 0) & segment.condition(contexts) & is_eligible(segment.offer)] = segment.offer
        for last in self.otherwise:
            offer[(offer < 0) & is_eligible(last)] = last
        return offer


def compile_segments(
    file: SegmentRulesFile,
    facts: Mapping[str, Fact],
    offer_index: Callable[[Mapping[str, str]], int],
    fallback: int | None,
    where: str,
) -> CompiledSegments:
    """Compile segment rules; CatalogueError for a condition or an offer that does not fit, or where nothing is named.

    `offer_index` returns the number of an offer and raises OfferError for one that is not legal.
    """

    def number_of(offer: Mapping[str, str], place: str) -> int:
        try:
            return offer_index(offer)
        except OfferError as fault:
            raise CatalogueError(f"{where}: {place}: {fault}") from fault

    segments = tuple(
        CompiledSegment(
            compile_condition(segment.when, facts, f"{where}: segment {number}"),
            number_of(segment.offer, f"segment {number}"),
        )
        for number, segment in enumerate(file.segments, start=1)
    )
    last = fallback if file.otherwise is None else number_of(file.otherwise, "otherwise")
    if not segments and last is None:
        raise CatalogueError(f"{where}: there is no segment, no `otherwise` and no fallback; name an offer")
    return CompiledSegments(segments, tuple(offer for offer in (last, fallback) if offer is not None))
