"""The tables of a dataset in Arrow: the columns of decisions and of events, and how they are made of the log's columns.

Names begin with `option_` for the dimensions and with `fact_` for the facts, so that none is taken twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bandit.errors import LogFileError
from bandit.logfiles.columns.arrow import arrow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bandit.catalogue import Catalogue
    from bandit.domain import Contexts, FloatArray, IntArray, ObjectArray
    from bandit.store.tables.event_pages import EventPage

OPTION, FACT = "option_", "fact_"

ELIGIBLE = "eligible"
"""The column with the packed mask of each decision, eight offers a byte, the first offer in the highest bit."""


@dataclass(frozen=True, slots=True, eq=False)
class DatasetRows:
    """n decisions to write: as they are logged, numbered by `row` in the order of the log.

    `catalogue` and `offer` (n,) are numbers of versions and of their offers; `policy` is -1 where none is known, and
    `propensity` NaN. `sets` (n,) numbers the eligible sets, whose packed masks are `masks`.
    """

    row: IntArray
    decision_id: ObjectArray
    time: IntArray
    customer: ObjectArray
    group: ObjectArray
    policy: IntArray
    step: IntArray
    catalogue: IntArray
    offer: IntArray
    propensity: FloatArray
    weight: FloatArray
    fault: ObjectArray
    sets: IntArray
    masks: Mapping[int, bytes]
    contexts: Contexts

    def __len__(self) -> int:
        return len(self.row)


class DatasetTables:
    """Makes the Arrow tables of a dataset with these facts and dimensions."""

    def __init__(
        self, facts: Mapping[str, str], dimensions: Sequence[str], catalogues: Mapping[int, Catalogue]
    ) -> None:
        """`facts` has the kind of each, `catalogues` the versions by number. MissingExtraError without pyarrow."""
        self.pa: Any = arrow("writing a dataset")
        pa = self.pa
        self._facts, self._dimensions, self._catalogues = facts, tuple(dimensions), catalogues
        kinds = {"categorical": pa.string(), "numeric": pa.float64(), "boolean": pa.bool_()}
        time = pa.timestamp("us", tz="UTC")
        self.decisions = pa.schema(
            [
                pa.field("row", pa.int64(), nullable=False),
                pa.field("decision_id", pa.string()),
                pa.field("time", time),
                pa.field("customer", pa.string()),
                pa.field("group", pa.string()),
                pa.field("policy", pa.int64()),
                pa.field("policy_step", pa.int64()),
                pa.field("catalogue", pa.int32()),
                pa.field("offer", pa.int64()),
                *(pa.field(OPTION + name, pa.string()) for name in self._dimensions),
                pa.field("propensity", pa.float64()),
                pa.field("weight", pa.float64()),
                pa.field(ELIGIBLE, pa.binary()),
                *(pa.field(FACT + name, kinds[kind]) for name, kind in facts.items()),
                pa.field("fault", pa.string()),
            ]
        )
        self.events = pa.schema(
            [
                pa.field("event", pa.int64(), nullable=False),
                pa.field("row", pa.int64(), nullable=False),
                pa.field("event_id", pa.string()),
                pa.field("name", pa.string()),
                pa.field("time", time),
                pa.field("recorded_at", time),
                pa.field("revenue", pa.float64()),
                pa.field("reward", pa.float64()),
                pa.field("corrects", pa.int64()),
            ]
        )

    def of_decisions(self, rows: DatasetRows) -> Any:  # noqa: ANN401 - pyarrow has no types
        """Return the table of some decisions."""
        pa = self.pa
        columns = {
            "row": rows.row,
            "decision_id": self._texts(rows.decision_id),
            "time": rows.time,
            "customer": self._texts(rows.customer),
            "group": self._texts(rows.group),
            "policy": pa.array(rows.policy, mask=rows.policy < 0),
            "policy_step": rows.step,
            "catalogue": rows.catalogue.astype(np.int32),
            "offer": rows.offer,
            "propensity": _numbers(pa, rows.propensity),
            "weight": rows.weight,
            ELIGIBLE: self._masks(rows),
            "fault": self._texts(rows.fault),
        }
        columns |= self._options(rows)
        for name, kind in self._facts.items():
            values = rows.contexts.columns[name]
            if kind == "categorical":
                columns[FACT + name] = self._texts(rows.contexts.text[name])
            elif kind == "boolean":
                columns[FACT + name] = pa.array(values == 1.0, mask=np.isnan(values))
            else:
                columns[FACT + name] = _numbers(pa, values)
        return self._table(columns, self.decisions)

    def of_events(self, page: EventPage) -> Any:  # noqa: ANN401 - pyarrow has no types
        """Return the table of some events."""
        pa = self.pa
        columns = {
            "event": page.id,
            "row": page.seq,
            "event_id": self._texts(page.event_id),
            "name": self._texts(page.event),
            "time": page.time,
            "recorded_at": page.recorded_at,
            "revenue": _numbers(pa, page.revenue),
            "reward": _numbers(pa, page.reward),
            "corrects": pa.array(page.corrects, mask=page.corrects < 0),
        }
        return self._table(columns, self.events)

    def joined(self, tables: Sequence[Any]) -> Any:  # noqa: ANN401 - pyarrow has no types
        """Return several tables as one."""
        return self.pa.concat_tables(tables).combine_chunks()

    def _table(self, columns: Mapping[str, Any], schema: Any) -> Any:  # noqa: ANN401
        pa = self.pa
        arrays = [
            columns[field.name] if isinstance(columns[field.name], pa.Array) else pa.array(columns[field.name])
            for field in schema
        ]
        cast = [
            array if array.type == field.type else array.cast(field.type)
            for array, field in zip(arrays, schema, strict=True)
        ]
        return pa.Table.from_arrays(cast, schema=schema)

    def _texts(self, values: ObjectArray) -> Any:  # noqa: ANN401
        try:
            return self.pa.array(values, type=self.pa.string())
        except (self.pa.ArrowInvalid, UnicodeEncodeError) as fault:
            raise LogFileError(f"a text of the log cannot be written to Parquet: {fault}") from fault

    def _options(self, rows: DatasetRows) -> dict[str, Any]:
        """Return the option of each dimension, null where the version of a decision does not have the dimension."""
        versions = np.unique(rows.catalogue).tolist()
        found = {name: np.full(len(rows), None, dtype=object) for name in self._dimensions}
        for number in versions:
            here = slice(None) if len(versions) == 1 else np.flatnonzero(rows.catalogue == number)
            for name, options in self._catalogues[number].offers(rows.offer[here]).items():
                if name in found:
                    found[name][here] = options
        return {OPTION + name: self._texts(options) for name, options in found.items()}

    def _masks(self, rows: DatasetRows) -> Any:  # noqa: ANN401
        used, which = np.unique(rows.sets, return_inverse=True)
        masks = self.pa.array([rows.masks[number] for number in used.tolist()], type=self.pa.binary())
        return self.pa.DictionaryArray.from_arrays(which.reshape(-1).astype(np.int32), masks).dictionary_decode()


def _numbers(pa: Any, values: FloatArray | IntArray) -> Any:  # noqa: ANN401
    """Return numbers, null where they are NaN."""
    return pa.array(values, type=pa.float64(), mask=np.isnan(values))
