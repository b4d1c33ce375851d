"""Runs a function for each part of a log on the workers of a Dask cluster."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Concatenate, NoReturn, ParamSpec, TypeVar

from bandit.cluster.worker import SharedCall, call, dask, same
from bandit.errors import InputError, OfferBanditError

if TYPE_CHECKING:
    from bandit.domain import LogPart, Progress

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


class DaskRunner:
    """A `bandit.domain.PartRunner` that sends the parts to the workers of a Dask cluster.

    Results come in the order of the parts, whichever worker made them and however often a part was begun: a part whose
    worker was lost is given to another one. So sums that are joined in this order are the same bit by bit.
    """

    def __init__(self, client: Any, where: str) -> None:  # noqa: ANN401 - distributed has no types
        """`client` is a `distributed.Client`, `where` names its cluster for messages."""
        self._client, self._where = client, where

    def map(
        self,
        function: Callable[Concatenate[LogPart, _Arguments], _Result],
        parts: Sequence[LogPart],
        progress: Progress | None,
        *args: _Arguments.args,
        **kwargs: _Arguments.kwargs,
    ) -> Iterator[_Result]:
        """Yield `function(part, *args, **kwargs)` of each part, in the order of the parts.

        What the function raises is raised here as it was, without the frames of the cluster. InputError where a part
        ends worker after worker, and where the scheduler is gone.
        """
        if not parts:
            return
        token = secrets.token_hex(8)
        client = self._client
        shared = client.submit(same, SharedCall(function, args, kwargs), key=f"shared-{token}", pure=False)
        futures = [
            client.submit(call, part, shared, key=f"part-{token}-{place}", pure=False)
            for place, part in enumerate(parts)
        ]
        try:
            yield from self._in_order(futures, parts, progress)
        finally:
            with suppress(Exception):  # the cluster may be gone
                client.cancel([*futures, shared], force=True)

    def _in_order(self, futures: list[Any], parts: Sequence[LogPart], progress: Progress | None) -> Iterator[Any]:
        sizes = [part.n for part in parts]
        places = {future.key: place for place, future in enumerate(futures)}
        done, following, ready = 0, 0, set()
        if progress is not None:
            progress(0, sum(sizes))
        for future in dask().as_completed(futures, loop=self._client.loop):
            if future.status != "finished":
                self._raise(future, parts[places[future.key]])
            place = places[future.key]
            ready.add(place)
            done += sizes[place]
            if progress is not None:
                progress(done, sum(sizes))
            while following in ready:
                yield self._result(futures[following], parts[following])
                futures[following].release()
                following += 1

    def _result(self, future: Any, part: LogPart) -> Any:  # noqa: ANN401
        """Return a result; one whose worker was lost since is computed again while this waits."""
        try:
            return future.result()
        except Exception:
            if future.status == "finished":
                raise
            self._raise(future, part)

    def _raise(self, future: Any, part: LogPart) -> NoReturn:  # noqa: ANN401
        """Raise what a part raised, without the traceback of the cluster."""
        if future.status in {"cancelled", "lost"}:
            raise InputError(f"the cluster {self._where} has gone away while it was computing; start it and run again")
        fault = future.exception()
        if isinstance(fault, dask().KilledWorker):
            name = getattr(part, "partition", "?")
            raise InputError(
                f"partition {name} has ended {fault.allowed_failures + 1} workers of the cluster {self._where} one "
                "after the other, as a lack of memory does; give each worker more memory, or export the log with more "
                "partitions"
            ) from None
        if not isinstance(fault, Exception):
            raise OfferBanditError(f"a worker of the cluster {self._where} failed: {fault}")
        raise fault.with_traceback(None)
