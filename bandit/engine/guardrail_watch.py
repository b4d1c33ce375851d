"""The engine's watch over the guardrails: it looks at them beside the decisions, and stops the policies."""

from __future__ import annotations

import time
from functools import partial

from bandit.catalogue import Catalogue
from bandit.engine.back_connection import BackConnection
from bandit.engine.counters import EngineCounters
from bandit.governance.guardrail_status import GuardrailStatus
from bandit.governance.guardrails import GuardrailMonitor, last_restart
from bandit.rollout import RolloutControl
from bandit.store import Store
from bandit.store.holdings import HoldingScope

WATCH_INTERVAL = 10.0
"""Seconds after which a decision starts another look at the guardrails."""

AUTHOR = "guardrail"
"""Who is said to have stopped the policies where a guardrail did."""


class GuardrailWatch(BackConnection):
    """Looks at the guardrails of a catalogue, one thread at a time, on a connection of its own.

    A guardrail that is broken and says "stop" has the substitute serve in place of the policies, in every process,
    until somebody resumes them by hand; what was counted before that does not count again.
    """

    def __init__(self, store: Store, catalogue: Catalogue, control: RolloutControl, counters: EngineCounters) -> None:
        super().__init__(store)
        self._catalogue = catalogue
        self._control = control
        self._counters = counters
        self._next_look = time.monotonic() + WATCH_INTERVAL
        self._monitor: GuardrailMonitor | None = None

    def check(self, moment: int) -> tuple[GuardrailStatus, ...]:
        """Look at all guardrails at a moment (microseconds), and stop the policies where one asks for it."""
        if not self._catalogue.guardrails:
            return ()
        with self._working, HoldingScope():
            if self.closed:
                self._front.counts()  # raises the error of a closed store
            if self._back is None or self._monitor is None:
                self._back = self._front.another()
                self._monitor = GuardrailMonitor(self._back, self._catalogue)
            statuses = self._monitor.check(since=last_restart(self._back), now=moment)
        broken = [status for status in statuses if status.stops]
        if broken:
            self._control.stop_once(author=AUTHOR, reason=broken[0].sentence)
        return statuses

    def poll(self, moment: int) -> None:
        """If it is time to, look at the guardrails in a thread; never raises."""
        if not self._catalogue.guardrails or time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + WATCH_INTERVAL
        if not self._is_running:
            self._start(partial(self._check_in_thread, moment), "guardrails")

    def _check_in_thread(self, moment: int) -> None:
        try:
            self.check(moment)
        except Exception as fault:  # noqa: BLE001 - whatever the error, decisions go on, and the next look comes
            if not self.closed:
                self._counters.count_fault(f"{type(fault).__name__}: while looking at the guardrails: {fault}", 0)
