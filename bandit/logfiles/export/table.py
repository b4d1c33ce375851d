"""The rows of an export as named, typed columns, for formats that are tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from bandit.logfiles.columns.logged_eligibility import mask_text
from bandit.store.records import object_array

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bandit.catalogue import Catalogue
    from bandit.domain import FloatArray, ObjectArray
    from bandit.logfiles.export.rows import ExportRows
    from bandit.logfiles.mapping.layout import ExportLayout

ColumnKind: TypeAlias = Literal["text", "time", "number", "truth", "count"]

_FIXED: dict[str, ColumnKind] = {
    "time": "time",
    "policy": "count",
    "propensity": "number",
    "weight": "number",
    "converted": "truth",
    "revenue": "number",
    "reward": "number",
    "rewarded": "truth",
    "settled": "truth",
}
_OF_FACT: dict[str, ColumnKind] = {"categorical": "text", "numeric": "number", "boolean": "truth"}


@dataclass(frozen=True, slots=True, eq=False)
class ExportColumn:
    """One column of n values; missing are None in texts and truths, NaN in numbers, -1 in counts.

    Times are microseconds since 1970 UTC.
    """

    name: str
    kind: ColumnKind
    values: NDArray[Any]

    def texts(self) -> Sequence[str]:
        """Return the values as texts for CSV, a blank where missing."""
        if self.kind == "time":
            return np.datetime_as_string(self.values.astype("datetime64[us]"), timezone="UTC").tolist()  # type: ignore[no-any-return]
        plain = self.values.tolist()
        if self.kind == "text":
            return list(map(_NOTHING.get, plain, plain))
        if self.kind == "truth":
            return list(map(_TRUTHS.__getitem__, plain))
        texts = object_array(list(map(repr, plain)))
        texts[np.isnan(self.values) if self.kind == "number" else self.values < 0] = ""
        return texts.tolist()  # type: ignore[no-any-return]


_TRUTHS = {True: "true", False: "false", None: ""}
_NOTHING: dict[str | None, str] = {None: ""}


def kinds(layout: ExportLayout, catalogue: Catalogue) -> dict[str, ColumnKind]:
    """Return the kind of each column, in order."""
    of_facts = {column: _OF_FACT[catalogue.facts[name].kind] for name, column in layout.facts.items()}
    own = of_facts | dict.fromkeys(layout.stages.values(), "truth")
    every: dict[str, ColumnKind] = {name: own.get(name, _FIXED.get(name, "text")) for name in layout.names}
    return every


def columns(rows: ExportRows, layout: ExportLayout, catalogue: Catalogue) -> list[ExportColumn]:
    """Return the columns of some rows, in the order of the layout."""
    stored, batch = rows.stored, rows.batch
    found: dict[str, NDArray[Any]] = {
        "decision_id": stored.decision_id,
        "time": stored.time,
        "customer": stored.customer,
        "group": stored.group,
        "policy": np.where(np.isin(stored.policy_id, rows.unknown_policies), -1, stored.policy_id),
        "propensity": batch.propensity,
        "converted": batch.converted,
        "revenue": rows.revenue,
        "reward": batch.reward,
        "settled": rows.settled,
    }
    options = catalogue.offers(batch.offer)
    found |= {column: options[name] for name, column in layout.dimensions.items()}
    for name, column in layout.facts.items():
        fact, value = catalogue.facts[name], batch.contexts.columns.get(name)
        found[column] = batch.contexts.text[name] if value is None or fact.kind == "categorical" else value
        if fact.kind == "boolean":
            found[column] = _truths(found[column])
    found |= {column: batch.stages[:, place] for place, column in enumerate(layout.stages.values())}
    if layout.weighted:
        found["weight"] = stored.weight
    if layout.rewarded:
        found["rewarded"] = batch.reward != 0.0
    if layout.eligible:
        sets, back = np.unique(rows.sets, return_inverse=True)
        texts = np.array([mask_text(rows.masks[number]) for number in sets.tolist()], dtype=object)
        found["eligible"] = texts[back.reshape(-1)]
    return [ExportColumn(name, kind, found[name]) for name, kind in kinds(layout, catalogue).items()]


def _truths(numbers: FloatArray) -> ObjectArray:
    truths: ObjectArray = (numbers == 1.0).astype(object)
    truths[np.isnan(numbers)] = None
    return truths
