"""What a log has that cannot plausibly be, or could not be learned, as sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bandit.catalogue.facts import PLAUSIBLE_NUMBER
from bandit.encoding.scales import CLIP
from bandit.printable import counted, plain

if TYPE_CHECKING:
    from bandit.catalogue import Catalogue
    from bandit.catalogue.facts import Fact
    from bandit.store import Store

MOST_DECISIONS_NAMED = 20
"""Most decisions whose outcomes were set aside that are named for one policy."""

_LONGEST = 200


def implausible_lines(store: Store, catalogue_id: int, catalogue: Catalogue) -> list[str]:
    """Return sentences, without full stops, on facts and amounts beyond their bounds."""
    lines = []
    for fact in catalogue.facts.values():
        if fact.kind != "numeric":
            continue
        low, high = max(fact.min, -PLAUSIBLE_NUMBER), min(fact.max, PLAUSIBLE_NUMBER)
        found = store.implausible.of_fact(catalogue_id, fact.name, low, high)
        if found is not None:
            lines.append(
                f'the fact "{fact.name}" is beyond its bounds ({low:g} to {high:g}) in '
                f"{counted(found.n, 'decision')}, the furthest {found.furthest:g} in decision "
                f'"{plain(found.decision_id, _LONGEST)}": {_learned(fact)}'
            )
    largest = catalogue.objective.largest_amount
    amounts = store.implausible.of_amounts(largest)
    if amounts is not None:
        lines.append(
            f"{counted(amounts.n, 'event')} with an amount beyond {largest:g}, "
            f'the furthest {amounts.furthest:g} of decision "{plain(amounts.decision_id, _LONGEST)}": learned as '
            f"{largest:g}; record the event again with correct=True, or declare a plausible largest_amount under "
            "[objective]"
        )
    return lines


def set_aside_lines(store: Store) -> list[str]:
    """Return a sentence, without a full stop, on each decision whose outcome a policy could not learn."""
    lines = []
    for row in store.catalogues.policies():
        found = store.ledger.set_aside.decisions(row.id)
        lines += [
            f'policy {row.id} could not learn the outcome of decision "{plain(each.decision_id, _LONGEST)}" at step '
            f"{each.step} and set it aside: {plain(each.reason, _LONGEST)}"
            for each in found[:MOST_DECISIONS_NAMED]
        ]
        if len(found) > MOST_DECISIONS_NAMED:
            lines.append(f"policy {row.id} set {counted(len(found) - MOST_DECISIONS_NAMED, 'more outcome')} aside")
    return lines


def _learned(fact: Fact) -> str:
    if not fact.is_bounded:
        return (
            f"learned at {CLIP:g} standard deviations; declare min and max for the fact, or send nothing where it is "
            "not known"
        )
    if fact.outside == "missing":
        return "learned as missing"
    return "learned as the bound"
