"""A state with the rows of its customers, and the same state without them, as it is stored where they are many."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from bandit.domain.customer_rows import CustomerRows
from bandit.errors import PolicyError
from bandit.models import customer_memory
from bandit.models.customer_effects import digest_array, rows_of_state, rows_state
from bandit.policies.state import pack, parts_of, unpack

DIGEST_PART = "own/digest"
"""The array of a state that stands for the rows of its customers."""

_OF_ROWS = ("own/customers", "own/natural", "own/precision", "own/epoch")
_BY_KEY = "own/gradient"
"""An array that states have whose customers' rows can be stored by key."""


def is_keyed(state: object) -> bool:
    """Return whether the rows of a state's customers are stored elsewhere; False for what is no readable state."""
    if not isinstance(state, bytes) or DIGEST_PART.encode() not in state:
        return False
    try:
        return DIGEST_PART in unpack(state)[1]
    except PolicyError:
        return False


def version_of(state: bytes) -> int:
    """Return the number of updates that a state of Thompson sampling has gone through."""
    return int(str(unpack(state)[0]["version"]))


def with_customers(state: bytes, parts: Iterable[CustomerRows]) -> bytes:
    """Return a keyed state with the rows of its customers, in the order of their numbers."""
    meta, arrays = unpack(state)
    found = list(parts)
    width = found[0].factors.shape[2] if found else 0
    number = np.concatenate([np.zeros(0, dtype=np.int64), *(part.number for part in found)])
    order = np.argsort(number, kind="stable")
    names = [name for part in found for name in part.customers]
    zeros = np.zeros(0, dtype=np.int64)
    rows = CustomerRows(
        [names[place] for place in order.tolist()],
        number[order],
        np.concatenate([zeros, *(part.version for part in found)])[order],
        np.concatenate([zeros, *(part.epoch for part in found)])[order],
        np.concatenate([np.zeros((0, 2, width), dtype=np.float32), *(part.factors for part in found)])[order],
    )
    decays = np.asarray(arrays["own/decays"], dtype=np.float32)
    kept = {name: array for name, array in arrays.items() if name not in {DIGEST_PART, "own/count", "own/decays"}}
    return pack(meta, kept | {f"own/{part}": array for part, array in rows_state(rows, decays).items()})


def without_customers(state: bytes) -> tuple[bytes, tuple[int, CustomerRows] | None]:
    """Return a state as it is stored, and where it has very many customers its number of updates and their rows."""
    meta, arrays = unpack(state)
    if _BY_KEY not in arrays or len(arrays["own/natural"]) <= customer_memory.MOST_WHOLE:
        return state, None
    rows = rows_of_state(parts_of("own", arrays))
    kept = {name: array for name, array in arrays.items() if name not in _OF_ROWS}
    keyed = kept | {
        "own/count": np.array([len(rows)], dtype=np.int64),
        DIGEST_PART: digest_array(rows.digest()),
        "own/decays": np.asarray(arrays.get("own/decays", ()), dtype=np.float32),
    }
    return pack(meta, keyed), (int(str(meta["version"])), rows)
