"""Erasure of customers from the state of any policy: of their rows, or of their names only."""

from __future__ import annotations

from collections.abc import Callable, Container

import msgspec
import numpy as np
from numpy.typing import NDArray

from bandit.errors import PolicyError
from bandit.policies.state import pack, unpack

_EFFECT_NAMES = "own/customers"
_EFFECT_ROWS = ("own/natural", "own/precision")
_WARMUP_NAMES = ("warmup/customers", "kept/customers")
"""Customers of the outcomes that a policy keeps during its warm-up."""

_SAMPLE = "/sample/"
"""A part of the names of the arrays that hold an offer model's sample of outcomes."""


def has_customers(state: bytes, customers: Container[str]) -> bool:
    """Return whether a state names any of these customers, by the keys that the store has for them."""
    try:
        _, arrays = unpack(state)
    except PolicyError:
        return False
    warmup_names = (name for part in _WARMUP_NAMES if part in arrays for name in arrays[part].tolist())
    return any(name in customers for names in (_names(arrays), warmup_names) for name in names)


def has_warmup_outcomes(state: bytes) -> bool:
    """Return whether a state holds the outcomes of a warm-up, with their contexts; True for an unreadable state."""
    try:
        return any(part in unpack(state)[1] for part in _WARMUP_NAMES)
    except PolicyError:
        return True


def remove_customers(state: bytes, customers: Container[str]) -> bytes:
    """Return a state without these customers' effects; everything else stays."""
    meta, arrays = unpack(state)
    names = _names(arrays)
    stays = np.array([name not in customers for name in names], dtype=np.bool_)
    if stays.all():
        return state
    kept = [name for name, there in zip(names, stays.tolist(), strict=True) if there]
    arrays |= {_EFFECT_NAMES: _text(kept)} | {part: arrays[part][stays] for part in _EFFECT_ROWS}
    return pack(meta, arrays)


def anonymise_customers(state: bytes, customers: Container[str]) -> bytes:
    """Return a state in which these customers' effects have no name; learning on from it goes as before.

    The numbers stay, since how much customers differ is estimated from all of them; the name is replaced by the row's
    number.
    """
    meta, arrays = unpack(state)
    names = _names(arrays)
    if not any(name in customers for name in names):
        return state
    kept = [f"\0{place}" if name in customers else name for place, name in enumerate(names)]
    return pack(meta, arrays | {_EFFECT_NAMES: _text(kept)})


def rename_customers(state: bytes, rename: Callable[[str], str]) -> bytes:
    """Return a state in which customers have other names; learning on from it goes as before, to the last bit.

    Customers that have no name any more (`anonymise_customers`) keep none. A state that names none, or cannot be read,
    stays as it is.
    """
    try:
        meta, arrays = unpack(state)
    except PolicyError:
        return state
    changed: dict[str, NDArray[np.generic]] = {}
    names = _names(arrays)
    if names:
        changed[_EFFECT_NAMES] = _text([name if name.startswith("\0") else rename(name) for name in names])
    for part in _WARMUP_NAMES:
        if part in arrays and len(arrays[part]):
            changed[part] = np.array([rename(name) for name in arrays[part].tolist()], dtype=np.str_)
    return pack(meta, arrays | changed) if changed else state


def without_sample(state: bytes) -> bytes:
    """Return a state without the sample of past outcomes in which crosses are looked for: a new one begins.

    The sample has no customers, but facts, offers and responses of single outcomes.
    """
    meta, arrays = unpack(state)
    rest = {name: array for name, array in arrays.items() if _SAMPLE not in name}
    return state if len(rest) == len(arrays) else pack(meta, rest)


def _names(arrays: dict[str, NDArray[np.generic]]) -> list[str]:
    return msgspec.json.decode(arrays[_EFFECT_NAMES].tobytes(), type=list[str]) if _EFFECT_NAMES in arrays else []


def _text(names: list[str]) -> NDArray[np.generic]:
    return np.frombuffer(msgspec.json.encode(names), dtype=np.uint8)
