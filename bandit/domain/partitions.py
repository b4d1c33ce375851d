"""Logs in parts by customer, and what computes something of each part: in this process or on many workers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Concatenate, ParamSpec, Protocol, TypeVar, runtime_checkable

from bandit.domain.protocols import Log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bandit.domain.protocols import Progress

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


@runtime_checkable
class LogPart(Protocol):
    """A recipe of one part of a log: small, picklable, and opened where its decisions are read.

    The customers of a part are in no other part of the log, so clusters, folds and what is kept of a customer stay
    within it. A log without customers has parts of any rows.
    """

    @property
    def n(self) -> int:
        """The number of decisions that the opened part yields."""
        ...

    def open(self) -> Log:
        """Return the part as a log of its own, of the catalogue of the whole log."""
        ...


@runtime_checkable
class PartitionedLog(Log, Protocol):
    """A log that consists of parts of whole customers; read as a log, it yields its decisions in their own order.

    What depends on the order of the decisions is computed from the log read straight through: its results are those of
    the same log without parts, whatever the parts are.
    """

    @property
    def parts(self) -> tuple[LogPart, ...]:
        """The parts; together they have each decision of the log once."""
        ...


class PartRunner(Protocol):
    """Calls a function for each part of a log, wherever the parts are read."""

    def map(
        self,
        function: Callable[Concatenate[LogPart, _Arguments], _Result],
        parts: Sequence[LogPart],
        progress: Progress | None,
        *args: _Arguments.args,
        **kwargs: _Arguments.kwargs,
    ) -> Iterator[_Result]:
        """Yield `function(part, *args, **kwargs)` of each part, in the order of the parts.

        The function is a module's own, and it, its arguments and its results can be pickled. It may be called again
        for a part whose worker was lost, so it changes nothing but what it returns. `progress` is called with the
        number of decisions of the parts that are done, and of all parts. What the function raises is raised here.
        """
        ...


class InProcessRunner:
    """The runner of one process: one part after the other, when its result is asked for."""

    __slots__ = ()

    def map(
        self,
        function: Callable[Concatenate[LogPart, _Arguments], _Result],
        parts: Sequence[LogPart],
        progress: Progress | None,
        *args: _Arguments.args,
        **kwargs: _Arguments.kwargs,
    ) -> Iterator[_Result]:
        """Yield `function(part, *args, **kwargs)` of each part, in the order of the parts."""
        total, done = sum(part.n for part in parts), 0
        for part in parts:
            result = function(part, *args, **kwargs)
            done += part.n
            if progress is not None:
                progress(done, total)
            yield result
