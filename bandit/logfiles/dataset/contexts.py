"""The facts of a block of a dataset's decisions as contexts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bandit.catalogue.fact_values import CodedColumn
from bandit.domain import Contexts
from bandit.errors import ContextError
from bandit.logfiles.dataset.reader import codes_of, numbers_of
from bandit.logfiles.dataset.tables import FACT
from bandit.store import ContextDecoder
from bandit.store.catalogue_translation import only_valid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bandit.catalogue import Catalogue
    from bandit.catalogue.facts import Fact
    from bandit.domain import ObjectArray
    from bandit.logfiles.dataset.manifest import DatasetManifest


class BlockContexts(ContextDecoder):
    """Gives the contexts of decisions of a block, whose stored context is their place in it.

    Values are read as those of a database are for the analysis of a log: texts in normal form, and what does not fit
    the declared type is missing. A fact that the dataset has under an earlier name only is taken from there.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        super().__init__(catalogue, exact=False)
        self._given = catalogue
        self._block = catalogue.contexts({name: [] for name in catalogue.facts}, ())

    def columns(self, manifest: DatasetManifest) -> list[str]:
        """Return the columns of a dataset that the facts are read from."""
        return [FACT + name for names in self._sources(manifest).values() for name in names]

    def load(self, table: Any, customers: ObjectArray, manifest: DatasetManifest) -> None:  # noqa: ANN401
        """Take the facts of a block of n decisions of these customers."""
        given = {}
        for name, sources in self._sources(manifest).items():
            fact = self._given.facts[name]
            columns = [table.column(FACT + each) for each in sources]
            given[name] = _values(fact, columns)
        known: Mapping[str, Any] = given
        try:
            self._block = self._given.contexts(known, customers)
        except ContextError:
            valid = {name: only_valid(self._given.facts[name], _listed(values)) for name, values in given.items()}
            self._block = self._given.contexts(valid, customers)

    def read(self, texts: ObjectArray, customers: ObjectArray) -> Contexts:  # noqa: ARG002 - the block has them
        """Return the contexts of the decisions at these places of the block."""
        return self._block.take(texts.astype(np.int64))

    def _sources(self, manifest: DatasetManifest) -> dict[str, list[str]]:
        """Return for each fact the names under which the dataset has it, its own one first."""
        facts = self._given.facts
        found = {
            name: [each for each in (name, *fact.aliases) if each in manifest.facts] for name, fact in facts.items()
        }
        return {name: names for name, names in found.items() if names}


def _values(fact: Fact, columns: list[Any]) -> Any:  # noqa: ANN401 - one of the forms that `Fact.parse` takes
    """Return a fact's values from its column, and from those of its earlier names where that has none."""
    column = columns[0]
    if len(columns) > 1:
        import pyarrow.compute as pc  # noqa: PLC0415 - an optional extra

        plain = [each.cast("string") if hasattr(each.type, "value_type") else each for each in columns]
        column = pc.coalesce(*plain)
    kind = str(column.type)
    if fact.kind != "categorical" and kind in {"double", "bool"}:
        return numbers_of(column)
    if kind == "bool":
        column = column.cast("string")
    elif kind == "double":
        return column.to_pylist()
    codes, distinct = codes_of(column)
    return CodedColumn([*distinct, None], np.where(codes < 0, len(distinct), codes))


def _listed(values: Any) -> list[Any]:  # noqa: ANN401
    """Return the values one by one, None where missing."""
    if isinstance(values, CodedColumn):
        return [values.distinct[code] for code in values.codes.tolist()]
    return [None if value != value else value for value in list(values)]  # noqa: PLR0124 - NaN
