"""Opening the store of an engine, with the key that its customers are hashed under."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Literal

from bandit.store import Store
from bandit.store.customer_key import FILE_VARIABLE, KEY_VARIABLE
from bandit.store.customer_key import customer_key as key_given


def open_store(
    path: str | Path, customer_key: bytes | None, durability: Literal["full", "process"], busy_timeout: float
) -> Store:
    """Open a store with the key given or the environment's; a warning where there is none and none was needed yet."""
    key = customer_key if customer_key is not None else key_given()
    store = Store.open(path, customer_key=key, durability=durability, busy_timeout=busy_timeout)
    if store.customers.in_clear:
        warnings.warn(
            f"customers are stored in the clear in {path}; set {KEY_VARIABLE} or {FILE_VARIABLE}, or pass "
            "customer_key=, to store a keyed hash instead",
            stacklevel=3,
        )
    return store
