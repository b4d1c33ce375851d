"""The warm-up of a policy that learns: its first outcomes, kept until the scales are fitted to them for good."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bandit.catalogue import Catalogue
from bandit.catalogue.facts import MISSING
from bandit.domain import BoolArray, Contexts, LoggedBatch, Outcomes, Previous

WARMUP_OUTCOMES = 500
"""Outcomes after which the scales of numeric facts and amounts are fixed."""


@dataclass(slots=True)
class Warmup:
    """Up to `size` outcomes, in the batches in which they were learned."""

    size: int
    batches: list[Outcomes] = field(default_factory=list)

    @property
    def room(self) -> int:
        """How many more outcomes fit."""
        return self.size - sum(map(len, self.batches))

    def add(self, outcomes: Outcomes) -> None:
        """Keep a batch; it must not be larger than the room left."""
        if len(outcomes):
            batch = replace(outcomes.batch, contexts=outcomes.contexts.without_text())
            self.batches.append(replace(outcomes, batch=batch))

    def outcomes(self) -> Outcomes:
        """Return all outcomes kept as one batch."""
        return Outcomes.concat(self.batches)

    def state(self) -> tuple[list[int], dict[str, NDArray[np.generic]]]:
        """Return the sizes of the batches and their columns, under the names of the format."""
        if not self.batches:
            return [], {}
        kept = self.outcomes()
        batch, previous = kept.batch, kept.previous
        arrays: dict[str, NDArray[np.generic]] = {
            "offer": batch.offer,
            "propensity": batch.propensity,
            "converted": batch.converted,
            "revenue": batch.revenue,
            "reward": batch.reward,
            "restated": previous.is_update,
            "was_converted": previous.converted,
            "was_revenue": previous.revenue,
            "was_reward": previous.reward,
            "time": batch.time,
            "weight": kept.weight,
            "was_weight": previous.weight,
        }
        if batch.stands_for is not None:  # no key where each stands for one, as in older states
            arrays["stands_for"] = batch.stands_for
        arrays |= {
            name: each for name, each in (("stages", batch.stages), ("was_stages", previous.stages)) if len(each)
        }
        arrays["eligible"] = np.packbits(kept.eligible, axis=1)
        arrays["customers"] = np.array(kept.contexts.customers.tolist(), dtype=np.str_)
        arrays |= {f"context/{name}": column for name, column in kept.contexts.columns.items()}
        return [len(batch) for batch in self.batches], arrays

    @staticmethod
    def restore(size: int, catalogue: Catalogue, sizes: object, arrays: Mapping[str, NDArray[np.generic]]) -> Warmup:
        """Return the warm-up of a `state`; KeyError, TypeError or ValueError where it does not fit."""
        warmup = Warmup(size)
        if not isinstance(sizes, Sequence):
            raise TypeError("its warm-up has no sizes")
        if not sizes:
            return warmup
        if not all(type(each) is int and each > 0 for each in sizes) or sum(sizes) > size:
            raise ValueError("its warm-up has impossible sizes")
        n = sum(sizes)
        columns = {
            name: _column(arrays[f"context/{name}"], n, "i" if fact.kind == "categorical" else "f")
            for name, fact in catalogue.facts.items()
        }
        if any(
            column.min() < MISSING or column.max() > len(catalogue.facts[name].values)
            for name, column in columns.items()
            if column.dtype.kind == "i"
        ):
            raise ValueError("its warm-up has values that are not declared")
        customers = np.array(_column(arrays["customers"], n, "U", empty=True).tolist(), dtype=object)
        contexts = Contexts(n, columns, {}, customers)  # type: ignore[arg-type]
        values = {
            name: _column(arrays[name], n, kind, empty=name in _MAY_BE_EMPTY)
            for name, kind in _COLUMN_KINDS.items()
            if name in arrays or name not in _MAY_BE_EMPTY
        }
        if values["offer"].min() < 0 or values["offer"].max() >= catalogue.n_offers:
            raise ValueError("its warm-up has other offers")
        packed = np.asarray(arrays["eligible"], dtype=np.uint8)
        if packed.shape not in {(n, 0), (n, -(-catalogue.n_offers // 8))}:
            raise ValueError("its warm-up has other eligible offers")
        count = catalogue.n_offers if packed.shape[1] else 0  # 0 where the log does not have the sets
        eligible = np.unpackbits(packed, axis=1, count=count).astype(np.bool_)
        stages = {name: _stages(arrays, name, n, catalogue) for name in ("stages", "was_stages")}
        kept = _outcomes(contexts, eligible, values | stages)
        stops = np.cumsum(sizes)
        for start, stop in zip(stops - np.asarray(sizes), stops, strict=True):
            warmup.add(kept.take(slice(int(start), int(stop))))
        return warmup


_MAY_BE_EMPTY = {"time", "weight", "was_weight", "stands_for"}
_COLUMN_KINDS = {
    "offer": "i",
    "propensity": "f",
    "converted": "b",
    "revenue": "f",
    "reward": "f",
    "restated": "b",
    "was_converted": "b",
    "was_revenue": "f",
    "was_reward": "f",
    "time": "i",
    "weight": "f",
    "was_weight": "f",
    "stands_for": "f",
}
"""Numpy kinds of the columns, by their names in a policy's state, which must not change."""


def _outcomes(contexts: Contexts, eligible: BoolArray, values: Mapping[str, Any]) -> Outcomes:
    """Return outcomes from the columns of a state; without weights (an older state) all outcomes are complete."""
    batch = LoggedBatch(
        contexts,
        values["offer"],
        eligible,
        values["propensity"],
        values["converted"],
        values["revenue"],
        values["reward"],
        values.get("time", np.empty(0, dtype=np.int64)),
        values.get("stands_for", np.empty(0)),
        values["stages"],
    )
    previous = Previous(
        values["restated"],
        values["was_converted"],
        values["was_revenue"],
        values["was_reward"],
        values.get("was_weight", np.empty(0)),
        values["was_stages"],
    )
    return Outcomes(batch, previous, values.get("weight", np.empty(0)))


def _stages(arrays: Mapping[str, NDArray[np.generic]], name: str, n: int, catalogue: Catalogue) -> BoolArray:
    """Return the (n, S) stages of a state, empty where it has none; ValueError where they do not fit."""
    if name not in arrays:
        return np.empty((0, 0), dtype=np.bool_)
    found = arrays[name]
    if found.shape != (n, len(catalogue.objective.stages)) or found.dtype.kind != "b":
        raise ValueError("its warm-up has other stages")
    return np.asarray(found, dtype=np.bool_)


def _column(array: NDArray[np.generic], n: int, kind: str, *, empty: bool = False) -> NDArray[np.generic]:
    """Return the column if it has n values of numpy's `kind`, or 0 values where `empty` is allowed; else ValueError."""
    # An empty column may have numpy's default type.
    if array.shape == (n,) and array.dtype.kind == kind:
        return array
    if empty and array.shape == (0,):
        return array
    raise ValueError("its warm-up has columns of another kind")
