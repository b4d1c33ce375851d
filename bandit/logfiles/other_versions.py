"""Rows that a store has already under another version of the catalogue, where their decision ids were made."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bandit.catalogue import Catalogue
    from bandit.domain import FloatArray, IntArray
    from bandit.store import Store


def known_elsewhere(
    store: Store, catalogue: Catalogue, catalogue_id: int, ids: Sequence[str], offer: IntArray, propensity: FloatArray
) -> IntArray:
    """Return the numbers of decisions that are stored under another version of the catalogue, 0 for others, (n,).

    Such a decision is the row's where propensity and option of each dimension that both versions have are the same;
    what was eligible and what was known of the customer stay as they were stored.
    """
    found = np.zeros(len(ids), dtype=np.int64)
    for place, seq, version, stored_offer, stored_propensity in store.imports.of_other_versions(ids, catalogue_id):
        earlier = store.catalogues.get(version).offer(stored_offer)
        own = catalogue.offer(int(offer[place]))
        same = all(own[name] == option for name, option in earlier.items() if name in own)
        if same and stored_propensity == propensity[place]:
            found[place] = seq
    return found
