"""The encoder: contexts and offers as columns of numbers with names, the input of every model including VW."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bandit.catalogue import Catalogue
from bandit.catalogue.facts import MISSING, Fact
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


@dataclass(frozen=True, slots=True)
class _RowSteps:
    """How one context is encoded, a step a fact: its name, its first column, and what its kind needs.

    Numeric facts: center, scale, transform, and the fact if it has bounds; categorical facts: the column of a missing
    value; binned effects: the numeric fact's column and the first one of the effects.
    """

    numeric: list[tuple[str, int, float, float, FactShape | None, Fact | None]]
    categorical: list[tuple[str, int, int]]
    boolean: list[tuple[str, int]]
    binned: list[tuple[int, int, BinnedEffects]]


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
                # A rotation of the key changes hashes, and not their order.
                values = map(str, range(len(fact.values))) if fact.hashed else fact.values
                names += [f"{name}={value}" for value in values] + [f"{name}=other"]
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
        self.n_context = len(names)
        """The number of context columns, d."""
        self._steps: _RowSteps | None = None

    def fix_scale(self, name: str, scale: FactScale, shape: FactShape | None) -> None:
        """Give a numeric fact the scale and, with `shape`, the transform that it has from now on."""
        self.scales[name] = scale
        if shape is not None:
            self.shapes[name] = shape
        self._steps = None

    def shared(self) -> Iterator[object]:
        """Yield the parts that never change, so that a copy may share them."""
        yield from (self.offers, self.context_names, self.context_groups, self.context_fact, self.context_group)
        yield from (self.binned_effects, self._binned_starts, self._row_steps, *self.scales.values())

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
        columns, steps = contexts.columns, self._row_steps
        row = [0.0] * self.n_context
        row[0] = 1.0
        for name, at, center, scale, shape, fact in steps.numeric:
            value = columns[name].item()
            if value != value:  # noqa: PLR0124 - missing; `math.isnan` costs several times as much
                row[at + 1] = 1.0
                continue
            if fact is not None:
                value = fact.learned_one(value)
                if value != value:  # noqa: PLR0124 - beyond the bounds of a fact that is then missing
                    row[at + 1] = 1.0
                    continue
            if shape is not None:
                value = shape.value(value)
            value = (value - center) / scale
            row[at] = value if -CLIP <= value <= CLIP else min(max(value, -CLIP), CLIP)
        for name, at, missing in steps.categorical:
            code = columns[name].item()
            row[missing if code == MISSING else at + int(code)] = 1.0
        for name, at in steps.boolean:
            value = columns[name].item()
            if math.isnan(value):
                row[at + 1] = 1.0
            else:
                row[at] = 2.0 * value - 1.0
        if binned:
            for at, start, effects in steps.binned:
                if not row[at + 1]:
                    row[start : start + effects.n_columns] = effects.row(row[at])
        return np.array(row)[None]

    @property
    def _row_steps(self) -> _RowSteps:
        """What `_row` does for each fact, under the present scales."""
        if self._steps is None:
            self._steps = self._new_row_steps()
        return self._steps

    def _new_row_steps(self) -> _RowSteps:
        steps, at = _RowSteps([], [], [], []), 1
        for name, fact in self.catalogue.facts.items():
            if fact.kind == "categorical":
                missing = at + len(fact.values) + 1
                steps.categorical.append((name, at, missing))
                at = missing + 1
                continue
            if fact.kind == "boolean":
                steps.boolean.append((name, at))
            else:
                scale = self.scales.get(name, _UNSCALED)
                bounded = fact if name in self._bounded else None
                steps.numeric.append((name, at, scale.center, scale.scale, self.shapes.get(name), bounded))
                if name in self.binned_effects:
                    steps.binned.append((at, self._binned_starts[name], self.binned_effects[name]))
            at += 2
        return steps
