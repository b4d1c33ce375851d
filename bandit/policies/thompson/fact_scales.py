"""The scales of numeric facts that a policy has fixed, and their names in a later catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from bandit.catalogue.aliases import NameMap
from bandit.encoding.binned_effects import BinnedEffects
from bandit.encoding.scales import UNKNOWN_SCALE, FactScale, ScaleMoments
from bandit.encoding.shapes import FactShape, Transform, ValueSample, shape_from_plain, transform_of


@dataclass(frozen=True, slots=True, eq=False)
class FactScales:
    """Scales, binned effects and transforms by numeric fact, and what is known so far of facts without a scale.

    Of a fact whose transform is left to its values the values themselves are kept until it has a scale (`sampled`), of
    others their moments (`unscaled`).
    """

    scales: Mapping[str, FactScale]
    binned_effects: Mapping[str, BinnedEffects]
    unscaled: Mapping[str, ScaleMoments]
    shapes: Mapping[str, FactShape] = field(default_factory=dict)
    sampled: Mapping[str, ValueSample] = field(default_factory=dict)

    @property
    def by_fact(self) -> dict[str, FactScale]:
        """The scale of each fact, unknown for those that have none yet."""
        return {**self.scales, **dict.fromkeys((*self.unscaled, *self.sampled), UNKNOWN_SCALE)}

    def translated(self, names: NameMap, otherwise: Transform) -> FactScales:
        """Return the scales of a later catalogue's facts: kept, for a new fact as declared, else not known yet.

        `otherwise` is the transform of a new fact for which the catalogue declares none.
        """
        known = (*self.scales, *self.binned_effects, *self.unscaled, *self.sampled)
        present = {name: names.fact(name) for name in known}
        scales = {str(present[name]): scale for name, scale in self.scales.items() if present[name]}
        unscaled = {str(present[name]): moments for name, moments in self.unscaled.items() if present[name]}
        sampled = {str(present[name]): sample for name, sample in self.sampled.items() if present[name]}
        for name, fact in names.after.facts.items():
            if fact.kind == "numeric" and name not in scales:
                if transform_of(fact, otherwise) != "none":
                    if name not in unscaled:
                        sampled.setdefault(name, ValueSample(np.empty(0)))
                elif fact.center is not None and fact.scale is not None:
                    scales[name] = FactScale(fact.center, fact.scale)
                    unscaled.pop(name, None)
                    sampled.pop(name, None)
                elif name not in sampled:
                    unscaled.setdefault(name, ScaleMoments())
        binned = {str(present[name]): effects for name, effects in self.binned_effects.items() if present[name]}
        shapes = {str(present[name]): shape for name, shape in self.shapes.items() if present[name]}
        return FactScales(scales, binned, unscaled, shapes, sampled)

    def to_meta(self) -> dict[str, object]:
        """Return the values of a state, under the format's keys."""
        meta: dict[str, object] = {
            "scales": {name: [scale.center, scale.scale] for name, scale in self.scales.items()},
            "curves": {name: effects.to_plain() for name, effects in self.binned_effects.items()},
        }
        if self.unscaled:
            meta["unscaled"] = {name: moments.to_plain() for name, moments in self.unscaled.items()}
        if self.shapes:
            meta["shapes"] = {name: shape.to_plain() for name, shape in self.shapes.items()}
        if self.sampled:
            meta["sampled"] = {name: sample.values.tolist() for name, sample in self.sampled.items()}
        return meta

    @staticmethod
    def from_meta(meta: Mapping[str, object]) -> FactScales:
        """Return the scales of a state; KeyError, TypeError or ValueError where it does not fit."""
        scales, binned_effects, unscaled = meta["scales"], meta["curves"], meta.get("unscaled", {})
        shapes, sampled = meta.get("shapes", {}), meta.get("sampled", {})
        if not (isinstance(scales, dict) and isinstance(binned_effects, dict) and isinstance(unscaled, dict)):
            raise TypeError("its scales are not a mapping")
        if not (isinstance(shapes, dict) and isinstance(sampled, dict)):
            raise TypeError("its transforms are not a mapping")
        return FactScales(
            {name: FactScale.from_plain(pair) for name, pair in scales.items()},
            {name: BinnedEffects.from_plain(numbers) for name, numbers in binned_effects.items()},
            {name: ScaleMoments.from_plain(numbers) for name, numbers in unscaled.items()},
            {name: shape_from_plain(parts) for name, parts in shapes.items()},
            {name: ValueSample.from_plain(numbers) for name, numbers in sampled.items()},
        )
