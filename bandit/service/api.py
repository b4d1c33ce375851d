"""What each address of the service does: a body in, a reply out, without anything of the web framework."""

from __future__ import annotations

import asyncio
import functools
import os
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, TypeVar, cast

from bandit._version import __version__
from bandit.clock import new_id
from bandit.errors import OfferBanditError
from bandit.service import answers
from bandit.service.bodies import BodyReader, DecideBatchBody, DecideBody, EventsBody
from bandit.service.decision_queue import DecisionQueue
from bandit.service.replies import Reply, RequestError, reply, request_error, without_paths

if TYPE_CHECKING:
    from bandit.engine import Engine
    from bandit.service.engine_host import EngineHost
    from bandit.service.telemetry import DecisionTracer

Result = TypeVar("Result")

LONG_DEADLINE = 30.0
"""Seconds that an explanation or a status may take."""


class ServiceApi:
    """The addresses of the service for one engine."""

    def __init__(self, host: EngineHost, tracer: DecisionTracer) -> None:
        self._host, self._tracer = host, tracer
        self._options = host.options
        self._queue: DecisionQueue | None = None
        self._decide, self._batch, self._events = (
            BodyReader(kind) for kind in (DecideBody, DecideBatchBody, EventsBody)
        )

    async def decide(self, body: bytes) -> Reply:
        """Decide for one customer; the request that is sent again with its `decision_id` gets the same decision."""
        asked = cast(DecideBody, self._decide.read(body))
        engine = self._host.engine
        decision_id = new_id() if asked.decision_id is None else asked.decision_id
        with self._tracer.span("decide") as span:
            future = self._queue_of(engine).submit(asked, decision_id, self._options.deadline)
            answer = await self._result(future, self._options.deadline, decision_id=decision_id)
            self._tracer.describe(span, engine.catalogue, answer)
        fault = answers.fault_kind(cast(str | None, answer["fault"]))
        return reply(
            answer,
            decision_id=decision_id,
            fault=fault,
            decided=[(answer["group"], answer["arm"] or "", 1)],
            n_faults=int(fault is not None),
            unlogged=int(not answer["logged"]),
        )

    async def decide_batch(self, body: bytes) -> Reply:
        """Decide for many customers at once."""
        asked = cast(DecideBatchBody, self._batch.read(body)).decisions
        self._check_size(len(asked), "decisions")
        engine = self._host.engine
        ids = [new_id() if each.decision_id is None else each.decision_id for each in asked]
        given = any(each.decision_id is not None for each in asked)
        call = functools.partial(answers.decide_all, engine, asked, ids, given=given)
        with self._tracer.span("decide_batch"):
            decided = await self._call(engine, call)
        return answers.batch_reply(decided, self._host.recipe.path)

    async def record(self, body: bytes) -> Reply:
        """Record events; an event that is sent again counts once."""
        asked = cast(EventsBody, self._events.read(body))
        self._check_size(len(asked.events), "events")
        engine = self._host.engine
        call = functools.partial(answers.record_all, engine, asked, self._host.recipe.path)
        found = await self._call(engine, call, whole=True)
        counts = {name: found.get(name, 0) for name in answers.EVENT_COUNTS}
        return reply(found, n=len(asked.events), events=counts, decision_ids=[str(e.decision_id) for e in asked.events])

    async def why(self, decision_id: str) -> Reply:
        """Explain a decision."""
        engine = self._host.engine
        found = await self._call(engine, lambda: engine.explain(decision_id).to_dict(), long=True)
        return reply(found, decision_id=decision_id)

    async def status(self) -> Reply:
        """Return the state of the engine and of this worker."""
        engine = self._host.engine
        status = await self._call(engine, engine.status, long=True)
        return reply(
            {
                "version": __version__,
                "worker": os.getpid(),
                "workers": self._options.workers,
                "learner": self._host.learner,
                "learned_at": self._host.learned_at,
                "catalogue": engine.catalogue.name,
                "catalogue_version": engine.catalogue.version,
                "policy": engine.policy.name,
                "engine": answers.status(status, self._host.recipe.path),
            }
        )

    async def health(self) -> Reply:
        """Say that the process answers."""
        return reply({"alive": True})

    async def ready(self) -> Reply:
        """Say whether requests are answered: with 503 while the engine opens or the service ends.

        Where the database takes nothing, decisions are still answered, by the fallback, and wait in the spool: that is
        ready and degraded, since every worker is so, and none would be left if all said that they were not ready.
        """
        unready = self._host.unready
        if unready is not None:
            raise RequestError(503, unready, retry=True, ready=False)
        engine = self._host.engine
        status = await self._call(engine, engine.status, long=True)
        why = answers.degraded(status)
        detail = None if why is None else without_paths(why, self._host.recipe.path)
        return reply({"ready": True, "degraded": detail is not None, "detail": detail})

    def _check_size(self, n: int, what: str) -> None:
        if n > self._options.max_batch:
            raise RequestError(
                413,
                f"there are {n:,} {what} in one request, and at most {self._options.max_batch:,} are taken; send parts",
            )

    async def _call(
        self, engine: Engine, call: Callable[[], Result], *, long: bool = False, whole: bool = False
    ) -> Result:
        """Run a call of the engine in its threads, within the deadline; RequestError for what it raises.

        A call that has not begun by the deadline is not made (503). One that has begun goes on, and the answer is 504;
        the engine gives up waiting for a locked database before that.
        """
        seconds = LONG_DEADLINE if long else self._options.deadline
        end = time.monotonic() + seconds

        def in_time() -> Result:
            if time.monotonic() > end:
                raise TimeoutError
            return call()

        return await self._result(engine.calls.submit(in_time, long=long), seconds, whole=whole)

    async def _result(self, future: Future[Result], seconds: float, *, whole: bool = False, **more: object) -> Result:
        """Await the result of a call until its deadline; RequestError for what it raises."""
        try:
            return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(future)), seconds)
        except TimeoutError:
            raise self._late(future, more) from None
        except asyncio.CancelledError:
            if not whole:
                future.cancel()
            raise
        except OfferBanditError as fault:
            if self._host.unready is not None:
                raise RequestError(503, self._host.unready, retry=True) from fault
            raise request_error(fault, self._host.recipe.path) from fault

    def _queue_of(self, engine: Engine) -> DecisionQueue:
        if self._queue is None:
            self._queue = DecisionQueue(engine, self._host.recipe.path)
        return self._queue

    def _late(self, future: Future[Result], more: dict[str, object]) -> RequestError:
        seconds = f"{self._options.deadline:g} s"
        if future.cancel() or future.done():
            return RequestError(503, f"the service is busy: the request was not begun within {seconds}", retry=True)
        again = " with this decision_id" if "decision_id" in more else ""
        return RequestError(
            504,
            f"the request was begun and not finished within {seconds}; send it again{again}: what was done is not done "
            "twice for the same ids",
            retry=True,
            **more,
        )
