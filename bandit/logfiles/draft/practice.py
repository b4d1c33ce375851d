"""Today's practice as segment rules: what the log shows of it, or one offer for everybody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bandit.domain import IntArray
from bandit.errors import InputError
from bandit.logfiles.draft.profile import BLANK
from bandit.logfiles.draft.records import listed

if TYPE_CHECKING:
    from bandit.logfiles.draft.fact_drafts import FactDraft
    from bandit.logfiles.draft.offers import LeverDraft

_MOST_SEGMENTS = 10
_SHARE, _GAIN = 0.4, 0.1


@dataclass(frozen=True, slots=True)
class PracticeDraft:
    """Segments with their conditions and offers, the offer of all others, and where that is from."""

    segments: tuple[tuple[str, tuple[str, ...]], ...]
    otherwise: tuple[str, ...]
    reason: str


def find_practice(
    levers: Sequence[LeverDraft],
    offer: IntArray,
    offers: Sequence[tuple[int, ...]],
    facts: Sequence[FactDraft],
    *,
    random: bool,
    baseline: str | None,
) -> PracticeDraft:
    """Return the segment rules that a log shows: `offer` (n,) is which of the `offers` each row has.

    `baseline` is what the caller says it is. Where offers were drawn at random the log does not show a practice, and
    the rules give everybody no offer, or the most frequent one. InputError for a baseline that is no option.
    """
    names = [tuple(lever.options[place] for lever, place in zip(levers, each, strict=True)) for each in offers]
    if baseline is not None:
        return PracticeDraft((), _given(levers, names, baseline), "as you said")
    if not random and (found := _by_fact(offer, len(offers), facts)) is not None:
        fact, chosen, agree = found
        commonest = int(np.bincount(chosen[chosen >= 0]).argmax())
        segments = tuple(
            (condition, names[each])
            for condition, each in zip(fact.conditions, chosen.tolist(), strict=True)
            if each not in {commonest, -1}
        )
        reason = f'the most frequent offer by "{fact.column}", which {agree:.0%} of the rows have'
        return PracticeDraft(segments, names[commonest], reason)
    nones = [sum(lever.none == option for lever, option in zip(levers, each, strict=True)) for each in names]
    counts = np.bincount(offer, minlength=len(offers))
    usual = [place for place in range(len(names)) if counts[place] >= min(30, 0.01 * len(offer))] or [0]
    most = max(nones[place] for place in usual)
    best = next(place for place in usual if nones[place] == most)
    reason = "the option that says no offer" if most else "the most frequent offer"
    return PracticeDraft((), names[best], f"{reason}, for everybody; today's practice is not in the file")


def _given(levers: Sequence[LeverDraft], names: Sequence[tuple[str, ...]], text: str) -> tuple[str, ...]:
    """Return the offer that the caller means; the most frequent one where it names some dimensions only."""
    exact = [(lever.name, text) for lever in levers if text in lever.options]
    wanted = dict(exact) if len(exact) == 1 else dict(part.partition("=")[::2] for part in text.split(","))
    for name, option in wanted.items():
        known = next((lever.options for lever in levers if lever.name == name.strip()), ())
        if option.strip() not in known:
            every = [option for lever in levers for option in lever.options]
            raise InputError(
                f'--baseline "{text}" is no option; options are {listed(every)} (or write DIMENSION=OPTION)'
            )
    for each in names:
        if all(each[place] == wanted.get(lever.name, each[place]).strip() for place, lever in enumerate(levers)):
            return each
    raise InputError(f'--baseline "{text}": the log never has these options together; name an offer that it has')


def _by_fact(offer: IntArray, n_offers: int, facts: Sequence[FactDraft]) -> tuple[FactDraft, IntArray, float] | None:
    """Return the fact by whose values the offers differ most, the offer of each value, and the share of rows with it.

    None where no fact tells the offer clearly better than the most frequent offer does.
    """
    common = float(np.bincount(offer).max() / len(offer))
    best, best_share = None, common + _GAIN
    for fact in facts:
        if not 2 <= len(fact.conditions) <= _MOST_SEGMENTS:
            continue
        known = fact.codes != BLANK
        size = len(fact.conditions) * n_offers
        table = np.bincount(fact.codes[known] * n_offers + offer[known], minlength=size).reshape(-1, n_offers)
        chosen, hits = table.argmax(axis=1), table.max(axis=1)
        share = float(hits.sum() / max(len(offer), 1))
        if share > best_share and (hits >= _SHARE * table.sum(axis=1)).all() and len(set(chosen.tolist())) > 1:
            best, best_share = (fact, np.where(table.sum(axis=1) > 0, chosen, -1), share), share
    return best
