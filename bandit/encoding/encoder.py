"""The only encoder: context and offer to numbers, with the names of the columns (which VW gets too)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np

from bandit.catalogue import Catalogue, Dimension
from bandit.catalogue.facts import MISSING
from bandit.catalogue.offer_grid import MAX_DENSE_OFFERS
from bandit.domain import Contexts, FactoredColumns, FloatArray, IntArray
from bandit.encoding import binned_effects
from bandit.encoding.binned_effects import Curve

CLIP = 5.0
"""Standardised numeric facts are kept within this many scales, so that one outlier cannot drive a belief."""

CURVES = 2
"""The number of the group of context columns that are curves of numeric facts."""

MAX_PAIRS = 400
"""Most pair columns that are made by default."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How a numeric fact is standardised: (value - center) / scale."""

    center: float
    scale: float

    @staticmethod
    def of_plain(numbers: object) -> Scale:
        """Return the scale of two plain numbers; ValueError or TypeError where they are none."""
        center, scale = map(float, numbers)  # type: ignore[call-overload]  # what is no list is found out here
        if not (math.isfinite(center) and math.isfinite(scale) and scale > 0.0):
            raise ValueError("its scales are none")
        return Scale(center, scale)


def declared_scales(catalogue: Catalogue) -> dict[str, Scale]:
    """Return the scales that the catalogue declares."""
    return {
        name: Scale(fact.center, fact.scale)
        for name, fact in catalogue.facts.items()
        if fact.center is not None and fact.scale is not None
    }


def settle_scales(catalogue: Catalogue, contexts: Contexts) -> dict[str, Scale]:
    """Return a scale for every numeric fact: as declared, else mean and standard deviation over these contexts."""
    scales = declared_scales(catalogue)
    for name, fact in catalogue.facts.items():
        if fact.kind == "numeric" and name not in scales:
            column = contexts.columns[name]
            known = column[~np.isnan(column)]
            spread = float(known.std()) if len(known) else 0.0
            scales[name] = Scale(float(known.mean()) if len(known) else 0.0, spread if spread > 0 else 1.0)
    return scales


def settle_curves(catalogue: Catalogue, contexts: Contexts, scales: Mapping[str, Scale]) -> dict[str, Curve]:
    """Return the curves of the numeric facts whose values over these contexts have steps beyond a straight line."""
    values = {}
    for name, fact in catalogue.facts.items():
        if fact.kind == "numeric":
            column = contexts.columns[name]
            x = (column[~np.isnan(column)] - scales[name].center) / scales[name].scale
            values[name] = np.clip(x, -CLIP, CLIP)
    return binned_effects.settle(values)


@dataclass(frozen=True, slots=True, eq=False)
class OfferColumns:
    """The N offers as numbers.

    `shared` has the K columns of an offer as sums over its options: one an option (one-hot), then one a numeric
    attribute, divided by its largest size.
    `owner` is (K,): columns with the same number are options of one dimension, or
    one attribute; `owner_names` has their names. `pairs` is (N, P): one column a pair of options of two dimensions
    that some legal offer has.
    """

    shared: FactoredColumns
    main_names: tuple[str, ...]
    owner: IntArray
    owner_names: tuple[str, ...]
    pairs: FloatArray
    pair_names: tuple[str, ...]

    @property
    def main(self) -> FloatArray:
        """The (N, K) columns of all offers."""
        return self.shared[:]


def offer_columns(catalogue: Catalogue, pairs: bool | Sequence[tuple[str, str]] = True) -> OfferColumns:
    """Return the columns of all offers; `pairs` chooses the pairs of dimensions (all, none, or those named).

    All pairs are taken only while they make no more than MAX_PAIRS columns. A dimension without numeric attributes
    whose options differ in `rate` has the rate for one: how deep a discount is orders its options.
    """
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
    by_option = tuple(np.split(np.concatenate(columns, axis=1), starts[1:-1]))

    pair_columns: list[FloatArray] = []
    pair_names: list[str] = []
    spans = dict(zip(catalogue.dimension_names, pairwise(starts.tolist()), strict=True))
    wanted = list(combinations(catalogue.dimension_names, 2)) if pairs is True else list(pairs or [])
    offers = catalogue.options
    at = {name: place for place, name in enumerate(catalogue.dimension_names)}
    if pairs is True and _n_pairs(catalogue, wanted) > MAX_PAIRS:
        wanted = []
    for one, other in wanted:
        for left in range(*spans[one]):
            for right in range(*spans[other]):
                has_left = offers[:, at[one]] == left - spans[one][0]
                column = has_left & (offers[:, at[other]] == right - spans[other][0])
                if column.any():
                    pair_columns.append(column.astype(np.float64))
                    pair_names.append(f"{names[left]}&{names[right]}")
    table = np.column_stack(pair_columns) if pair_columns else np.zeros((catalogue.n_offers, 0))
    return OfferColumns(
        FactoredColumns(offers, by_option),
        tuple(names),
        np.array(owner, dtype=np.int64),
        tuple(owner_names),
        table,
        tuple(pair_names),
    )


def _n_pairs(catalogue: Catalogue, wanted: Sequence[tuple[str, str]]) -> int:
    """Return how many pairs of options of these dimensions some legal offer has."""
    sizes = {dimension.name: len(dimension.options) for dimension in catalogue.dimensions}
    if catalogue.n_offers > MAX_DENSE_OFFERS:  # too many to look through for the pairs that rules leave none of
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


@dataclass(frozen=True, slots=True)
class ContextGroup:
    """Context columns of one kind; `share` is how strong their effects are expected to be beside those of facts."""

    name: str
    share: float = 1.0


class Encoder:
    """Contexts and offers of one catalogue as numbers, under scales that do not move.

    Context columns, in order: the intercept; for a categorical fact one column a value, one for values unseen
    ("other") and one for missing; for a numeric fact its standardised value (0 where missing) and one for missing;
    for a boolean fact its value as -1 or 1 (0 where missing) and one for missing. At the end, those of the `curves` of
    numeric facts (0 where missing).
    """

    def __init__(
        self,
        catalogue: Catalogue,
        scales: Mapping[str, Scale] | None = None,
        pairs: bool | Sequence[tuple[str, str]] = True,
        curves: Mapping[str, Curve] | None = None,
    ) -> None:
        self.catalogue = catalogue
        self.curves = dict(curves or {})
        self.scales = dict(declared_scales(catalogue) if scales is None else scales)
        self.offers = offer_columns(catalogue, pairs)
        names = ["intercept"]
        for name, fact in catalogue.facts.items():
            if fact.kind == "categorical":
                names += [f"{name}={value}" for value in fact.values] + [f"{name}=other"]
            else:
                names.append(name)
            names.append(f"{name}=missing")
        plain = len(names)
        self._curve_starts: dict[str, int] = {}
        for name, curve in self.curves.items():
            self._curve_starts[name] = len(names)
            names += [f"{name}~{number}" for number in range(1, curve.n_columns + 1)]
        self.context_names = tuple(names)
        self.context_groups = (ContextGroup("everybody"), ContextGroup("facts"), ContextGroup("curves", 0.25))
        self.context_group: IntArray = np.minimum(np.arange(len(names)), 1)
        self.context_group[plain:] = CURVES

    @property
    def n_context(self) -> int:
        """The number of context columns, d."""
        return len(self.context_names)

    @property
    def settled(self) -> bool:
        """Whether every numeric fact has its scale."""
        return all(fact.kind != "numeric" or name in self.scales for name, fact in self.catalogue.facts.items())

    def context_matrix(self, contexts: Contexts, bent: bool = True) -> FloatArray:
        """Return the (n, d) context columns; a numeric fact that has no scale yet is taken as it is.

        Unless `bent`, the columns of curves are left at 0: who has no use for them need not wait for them.
        """
        if contexts.n == 1:
            return self._row(contexts, bent)
        matrix = np.zeros((contexts.n, self.n_context))
        matrix[:, 0] = 1.0
        at = 1
        for name, fact in self.catalogue.facts.items():
            column = contexts.columns[name]
            if fact.kind == "categorical":
                width = len(fact.values) + 2
                codes = np.where(column == MISSING, width - 1, column).astype(np.int64)
                matrix[np.arange(contexts.n), at + codes] = 1.0
                at += width
                continue
            missing = np.isnan(column)
            if fact.kind == "boolean":
                values = 2.0 * column - 1.0
            else:
                scale = self.scales.get(name, Scale(0.0, 1.0))
                values = np.clip((column - scale.center) / scale.scale, -CLIP, CLIP)
            matrix[:, at] = np.where(missing, 0.0, values)
            matrix[:, at + 1] = missing
            at += 2
            if bent and name in self.curves:
                start, curve = self._curve_starts[name], self.curves[name]
                matrix[~missing, start : start + curve.n_columns] = curve.columns(
                    np.asarray(values[~missing], dtype=np.float64)
                )
        return matrix

    def _row(self, contexts: Contexts, bent: bool) -> FloatArray:
        """The same for one context, where setting single numbers is several times quicker than whole columns."""
        row = [0.0] * self.n_context
        row[0] = 1.0
        at = 1
        for name, fact in self.catalogue.facts.items():
            value = contexts.columns[name].item()
            if fact.kind == "categorical":
                width = len(fact.values) + 2
                row[at + (width - 1 if value == MISSING else int(value))] = 1.0
                at += width
                continue
            if math.isnan(value):
                row[at + 1] = 1.0
            elif fact.kind == "boolean":
                row[at] = 2.0 * value - 1.0
            else:
                scale = self.scales.get(name, Scale(0.0, 1.0))
                row[at] = min(max((value - scale.center) / scale.scale, -CLIP), CLIP)
                if bent and name in self.curves:
                    start, curve = self._curve_starts[name], self.curves[name]
                    row[start : start + curve.n_columns] = curve.row(row[at])
            at += 2
        return np.array([row])
