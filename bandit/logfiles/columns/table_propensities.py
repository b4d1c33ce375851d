"""The propensities of decisions that a client drew from policy tables: read off the table, and checked by the draw."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bandit.errors import CatalogueError, PolicyError
from bandit.policies.policy_table import PolicyTable, drawn_numbers
from bandit.policies.table_file import UNIT

if TYPE_CHECKING:
    from bandit.catalogue import Catalogue
    from bandit.domain import BoolArray, Contexts, FloatArray, IntArray
    from bandit.logfiles.mapping.mapping import LogMapping
    from bandit.logfiles.mapping.schema import PolicyTableSection
    from bandit.logfiles.rejections import ChunkRejections
    from bandit.logfiles.sources.source import SourceChunk

_HALF_UNIT = 0.5 / UNIT


class TablePropensities:
    """Finds the row of the table that each decision belongs to, draws again, and rejects what contradicts the table."""

    def __init__(self, catalogue: Catalogue, mapping: LogMapping, section: PolicyTableSection) -> None:
        """Read the tables; CatalogueError where one cannot be read or used with the catalogue."""
        files = [section.files] if isinstance(section.files, str) else section.files
        folder = Path(mapping.where).parent if mapping.where.endswith(".toml") else Path()
        try:
            found = [PolicyTable.read(catalogue, folder / file) for file in files]
        except PolicyError as fault:
            raise CatalogueError(f"{mapping.where}: [table] {fault}") from fault
        self._catalogue = catalogue
        self._tables = {table.document.id: table for table in found}
        if not self._tables or (section.id is None and len(self._tables) > 1):
            raise CatalogueError(
                f"{mapping.where}: [table] names {len(self._tables)} tables; name one, or several together with id = "
                "the column that has the id of each row's table"
            )
        self._period, self._id = section.period, section.id
        self._compared = mapping.file.columns.propensity is not None
        self.columns = [name for name in (section.period, section.id) if name is not None]

    def read(
        self,
        chunk: SourceChunk,
        customers: Sequence[str],
        contexts: Contexts,
        offer: IntArray,
        given: FloatArray,
        rejections: ChunkRejections,
    ) -> FloatArray:
        """Return the propensities of n rows, (n,), NaN where a row is rejected.

        Rejected are rows of another table, without a period, with an offer that their segment does not have, with
        another offer than the draw of their customer and period gives, and where `given` (n,), the file's own
        propensities if it has any, is not the table's.
        """
        periods = chunk.columns[self._period]
        ids = self._ids(chunk, rejections)
        rejections.reject(
            np.array([not text.strip() for text in periods], dtype=np.bool_),
            "period is blank",
            lambda _: f'"{self._period}" is blank, and a draw is made for a period; give the campaign it was for',
        )
        propensity = np.full(len(chunk), np.nan)
        for name, table in self._tables.items():
            rows = np.flatnonzero(rejections.ok & (ids == name) & (offer >= 0))
            if not len(rows):
                continue
            place = table.row_of(contexts.take(rows))
            propensity[rows] = table.propensity(place, offer[rows])
            which = rows.tolist()
            drawn = drawn_numbers(name, [customers[row] for row in which], [periods[row] for row in which])
            expected = np.full(len(chunk), -1, dtype=np.int64)
            expected[rows] = table.drawn_offers(place, drawn)
            words = {int(row): table.rows[int(at)].when for row, at in zip(rows, place, strict=True)}
            self._reject(rows, propensity, offer, expected, words, rejections, name)
        self._compare(propensity, given, rejections)
        return propensity

    def _ids(self, chunk: SourceChunk, rejections: ChunkRejections) -> np.ndarray[tuple[int], np.dtype[np.object_]]:
        """Return the id of each row's table; rows of a table that the mapping does not name are rejected."""
        if self._id is None:
            return np.full(len(chunk), next(iter(self._tables)), dtype=object)
        ids = np.array([text.strip() for text in chunk.columns[self._id]], dtype=object)
        known = ", ".join(self._tables)
        rejections.reject(
            np.array([each not in self._tables for each in ids], dtype=np.bool_),
            "another table",
            lambda row: f'the row is of the table "{ids[row]}", and [table] names {known}; add its file there',
        )
        return ids

    def _reject(
        self,
        rows: IntArray,
        propensity: FloatArray,
        offer: IntArray,
        expected: IntArray,
        words: dict[int, str],
        rejections: ChunkRejections,
        name: str,
    ) -> None:
        """Reject the rows of one table whose offer is not in their segment, or is not the one that was drawn."""
        label = self._catalogue.label

        def of(marked: BoolArray) -> BoolArray:
            found = np.zeros(len(offer), dtype=np.bool_)
            found[rows] = marked
            return found

        rejections.reject(
            of(propensity[rows] == 0.0),
            "offer not in its row of the table",
            lambda row: (
                f'table {name} gives the offer {label(int(offer[row]))} to nobody in "{words[row]}", where these facts '
                "are; the facts are not those that were looked up, or the offer is not of this table"
            ),
        )
        rejections.reject(
            of(expected[rows] != offer[rows]),
            "offer contradicts the draw",
            lambda row: (
                f'table {name} draws {label(int(expected[row]))} for this customer and period in "{words[row]}", and '
                f"the row has {label(int(offer[row]))}; check the customer's key, the period and the facts"
            ),
        )

    def _compare(self, propensity: FloatArray, given: FloatArray, rejections: ChunkRejections) -> None:
        """Reject the rows whose own propensity is not that of the table."""
        if not self._compared:
            return
        differs = np.abs(propensity - given) > _HALF_UNIT
        rejections.reject(
            differs,
            "propensity contradicts the table",
            lambda row: f"the row has the propensity {given[row]:g}, and the table says {propensity[row]:g}",
        )
