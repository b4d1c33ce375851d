"""What a migration calls to tell how far it is: set around the opening of a database."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bandit.domain import Progress

_REPORT: ContextVar[Progress | None] = ContextVar("migration_progress", default=None)


@contextmanager
def reporting_migration(progress: Progress) -> Iterator[None]:
    """Have migrations inside call `progress` with pages or rows done and in all."""
    token = _REPORT.set(progress)
    try:
        yield
    finally:
        _REPORT.reset(token)


def migration_progress() -> Progress | None:
    """Return what migrations are to call, None for nothing."""
    return _REPORT.get()
