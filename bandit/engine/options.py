"""The settings of an engine: one record, its defaults and its checks."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Literal, TypedDict, TypeVar

from bandit.clock import check_clock
from bandit.engine.arguments import checked_text
from bandit.engine.caller import warn_caller
from bandit.errors import InputError

Function = TypeVar("Function", bound=Callable[..., object])


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """The settings of an engine, as `Engine.open` describes them; InputError for a value that cannot be used.

    >>> EngineOptions(seed=7, sync=None)  # doctest: +ELLIPSIS
    EngineOptions(seed=7, group=None, durability='full', ..., busy_timeout=5.0, sync=None, carry=True)
    """

    seed: int | None = None
    group: str | None = None
    customer_key: bytes | None = field(default=None, repr=False)
    durability: Literal["full", "process"] = "full"
    keep_probabilities: bool = False
    clock: Callable[[], int] | None = None
    busy_timeout: float = 5.0
    sync: float | None = 1.0
    carry: bool = True

    def __post_init__(self) -> None:
        if self.group is not None:
            checked_text("group", self.group)
        for name, seconds in (("busy_timeout", self.busy_timeout), ("sync", 0.0 if self.sync is None else self.sync)):
            if not (math.isfinite(seconds) and seconds >= 0.0):
                raise InputError(f"{name} is a number of seconds, 0 or more; seen {seconds}")
        if self.clock is not None and not callable(self.clock):
            raise InputError(f"clock is a function that returns microseconds; seen {self.clock!r}")
        if self.clock is not None:
            check_clock(self.clock)


class EngineSettings(TypedDict, total=False):
    """The fields of `EngineOptions` as keyword arguments; `follow` is the former name of `sync`."""

    seed: int | None
    group: str | None
    customer_key: bytes | None
    durability: Literal["full", "process"]
    keep_probabilities: bool
    clock: Callable[[], int] | None
    busy_timeout: float
    sync: float | None
    carry: bool
    follow: float | None


def engine_options(settings: EngineSettings) -> EngineOptions:
    """Return keyword arguments as a record; `follow`, the former name of `sync`, is accepted with a warning."""
    renamed = settings.copy()
    if "follow" in renamed:
        if "sync" in renamed:
            raise InputError("follow is the former name of sync; give sync alone")
        warn_renamed("follow=", "sync=")
        renamed["sync"] = renamed.pop("follow")
    return EngineOptions(**renamed)  # type: ignore[misc]  # mypy does not see that `follow` was taken out


def warn_renamed(old: str, new: str) -> None:
    """Warn the caller of the package that a name of it has changed."""
    warn_caller(f"{old} was renamed to {new}; the old name will be removed in the next version", DeprecationWarning)


def with_engine_settings(function: Function) -> Function:
    """Return the function, whose `**settings` are shown by `help` one by one, with the defaults of `EngineOptions`."""
    signature = inspect.signature(function)
    own = [each for each in signature.parameters.values() if each.kind is not inspect.Parameter.VAR_KEYWORD]
    shown = [
        inspect.Parameter(each.name, inspect.Parameter.KEYWORD_ONLY, default=each.default, annotation=each.type)
        for each in fields(EngineOptions)
    ]
    function.__signature__ = signature.replace(parameters=[*own, *shown])  # type: ignore[attr-defined]
    return function
