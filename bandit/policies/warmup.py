"""The first outcomes, kept as they came until the scales are settled on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields

import numpy as np
from numpy.typing import NDArray

from bandit.catalogue import Catalogue
from bandit.catalogue.facts import MISSING
from bandit.domain import Contexts, Outcomes


@dataclass(slots=True)
class Warmup:
    """Up to `size` outcomes, in the batches they came in."""

    size: int
    batches: list[Outcomes] = field(default_factory=list)

    @property
    def room(self) -> int:
        """How many more outcomes are wanted."""
        return self.size - sum(map(len, self.batches))

    def add(self, outcomes: Outcomes) -> None:
        """Keep a batch; it must not be larger than the room left."""
        if len(outcomes):
            self.batches.append(outcomes)

    def outcomes(self) -> Outcomes:
        """Return all that is kept as one batch."""
        return join(self.batches)

    def state(self) -> tuple[list[int], dict[str, NDArray[np.generic]]]:
        """Return the sizes of the batches and their columns."""
        if not self.batches:
            return [], {}
        kept = self.outcomes()
        arrays: dict[str, NDArray[np.generic]] = {
            _STATE_NAMES.get(name, name): getattr(kept, name) for name in _columns() if name != "eligible"
        }
        arrays["eligible"] = np.packbits(kept.eligible, axis=1)
        arrays["customers"] = np.array(kept.contexts.customers.tolist(), dtype=np.str_)
        arrays |= {f"context/{name}": column for name, column in kept.contexts.columns.items()}
        return [len(batch) for batch in self.batches], arrays

    @staticmethod
    def restore(size: int, catalogue: Catalogue, sizes: object, arrays: Mapping[str, NDArray[np.generic]]) -> Warmup:
        """Return what `state` was taken from; KeyError, TypeError or ValueError where it does not fit."""
        warmup = Warmup(size)
        if not isinstance(sizes, Sequence):
            raise TypeError("its warm-up has no sizes")
        if not sizes:
            return warmup
        if not all(type(each) is int and each > 0 for each in sizes) or sum(sizes) > size:
            raise ValueError("its warm-up has sizes that are none")
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
            name: _column(arrays[_STATE_NAMES.get(name, name)], n, kind, empty=name in _MAY_BE_EMPTY)
            for name, kind in _KINDS.items()
            if _STATE_NAMES.get(name, name) in arrays
        }
        if values["offer"].min() < 0 or values["offer"].max() >= catalogue.n_offers:
            raise ValueError("its warm-up has other offers")
        packed = np.asarray(arrays["eligible"], dtype=np.uint8)
        if packed.shape not in {(n, 0), (n, -(-catalogue.n_offers // 8))}:
            raise ValueError("its warm-up has other eligible offers")
        count = catalogue.n_offers if packed.shape[1] else 0  # 0 where the policy does not look at it
        values["eligible"] = np.unpackbits(packed, axis=1, count=count).astype(np.bool_)
        kept = Outcomes(contexts=contexts, **values)  # type: ignore[arg-type]
        stops = np.cumsum(sizes)
        for start, stop in zip(stops - np.asarray(sizes), stops, strict=True):
            warmup.add(kept.take(slice(int(start), int(stop))))
        return warmup


_STATE_NAMES = {"is_update": "restated"} | {
    f"previous_{name}": f"was_{name}" for name in ("converted", "revenue", "reward", "weight")
}
# The columns whose names in a policy's state, which must not change, are not those of the record.

_MAY_BE_EMPTY = {"time", "weight", "previous_weight"}
_KINDS = {
    "offer": "i",
    "propensity": "f",
    "converted": "b",
    "revenue": "f",
    "reward": "f",
    "is_update": "b",
    "previous_converted": "b",
    "previous_revenue": "f",
    "previous_reward": "f",
    "time": "i",
    "weight": "f",
    "previous_weight": "f",
}


def _column(array: NDArray[np.generic], n: int, kind: str, *, empty: bool = False) -> NDArray[np.generic]:
    """Return a column of n values of numpy's `kind`, or of none where it may be `empty`; ValueError for any other."""
    # What was joined of nothing is of numpy's default type.
    if array.shape == (n,) and array.dtype.kind == kind:
        return array
    if empty and array.shape == (0,):
        return array
    raise ValueError("its warm-up has columns of another kind")


def join(batches: Sequence[Outcomes]) -> Outcomes:
    """Return batches as one; the texts of categorical facts, which no belief reads, are left out."""
    first = batches[0].contexts
    columns = {name: np.concatenate([batch.contexts.columns[name] for batch in batches]) for name in first.columns}
    n = sum(map(len, batches))
    customers = np.concatenate([batch.contexts.customers for batch in batches])
    contexts = Contexts(n, columns, {}, customers if len(customers) == n else customers[:0])
    values = {name: np.concatenate([getattr(batch, name) for batch in batches]) for name in _columns()}
    if len(values["time"]) != n:  # some of them do not say
        values["time"] = values["time"][:0]
    if len(values["weight"]) + len(values["previous_weight"]):  # some are known in part: say it of all
        values["weight"] = np.concatenate([batch.weights for batch in batches])
        values["previous_weight"] = np.concatenate([batch.previous_weights for batch in batches])
    return Outcomes(contexts=contexts, **values)


def _columns() -> list[str]:
    return [column.name for column in fields(Outcomes) if column.name != "contexts"]
