"""What the ledger names, as outcomes that a policy learns."""

from __future__ import annotations

import numpy as np

from bandit.catalogue import Catalogue
from bandit.catalogue.offer_grid import MAX_DENSE_OFFERS
from bandit.domain import Outcomes, Previous
from bandit.store import CatalogueTranslation, DueColumns, Store


class LedgerOutcomes:
    """Reads the outcomes of one catalogue's decisions from one store."""

    def __init__(self, store: Store, catalogue: Catalogue) -> None:
        self._translation = CatalogueTranslation(store, catalogue)

    def of(self, due: DueColumns) -> tuple[DueColumns, Outcomes]:
        """Return the rows whose offers the catalogue has, and them as outcomes, each with what it was learned as."""
        catalogue = self._translation.catalogue
        # Policies that can do with more offers do not look at what was eligible.
        rows, batch = self._translation.decisions(due.decisions, masks=catalogue.n_offers <= MAX_DENSE_OFFERS)
        kept = due.take(rows)
        money, objective = catalogue.money_of(batch.offer), catalogue.objective
        every = np.arange(len(batch.offer))
        previous_reward = objective.reward(
            money, every, kept.previous_converted, kept.previous_revenue, kept.previous_value
        )
        previous = Previous(
            kept.is_update, kept.previous_converted, kept.previous_revenue, previous_reward, kept.previous_weight
        )
        return kept, Outcomes(batch, previous, kept.weight)
