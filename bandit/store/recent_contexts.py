"""The contexts of the latest decisions of this process, by what the log says of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bandit.store.tables.cache import Cache

if TYPE_CHECKING:
    from bandit.domain import Contexts
    from bandit.store.connection import Connection

KEPT_CONTEXTS = 256
"""Contexts that are kept: an engine that learns after every visit learns from the latest ones."""


class RecentContexts:
    """Remembers single contexts as they were decided on, so that learning need not decode what was just encoded.

    The key is all that decoding depends on: the catalogue version, the stored text, and the customer in stored form.
    It is forgotten with every rollback and deletion.
    """

    def __init__(self, connection: Connection) -> None:
        self._kept: Cache[tuple[int, str, str], Contexts] = Cache(KEPT_CONTEXTS)
        connection.on_rollback(self._kept.clear)

    def put(self, catalogue_id: int, text: str, contexts: Contexts) -> None:
        """Remember a context, a batch of one, with the text that the log has of it."""
        self._kept.put((catalogue_id, text, contexts.customers[0]), contexts)

    def get(self, catalogue_id: int, text: str, customer: str) -> Contexts | None:
        """Return the context of which the log has this text, None if it is not known."""
        return self._kept.get((catalogue_id, text, customer))
