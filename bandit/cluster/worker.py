"""What runs on the workers of a cluster: one part after the other, and what a client asks before it sends any."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from bandit._version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bandit.domain import LogPart
    from bandit.logfiles.dataset.folders import DatasetFolder


def dask() -> Any:  # noqa: ANN401 - a package that types only a part of what it has
    """Return the package distributed; ImportError where it is not installed."""
    return import_module("distributed")


@dataclass(frozen=True, slots=True)
class SharedCall:
    """A function with all its arguments but the part: the same for all parts, and sent to each worker once."""

    function: Callable[..., object]
    args: tuple[object, ...]
    kwargs: Mapping[str, object]


def call(part: LogPart, shared: SharedCall) -> object:
    """Return the function's result for a part."""
    return shared.function(part, *shared.args, **shared.kwargs)


def same(shared: SharedCall) -> SharedCall:
    """Return what is given: a task of its own, so that a worker that lost it gets it again."""
    return shared


def versions() -> dict[str, str]:
    """Return the versions that must be the same on both sides, by name."""
    loaded = {name: import_module(name).__version__ for name in ("numpy", "pyarrow")}
    return {
        "offer-bandit": __version__,
        "python": ".".join(platform.python_version_tuple()[:2]),
        **{name: version.partition(".")[0] for name, version in loaded.items()},
        "distributed": dask().__version__,
    }


def can_read(folder: DatasetFolder, name: str, size: int) -> str:
    """Return why a worker cannot read a dataset by its manifest, an empty text where it can."""
    try:
        content = folder.read(name)
    except Exception as fault:  # noqa: BLE001 - whatever a file system raises is told to the client
        return str(fault) or type(fault).__name__
    if content is None:
        return "it is not there"
    return "" if len(content) == size else "another dataset is there"
