"""The scales of numeric facts that a policy has fixed, and their names in a later catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bandit.catalogue.aliases import NameMap
from bandit.encoding.binned_effects import BinnedEffects
from bandit.encoding.scales import UNKNOWN_SCALE, FactScale, ScaleMoments


@dataclass(frozen=True, slots=True, eq=False)
class FactScales:
    """Scales and binned effects by numeric fact, and the values seen so far of facts that have no scale yet."""

    scales: Mapping[str, FactScale]
    binned_effects: Mapping[str, BinnedEffects]
    unscaled: Mapping[str, ScaleMoments]

    @property
    def by_fact(self) -> dict[str, FactScale]:
        """The scale of each fact, unknown for those that have none yet."""
        return {**self.scales, **dict.fromkeys(self.unscaled, UNKNOWN_SCALE)}

    def translated(self, names: NameMap) -> FactScales:
        """Return the scales of a later catalogue's facts: kept, for a new fact as declared, else not known yet."""
        present = {name: names.fact(name) for name in (*self.scales, *self.binned_effects, *self.unscaled)}
        scales = {str(present[name]): scale for name, scale in self.scales.items() if present[name]}
        unscaled = {str(present[name]): moments for name, moments in self.unscaled.items() if present[name]}
        for name, fact in names.after.facts.items():
            if fact.kind == "numeric" and name not in scales:
                if fact.center is not None and fact.scale is not None:
                    scales[name] = FactScale(fact.center, fact.scale)
                    unscaled.pop(name, None)
                else:
                    unscaled.setdefault(name, ScaleMoments())
        binned = {str(present[name]): effects for name, effects in self.binned_effects.items() if present[name]}
        return FactScales(scales, binned, unscaled)

    def to_meta(self) -> dict[str, object]:
        """Return the values of a state, under the format's keys."""
        meta: dict[str, object] = {
            "scales": {name: [scale.center, scale.scale] for name, scale in self.scales.items()},
            "curves": {name: effects.to_plain() for name, effects in self.binned_effects.items()},
        }
        if self.unscaled:
            meta["unscaled"] = {name: moments.to_plain() for name, moments in self.unscaled.items()}
        return meta

    @staticmethod
    def from_meta(meta: Mapping[str, object]) -> FactScales:
        """Return the scales of a state; KeyError, TypeError or ValueError where it does not fit."""
        scales, binned_effects, unscaled = meta["scales"], meta["curves"], meta.get("unscaled", {})
        if not (isinstance(scales, dict) and isinstance(binned_effects, dict) and isinstance(unscaled, dict)):
            raise TypeError("its scales are not a mapping")
        return FactScales(
            {name: FactScale.from_plain(pair) for name, pair in scales.items()},
            {name: BinnedEffects.from_plain(numbers) for name, numbers in binned_effects.items()},
            {name: ScaleMoments.from_plain(numbers) for name, numbers in unscaled.items()},
        )
