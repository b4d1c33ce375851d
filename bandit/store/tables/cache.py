"""A least-recently-used cache."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Cache(Generic[K, V]):
    """Keeps at most `size` entries; the least recently used one is dropped first.

    >>> cache = Cache(2)
    >>> cache.put("a", 1), cache.put("b", 2), cache.get("a"), cache.put("c", 3)
    (None, None, 1, None)
    >>> cache.get("a"), cache.get("b")
    (1, None)
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._entries: dict[K, V] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: K) -> V | None:
        """Return the entry, None if there is none."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._entries[key] = entry  # a dict keeps the order of insertion: this is now the newest
        return entry

    def many(self, keys: Iterable[K]) -> dict[K, V]:
        """Return the entries that exist among these keys."""
        entries = self._entries
        found = {key: entries[key] for key in keys if key in entries}
        for key in found:
            entries[key] = entries.pop(key)
        return found

    def put(self, key: K, value: V) -> None:
        """Add or replace an entry."""
        if self._entries.pop(key, None) is None and len(self._entries) >= self._size:
            del self._entries[next(iter(self._entries))]
        self._entries[key] = value

    def clear(self) -> None:
        """Remove all entries."""
        self._entries.clear()
