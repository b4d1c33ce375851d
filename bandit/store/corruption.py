"""Reports stored values that cannot be decoded: corruption that SQLite itself does not notice."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, cast

import msgspec

from bandit.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

Function = TypeVar("Function", bound=Callable[..., object])

DECODING_FAULTS = (
    TypeError, ValueError, OverflowError, LookupError, MemoryError, RecursionError, msgspec.MsgspecError,
)  # fmt: skip
"""What Python raises for a value of another type, length or range than the one that was written."""

_READERS = (
    "bandit.store", "bandit.governance", "bandit.explain", "bandit.engine.idempotency", "bandit.engine.results",
    "bandit.engine.sticky", "bandit.catalogue.objective",
)  # fmt: skip
"""Modules that are handed stored values only, or the caller's after they were checked."""


@contextmanager
def decoding(path: Path, what: str) -> Iterator[None]:
    """Turn any error of decoding a corrupt value into a StoreError of one sentence."""
    try:
        yield
    except DECODING_FAULTS as fault:
        _raise_damaged(path, what, fault)


def raise_if_damaged(path: Path, fault: BaseException) -> None:
    """Raise a StoreError for an error of Python's own that arose while stored values were read; return for any other.

    It is told by the innermost module of this package that the error came through: a policy of the caller's that fails
    while it learns from stored values did not come through one that reads them.
    """
    if is_damage(fault):
        _raise_damaged(path, "a stored value", fault)


def is_damage(fault: BaseException) -> bool:
    """Say whether an error of Python's own arose while stored values were read."""
    return isinstance(fault, DECODING_FAULTS) and _innermost(fault.__traceback__).startswith(_READERS)


def reports_damage(function: Function) -> Function:
    """Return a function of a store, or a method of what has one, that raises StoreError for unreadable values."""

    @wraps(function)
    def wrapped(owner: Any, *args: object, **options: object) -> object:  # noqa: ANN401 - a store, or what has one
        try:
            return function(owner, *args, **options)
        except DECODING_FAULTS as fault:
            raise_if_damaged(getattr(owner, "store", owner).path, fault)
            raise

    return cast(Function, wrapped)


def _raise_damaged(path: Path, what: str, fault: BaseException) -> NoReturn:
    raise StoreError(
        f"{path}: {what} cannot be read as it was written, so the file is damaged; `offer-bandit verify` says "
        "where, restore it from a backup"
    ) from fault


def _innermost(trace: TracebackType | None) -> str:
    """Return the name of the innermost module of this package in a traceback."""
    found = ""
    while trace is not None:
        name = str(trace.tb_frame.f_globals.get("__name__", ""))
        found = name if name.startswith("bandit.") else found
        trace = trace.tb_next
    return found
