"""Decisions that wait for the engine at the same moment are made together: one transaction, one wait for the disk."""

from __future__ import annotations

import functools
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bandit.errors import OfferBanditError
from bandit.service import answers

if TYPE_CHECKING:
    from pathlib import Path

    from bandit.engine import Engine
    from bandit.service.bodies import DecideBody

MOST_TOGETHER = 64
"""Most decisions that are made together, so that none waits long for the others."""

Answer = dict[str, object]


@dataclass(slots=True, eq=False)
class QueuedDecision:
    """A request that waits: what was asked, its id, and when it is too late to begin (of the monotonic clock)."""

    asked: DecideBody
    decision_id: str
    end: float
    answer: Future[Answer] = field(default_factory=Future)

    @property
    def is_plain(self) -> bool:
        """Whether it can be decided together with others: by its customer's own group, now."""
        return self.asked.group is None and self.asked.time is None


class DecisionQueue:
    """The requests that wait for one engine, which are taken in their order.

    What is decided together is a batch of the engine, whose propensities are as exact as those of single decisions.
    Two requests of one customer, or with one id, are never in the same batch: the later one may have to be answered by
    the earlier one. Where a batch is refused, each of its requests is decided by itself and has its own error; one
    whose decision the batch had made already gets that one, by its id. A policy that fails on one of them fails on all:
    they get the fallback, as in any batch.
    """

    def __init__(self, engine: Engine, database: Path) -> None:
        self._engine, self._database = engine, database
        self._waiting: deque[QueuedDecision] = deque()
        self._lock = threading.Lock()
        self._scheduled = False

    def submit(self, asked: DecideBody, decision_id: str, seconds: float) -> Future[Answer]:
        """Put a request into the queue; its future has the answer, or raises what the engine raises.

        A request that was not begun after so many seconds is not made, and raises TimeoutError.
        """
        queued = QueuedDecision(asked, decision_id, time.monotonic() + seconds)
        with self._lock:
            self._waiting.append(queued)
            begins, self._scheduled = not self._scheduled, True
        if begins:
            self._engine.calls.submit(self._work)
        return queued.answer

    def _work(self) -> None:
        """Decide for those that wait now; the rest has its turn after what the engine was asked for meanwhile."""
        taken = self._take()
        try:
            begun = [each for each in taken if each.answer.set_running_or_notify_cancel()]
            for each in begun:
                if time.monotonic() > each.end:
                    each.answer.set_exception(TimeoutError())
            self._decide([each for each in begun if not each.answer.done()])
        finally:
            with self._lock:
                goes_on = self._scheduled = bool(self._waiting)
            if goes_on:  # not under the lock: a closed engine does it at once
                self._engine.calls.submit(self._work)

    def _take(self) -> list[QueuedDecision]:
        """Take the first requests out of the queue, as many as can be decided together."""
        taken: list[QueuedDecision] = []
        customers: set[str] = set()
        with self._lock:
            while self._waiting and len(taken) < MOST_TOGETHER:
                each = self._waiting[0]
                keys = {f"c{each.asked.customer}", f"d{each.decision_id}"}
                if taken and (not each.is_plain or not taken[0].is_plain or keys & customers):
                    break
                customers |= keys
                taken.append(self._waiting.popleft())
        return taken

    def _decide(self, requests: Sequence[QueuedDecision]) -> None:
        if len(requests) > 1 and self._decide_together(requests):
            return
        for each in requests:
            asked: Any = each.asked
            try:
                made = self._engine.decide(
                    asked.customer, asked.context, decision_id=each.decision_id, time=asked.time, group=asked.group
                )
                each.answer.set_result(answers.decision(made, self._database))
            except Exception as fault:  # noqa: BLE001 - whatever it is, the request's answer raises it
                each.answer.set_exception(fault)

    def _decide_together(self, requests: Sequence[QueuedDecision]) -> bool:
        """Answer all requests by one batch; False where it is refused."""
        customers: list[Any] = [each.asked.customer for each in requests]
        decide = functools.partial(self._engine.decide_batch, customers, [each.asked.context for each in requests])
        try:
            rows = answers.rows_of(decide(decision_ids=[each.decision_id for each in requests]), self._database)
        except OfferBanditError:
            return False
        except Exception as fault:  # noqa: BLE001 - as above
            for each in requests:
                each.answer.set_exception(fault)
            return True
        for each, row in zip(requests, rows, strict=True):
            each.answer.set_result(row)
        return True
