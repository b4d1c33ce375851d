"""The encoder: contexts and offers as columns of numbers with names, the input of every model including VW."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bandit.catalogue import Catalogue
from bandit.catalogue.facts import MISSING
from bandit.domain import Contexts, FloatArray, IntArray
from bandit.encoding.binned_effects import BinnedEffects
from bandit.encoding.offer_columns import offer_columns
from bandit.encoding.scales import CLIP, FactScale, declared_scales
from bandit.encoding.shapes import FactShape

BINNED_GROUP = 2
"""The number of the group of context columns that are binned effects of numeric facts."""

_UNSCALED = FactScale(0.0, 1.0)


@dataclass(frozen=True, slots=True)
class ContextGroup:
    """A group of context columns; `share` is the prior deviation of their effects relative to that of facts."""

    name: str
    share: float = 1.0


class Encoder:
    """Encodes contexts and offers of one catalogue as numbers, under fixed scales.

    Context columns, in order: the intercept; for a categorical fact one column a value, one for values unseen
    ("other") and one for missing; for a numeric fact its standardised value (0 where missing) and one for missing;
    for a boolean fact its value as -1 or 1 (0 where missing) and one for missing. Last come the columns of the
    `binned_effects` of numeric facts (0 where missing). Numeric facts that have one of the `shapes` are transformed
    before they are standardised. A value beyond a fact's declared bounds is read as the bound, or as missing.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        scales: Mapping[str, FactScale] | None = None,
        pairs: bool | Sequence[tuple[str, str]] = True,
        binned_effects: Mapping[str, BinnedEffects] | None = None,
        shapes: Mapping[str, FactShape] | None = None,
    ) -> None:
        self.catalogue = catalogue
        # In the catalogue's order, as when they were fitted: a state that was written has them by name.
        fitted = binned_effects or {}
        self.binned_effects = {name: fitted[name] for name in catalogue.facts if name in fitted}
        self.scales = dict(declared_scales(catalogue) if scales is None else scales)
        self.shapes = dict(shapes or {})
        self.offers = offer_columns(catalogue, pairs)
        self._bounded = frozenset(name for name, fact in catalogue.facts.items() if fact.is_bounded)
        names, owners = ["intercept"], [-1]
        for place, (name, fact) in enumerate(catalogue.facts.items()):
            if fact.kind == "categorical":
                names += [f"{name}={value}" for value in fact.values] + [f"{name}=other"]
            else:
                names.append(name)
            names.append(f"{name}=missing")
            owners += [place] * (len(names) - len(owners))
        first_binned = len(names)
        self._binned_starts: dict[str, int] = {}
        for name, effects in self.binned_effects.items():
            self._binned_starts[name] = len(names)
            names += [f"{name}~{number}" for number in range(1, effects.n_columns + 1)]
            owners += [list(catalogue.facts).index(name)] * effects.n_columns
        self.context_names = tuple(names)
        self.context_groups = (ContextGroup("everybody"), ContextGroup("facts"), ContextGroup("binned effects", 0.25))
        self.context_fact: IntArray = np.array(owners, dtype=np.int64)
        """The place of each column's fact among the catalogue's facts, (d,); -1 for the intercept."""
        self.context_group: IntArray = np.minimum(np.arange(len(names)), 1)
        self.context_group[first_binned:] = BINNED_GROUP

    @property
    def n_context(self) -> int:
        """The number of context columns, d."""
        return len(self.context_names)

    def context_matrix(self, contexts: Contexts, binned: bool = True) -> FloatArray:
        """Return the (n, d) context columns; a numeric fact that has no scale yet is not standardised.

        Without `binned`, the columns of binned effects are left at 0: a model that does not use them saves their time.
        """
        if contexts.n == 1:
            return self._row(contexts, binned)
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
            if name in self._bounded:
                column = fact.learned(np.asarray(column, dtype=np.float64))
            missing = np.isnan(column)
            if fact.kind == "boolean":
                values = 2.0 * column - 1.0
            else:
                numbers = np.asarray(column, dtype=np.float64)
                if name in self.shapes:
                    numbers = self.shapes[name].values(numbers)
                values = self.scales.get(name, _UNSCALED).standardised(numbers)
            matrix[:, at] = np.where(missing, 0.0, values)
            matrix[:, at + 1] = missing
            at += 2
            if binned and name in self.binned_effects:
                start, effects = self._binned_starts[name], self.binned_effects[name]
                matrix[~missing, start : start + effects.n_columns] = effects.columns(
                    np.asarray(values[~missing], dtype=np.float64)
                )
        return matrix

    def _row(self, contexts: Contexts, binned: bool) -> FloatArray:
        """Return the (1, d) columns of one context; setting single numbers is several times faster than columns."""
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
            if self._bounded and name in self._bounded:
                value = fact.learned_one(value)
            if math.isnan(value):
                row[at + 1] = 1.0
            elif fact.kind == "boolean":
                row[at] = 2.0 * value - 1.0
            else:
                if name in self.shapes:
                    value = self.shapes[name].value(value)
                scale = self.scales.get(name, _UNSCALED)
                row[at] = min(max((value - scale.center) / scale.scale, -CLIP), CLIP)
                if binned and name in self.binned_effects:
                    start, effects = self._binned_starts[name], self.binned_effects[name]
                    row[start : start + effects.n_columns] = effects.row(row[at])
            at += 2
        return np.array([row])
