"""The columns of a catalogue's offers: their options, numeric attributes and pairs of options."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np

from bandit.catalogue import Catalogue, Dimension
from bandit.catalogue.offer_grid import MAX_DENSE_OFFERS
from bandit.domain import FactoredColumns, FloatArray, IntArray

MAX_PAIR_COLUMNS = 400
"""Most pair columns that are made by default."""


@dataclass(frozen=True, slots=True, eq=False)
class OfferColumns:
    """The columns of N offers.

    `shared` has the K columns of an offer as sums over its options: one an option (one-hot), then one a numeric
    attribute, divided by its largest absolute value.
    `owner` is (K,): columns with the same number are options of one dimension, or
    one attribute; `owner_names` has their names. `pairs` is (N, P): one column a pair of options of two dimensions
    that some legal offer has; `pair_columns` (P, 2) has the two options' places among the K columns.
    """

    shared: FactoredColumns
    main_names: tuple[str, ...]
    owner: IntArray
    owner_names: tuple[str, ...]
    pairs: FloatArray
    pair_names: tuple[str, ...]
    pair_columns: IntArray

    @property
    def main(self) -> FloatArray:
        """The (N, K) columns of all offers."""
        return self.shared[:]


@dataclass(frozen=True, slots=True, eq=False)
class OptionColumns:
    """The K columns of each option of all dimensions, (options, K), with the columns' names and owners.

    `starts` (dimensions + 1,) are the first options of each dimension, and their number.
    """

    table: FloatArray
    starts: IntArray
    names: tuple[str, ...]
    owner: IntArray
    owner_names: tuple[str, ...]


def option_columns(catalogue: Catalogue) -> OptionColumns:
    """Return the columns that each option adds to an offer that contains it."""
    names: list[str] = []
    owner = np.repeat(np.arange(len(catalogue.dimensions)), [len(one.options) for one in catalogue.dimensions]).tolist()
    owner_names = list(catalogue.dimension_names)
    for dimension in catalogue.dimensions:
        names += [f"{dimension.name}={option.name}" for option in dimension.options]
    starts = np.cumsum([0] + [len(dimension.options) for dimension in catalogue.dimensions])
    columns = [np.eye(int(starts[-1]))]
    for place, dimension in enumerate(catalogue.dimensions):
        for key, values in ordered_attributes(dimension).items():
            largest = np.abs(values).max()
            column = np.zeros((starts[-1], 1))
            column[starts[place] : starts[place + 1], 0] = values / largest if largest > 0 else values
            columns.append(column)
            names.append(f"{dimension.name}.{key}")
            owner.append(len(owner_names))
            owner_names.append(names[-1])
    table = np.concatenate(columns, axis=1)
    return OptionColumns(table, starts, tuple(names), np.array(owner, dtype=np.int64), tuple(owner_names))


def column_dimensions(catalogue: Catalogue) -> IntArray:
    """Return the place of each of the K columns' dimension, (K,): that of its option or of its numeric attribute."""
    places = np.arange(len(catalogue.dimensions))
    options = np.repeat(places, [len(one.options) for one in catalogue.dimensions])
    attributes = np.repeat(places, [len(ordered_attributes(one)) for one in catalogue.dimensions])
    return np.concatenate([options, attributes]).astype(np.int64)


def offer_columns(catalogue: Catalogue, pairs: bool | Sequence[tuple[str, str]] = True) -> OfferColumns:
    """Return the columns of all offers; `pairs` chooses the pairs of dimensions (all, none, or those named).

    All pairs are taken only while they make no more than MAX_PAIR_COLUMNS columns. A dimension without numeric
    attributes whose options differ in `rate` has the rate as its attribute: the depth of a discount orders its options.
    """
    options = option_columns(catalogue)
    by_option = tuple(np.split(options.table, options.starts[1:-1]))
    table, pair_names, pair_columns = _pair_columns(catalogue, options, pairs)
    return OfferColumns(
        FactoredColumns(catalogue.options, by_option),
        options.names,
        options.owner,
        options.owner_names,
        table,
        pair_names,
        pair_columns,
    )


def _pair_columns(
    catalogue: Catalogue, options: OptionColumns, pairs: bool | Sequence[tuple[str, str]]
) -> tuple[FloatArray, tuple[str, ...], IntArray]:
    """Return the (N, P) columns of the pairs of options that some legal offer has, their names and options (P, 2)."""
    columns: list[FloatArray] = []
    names: list[str] = []
    places: list[tuple[int, int]] = []
    spans = dict(zip(catalogue.dimension_names, pairwise(options.starts.tolist()), strict=True))
    wanted = list(combinations(catalogue.dimension_names, 2)) if pairs is True else list(pairs or [])
    offers = catalogue.options
    at = {name: place for place, name in enumerate(catalogue.dimension_names)}
    if pairs is True and _n_pairs(catalogue, wanted) > MAX_PAIR_COLUMNS:
        wanted = []
    for one, other in wanted:
        for left in range(*spans[one]):
            for right in range(*spans[other]):
                has_left = offers[:, at[one]] == left - spans[one][0]
                column = has_left & (offers[:, at[other]] == right - spans[other][0])
                if column.any():
                    columns.append(column.astype(np.float64))
                    names.append(f"{options.names[left]}&{options.names[right]}")
                    places.append((left, right))
    table = np.column_stack(columns) if columns else np.zeros((catalogue.n_offers, 0))
    return table, tuple(names), np.array(places, dtype=np.int64).reshape(-1, 2)


def _n_pairs(catalogue: Catalogue, wanted: Sequence[tuple[str, str]]) -> int:
    """Return how many pairs of options of these dimensions some legal offer has; of very many offers an upper bound."""
    sizes = {dimension.name: len(dimension.options) for dimension in catalogue.dimensions}
    if catalogue.n_offers > MAX_DENSE_OFFERS:  # a pass over all offers would take too long; rules are ignored
        return sum(sizes[one] * sizes[other] for one, other in wanted)
    at = {name: place for place, name in enumerate(catalogue.dimension_names)}
    n = 0
    for one, other in wanted:
        both = catalogue.options[:, at[one]] * sizes[other] + catalogue.options[:, at[other]]
        n += int(np.count_nonzero(np.bincount(both)))
    return n


def ordered_attributes(dimension: Dimension) -> dict[str, FloatArray]:
    """Return the numeric attributes that order a dimension's options, by name: one value an option."""
    keys = sorted({key for option in dimension.options for key in option.attributes})
    found = {key: np.array([option.attributes.get(key, 0.0) for option in dimension.options]) for key in keys}
    rates = np.array([option.rate for option in dimension.options])
    return found or ({"rate": rates} if len(np.unique(rates)) > 1 else {})
