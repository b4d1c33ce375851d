"""Facts of which nothing is stored: rules read them when a decision is made, and the eligible offers are what is left.

In a log such a rule cannot be applied again. What it did is inferred from the eligible offers that were logged, so that
everything that is computed again of a decision sees the rules as they held.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import numpy as np

from bandit.domain import BoolArray, Contexts, FloatArray
from bandit.errors import CatalogueError

if TYPE_CHECKING:
    from bandit.catalogue.catalogue import Catalogue
    from bandit.catalogue.eligibility import Rule

MAX_UNSTORED_OFFERS = 1_000
"""Most offers of a catalogue with a rule on a fact that is not stored: with more, a policy searches by the rules that
held, and which of several did cannot be told from what they left."""


def check_unstored(rules: Sequence[Rule], n_offers: int, where: str) -> None:
    """Raise CatalogueError for a rule on a fact that is not stored in a catalogue of very many offers."""
    for rule in rules:
        if rule.when is not None and rule.when.unstored and n_offers > MAX_UNSTORED_OFFERS:
            name = min(rule.when.unstored)
            raise CatalogueError(
                f'{where}: rule {rule.number} reads "{name}", of which nothing is stored, and there are {n_offers:,} '
                f"offers (at most {MAX_UNSTORED_OFFERS:,} with such a rule): store it, or leave out options"
            )


def unread_facts(catalogue: Catalogue) -> tuple[str, ...]:
    """Return a sentence for each fact that is neither stored nor read by a rule."""
    read = {name for rule in catalogue.rules if rule.when is not None for name in rule.when.unstored}
    return tuple(
        f'nothing of the fact "{name}" is stored, and no rule reads it, so it does nothing: leave it out'
        for name in catalogue.unstored
        if name not in read
    )


def only_facts(contexts: Contexts, names: Collection[str]) -> Contexts:
    """Return contexts with some facts alone, themselves where they have no others."""
    if all(name in names for name in contexts.columns):
        return contexts
    columns = {name: column for name, column in contexts.columns.items() if name in names}
    text = {name: column for name, column in contexts.text.items() if name in names}
    return Contexts(contexts.n, columns, text, contexts.customers)


def with_inferred_rules(catalogue: Catalogue, contexts: Contexts, logged: BoolArray) -> Contexts:
    """Return n contexts from the log with a column for each rule on facts that are not stored: whether it held.

    `logged` (n or 1, N) are the offers that were eligible. Such a rule held where it explains why an offer is not among
    them: it forbids one that the other rules leave, and none that was eligible. Where the fallback alone was, the rules
    may have left nothing, and it does not count. Of a rule that changed nothing it is said that it did not hold.
    """
    hidden = [rule for rule in catalogue.rules if rule.when is not None and rule.when.unstored]
    known = contexts.columns.keys()
    hidden = [rule for rule in hidden if rule.when is not None and not rule.when.unstored <= known]
    if not hidden or not contexts.n:
        return contexts
    left, eligible = catalogue.eligible(contexts), logged
    if catalogue.fallback is not None:
        alone = logged[:, catalogue.fallback] & (logged.sum(axis=1) == 1)
        eligible = logged & ~alone[:, None]
    columns = dict(contexts.columns)
    for rule in hidden:
        explains = (left & ~logged & rule.forbids).any(axis=1) & ~(eligible & rule.forbids).any(axis=1)
        column: FloatArray = np.asarray(explains, dtype=np.float64)
        columns[f"rule {rule.number}"] = column
    return Contexts(contexts.n, columns, contexts.text, contexts.customers)
