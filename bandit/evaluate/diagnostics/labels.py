"""Columns for all offers together, for each option and for each single offer, with their labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from bandit.catalogue import Catalogue
    from bandit.domain import FloatArray, IntArray


class OfferLabels:
    """A column for all offers together, one for each of the K options of a catalogue, and one for each of N offers."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._names = [f"{each.name}={option}" for each in catalogue.dimensions for option in each.names]
        blocks = [
            catalogue.options[:, place, None] == np.arange(len(each.options))
            for place, each in enumerate(catalogue.dimensions)
        ]
        self.options: FloatArray = np.concatenate(blocks, axis=1).astype(np.float64)
        """(N, K): 1 where the offer has the option."""

    def with_sums(self, by_offer: FloatArray | IntArray) -> FloatArray:
        """Return the (G, 1 + K + N) sums over all offers, by option and by offer, of (G, N) numbers by offer."""
        every = by_offer.sum(axis=1, keepdims=True)
        return np.concatenate([every, by_offer @ self.options, by_offer], axis=1)

    def kind(self, place: int) -> Literal["all", "option", "offer"]:
        """Return what a column of `with_sums` stands for."""
        if not place:
            return "all"
        return "option" if place <= len(self._names) else "offer"

    def label(self, place: int) -> str:
        """Return the name of a column of `with_sums`, as "discount=10" or, of an offer, "10 · email"."""
        kind = self.kind(place)
        if kind == "all":
            return "any offer at all"
        return (
            self._names[place - 1] if kind == "option" else f'"{self._catalogue.label(place - 1 - len(self._names))}"'
        )
