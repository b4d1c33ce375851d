"""Taking customers out of a policy's state, whatever the policy: their rows, or only their names."""

from __future__ import annotations

from collections.abc import Container

import msgspec
import numpy as np
from numpy.typing import NDArray

from bandit.errors import PolicyError
from bandit.policies.state import pack, unpack

_OWN = "own/customers"
_ROWS = ("own/natural", "own/precision")
_KEPT = ("warmup/customers", "kept/customers")
"""Customers of the outcomes that are kept until the scales are settled."""


def knows(state: bytes, customers: Container[str]) -> bool:
    """Say whether a state has one of these customers, as the store writes them, by name."""
    try:
        _, arrays = unpack(state)
    except PolicyError:
        return False
    kept = (name for part in _KEPT if part in arrays for name in arrays[part].tolist())
    return any(name in customers for names in (_names(arrays), kept) for name in names)


def keeps_outcomes(state: bytes) -> bool:
    """Say whether a state still has outcomes as they came, with their contexts."""
    try:
        return any(part in unpack(state)[1] for part in _KEPT)
    except PolicyError:
        return True


def without(state: bytes, customers: Container[str]) -> bytes:
    """Return a state without these customers' own deviations; all else stays."""
    meta, arrays = unpack(state)
    names = _names(arrays)
    stays = np.array([name not in customers for name in names], dtype=np.bool_)
    if stays.all():
        return state
    kept = [name for name, there in zip(names, stays.tolist(), strict=True) if there]
    arrays |= {_OWN: _text(kept)} | {part: arrays[part][stays] for part in _ROWS}
    return pack(meta, arrays)


def nameless(state: bytes, customers: Container[str]) -> bytes:
    """Return a state in which these customers' own deviations are nobody's; a fold from it goes as before.

    The numbers stay, since how much customers differ is estimated from all of them; a place is named by its number.
    """
    meta, arrays = unpack(state)
    names = _names(arrays)
    if not any(name in customers for name in names):
        return state
    kept = [f"\0{place}" if name in customers else name for place, name in enumerate(names)]
    return pack(meta, arrays | {_OWN: _text(kept)})


def _names(arrays: dict[str, NDArray[np.generic]]) -> list[str]:
    return msgspec.json.decode(arrays[_OWN].tobytes(), type=list[str]) if _OWN in arrays else []


def _text(names: list[str]) -> NDArray[np.generic]:
    return np.frombuffer(msgspec.json.encode(names), dtype=np.uint8)
