"""Outcomes to learn from, read from the store for one catalogue."""

from __future__ import annotations

import numpy as np

from bandit.catalogue import Catalogue
from bandit.catalogue.offer_grid import MAX_DENSE_OFFERS
from bandit.domain import Outcomes, Previous
from bandit.store import CatalogueTranslation, DueColumns, OneDue, Store
from bandit.store.tables.learned_stages import stage_columns


class TrainingOutcomes:
    """Turns rows of the ledger into outcomes over one catalogue's offers."""

    def __init__(self, store: Store, catalogue: Catalogue) -> None:
        self._translation = CatalogueTranslation(store, catalogue)

    def of(self, due: DueColumns) -> tuple[DueColumns, Outcomes]:
        """Return the rows whose offers the catalogue has, and their outcomes with what was learned of each before."""
        catalogue = self._translation.catalogue
        # Policies for catalogues of more offers do not read which offers were eligible.
        rows, batch = self._translation.decisions(
            due.decisions, masks=catalogue.n_offers <= MAX_DENSE_OFFERS, stage=due.stage
        )
        kept = due if len(rows) == len(due) else due.take(rows)
        money, objective = catalogue.money_of(batch.offer), catalogue.objective
        every = np.arange(len(batch.offer))
        previous_reward = objective.reward(
            money, every, kept.previous_converted, kept.previous_revenue, kept.previous_value
        )
        previous = Previous(
            kept.is_update,
            kept.previous_converted,
            kept.previous_revenue,
            previous_reward,
            kept.previous_weight,
            stage_columns(kept.previous_stage, len(objective.stages)) if objective.stages else batch.stages,
        )
        return kept, Outcomes(batch, previous, kept.weight)

    def of_one(self, due: OneDue) -> Outcomes | None:
        """Return what `of` does for one outcome; None where the catalogue does not have its offer."""
        translation = self._translation
        catalogue = translation.catalogue
        batch = translation.one(due, masks=catalogue.n_offers <= MAX_DENSE_OFFERS)
        if batch is None:
            return None
        before = due.previous_converted, due.previous_revenue, due.previous_value
        reward = translation.reward_of_one(batch.offer.item(), *before)
        previous = Previous(
            np.array([due.is_update]),
            np.array([due.previous_converted]),
            np.array([due.previous_revenue]),
            np.array([reward]),
            np.array([due.previous_weight]),
            batch.stages,
        )
        return Outcomes(batch, previous, np.array([due.weight]))
