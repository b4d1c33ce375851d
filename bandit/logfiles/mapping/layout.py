"""The columns of an exported log: their names for a catalogue, and the mapping that reads them back."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bandit.logfiles.mapping.mapping import UNKNOWN_PROPENSITY

if TYPE_CHECKING:
    from bandit.catalogue import Catalogue

MASK_OFFERS = 4_096
"""With more offers the eligible ones are not written row by row; the reader applies the rules instead."""

_FRONT = ("decision_id", "time", "customer", "group", "policy")
_WEIGHT = "weight"
_BACK = ("propensity", _WEIGHT, "converted", "revenue", "reward", "rewarded", "eligible", "settled")


@dataclass(frozen=True, slots=True)
class ExportLayout:
    """The columns of an export: `dimensions` and `facts` have the column of each of the catalogue's, by name.

    A dimension or fact whose name another column has is written as "offer.name" or "fact.name". `stages` has the column
    of each of the objective's stages, "stage.name" where its name is taken. `rewarded` is whether
    there is that column, as with the objective "reward", and `eligible` whether there is one with each row's mask, as
    with at most `MASK_OFFERS` offers. `weighted` is whether there is a column "weight", as where some decisions stand
    for more or less than one.
    """

    dimensions: Mapping[str, str]
    facts: Mapping[str, str]
    rewarded: bool
    eligible: bool
    weighted: bool = False
    stages: Mapping[str, str] = field(default_factory=dict)

    @staticmethod
    def of(catalogue: Catalogue, *, weighted: bool = False) -> ExportLayout:
        """Return the layout for a catalogue."""
        taken = {*_FRONT, *_BACK} - (set() if weighted else {_WEIGHT})

        def named(names: Collection[str], prefix: str) -> dict[str, str]:
            chosen: dict[str, str] = {}
            for name in names:
                column = name
                while column in taken:
                    column = f"{prefix}.{column}"
                taken.add(column)
                chosen[name] = column
            return chosen

        return ExportLayout(
            dimensions=named(catalogue.dimension_names, "offer"),
            facts=named(tuple(catalogue.facts), "fact"),
            rewarded=catalogue.objective.kind == "reward",
            eligible=catalogue.n_offers <= MASK_OFFERS,
            weighted=weighted,
            stages=named(catalogue.objective.stages, "stage"),
        )

    @staticmethod
    def found(catalogue: Catalogue, present: Collection[str]) -> ExportLayout:
        """Return the layout of a file with these columns: weighted where the column "weight" is none of a fact's."""
        plain = ExportLayout.of(catalogue)
        if _WEIGHT not in present:
            return plain
        weighted = ExportLayout.of(catalogue, weighted=True)
        renamed = {*weighted.dimensions.values(), *weighted.facts.values()}
        renamed -= {*plain.dimensions.values(), *plain.facts.values()}
        return weighted if not renamed or renamed & set(present) else plain

    @property
    def names(self) -> tuple[str, ...]:
        """All columns, in order."""
        sometimes = (("rewarded", self.rewarded), ("eligible", self.eligible), (_WEIGHT, self.weighted))
        left_out = {name for name, there in sometimes if not there}
        back = [name for name in _BACK if name not in left_out]
        return (*_FRONT, *self.dimensions.values(), *self.facts.values(), *self.stages.values(), *back)

    def mapping(
        self,
        catalogue: Catalogue,
        *,
        present: Collection[str] | None = None,
        prefix: str = "",
        known: bool = True,
        escaped: bool = False,
    ) -> dict[str, object]:
        """Return the mapping that reads these columns, in the structure of its TOML file.

        `present` are the columns that a file has (default: all). Without a column, each row is a customer of its own,
        ids are made of the place in the file, times of the order of rows, a fact is missing, the rules say what is
        eligible, and all decisions are closed. `prefix` stands before each column's name. With `known` false the
        mapping says that the propensities are unknown, with `escaped` that formulas have an apostrophe before them.
        """
        there = set(self.names if present is None else present)
        columns: dict[str, object] = {
            key: prefix + key for key in ("customer", "decision_id", "time", "group", "eligible") if key in there
        }
        if self.weighted and _WEIGHT in there:
            columns[_WEIGHT] = prefix + _WEIGHT
        if "customer" not in there:
            columns["row_customer"] = True
        if not self.eligible:
            columns.pop("eligible", None)
        event = catalogue.objective.event
        outcomes: list[dict[str, object]] = []
        if "converted" in there or not self.rewarded:
            outcomes.append({"event": event, "when": f"{prefix}converted"})
            if "revenue" in there:
                outcomes[0]["revenue"] = f"{prefix}revenue"
        if self.rewarded:
            outcomes.append({"event": f"{event} value", "reward": f"{prefix}reward"})
            if "rewarded" in there:
                outcomes[-1]["when"] = f"{prefix}rewarded"
        outcomes += [
            {"event": stage, "when": prefix + column} for stage, column in self.stages.items() if column in there
        ]
        return {
            **({"escaped_formulas": True} if escaped else {}),
            "closed": f"{prefix}settled" if "settled" in there else True,
            "columns": columns | {"propensity": f"{prefix}propensity" if known else UNKNOWN_PROPENSITY},
            "context": {name: prefix + column for name, column in self.facts.items() if column in there},
            "offer": {name: {"column": prefix + column} for name, column in self.dimensions.items()},
            "outcomes": outcomes,
        }
