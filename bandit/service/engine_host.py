"""The engine of one worker of the service: opened beside the requests, learning every so often, closed at the end."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from bandit.errors import OfferBanditError
from bandit.service.replies import RequestError, without_paths
from bandit.service.service_log import log_event

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from bandit.engine import Engine, EngineStatus
    from bandit.learning import LearnReport
    from bandit.service.options import ServiceOptions
    from bandit.service.recipe import EngineRecipe

LOOK_EVERY = 2.0
"""Seconds between two looks at the engine's status, for the metrics."""

REOPEN_AFTER = (1.0, 2.0, 5.0)
"""Seconds until an engine that could not be opened is tried again, the last one for every later time."""

LEARNER_FILE = "learner.lock"


class _StoppedLearning(Exception):  # noqa: N818 - not an error: the service ends
    """Raised through a `learn` that goes on while the service ends."""


class EngineHost:
    """Opens the engine in a thread and keeps it; `engine` is refused with a sentence until it is open.

    With `run_folder`, one of the workers that share it learns: the one that holds a lock on a file there, which the
    system takes from a process that has ended.
    """

    def __init__(
        self,
        recipe: EngineRecipe,
        options: ServiceOptions,
        *,
        on_status: Callable[[Engine, EngineStatus], None] = lambda _engine, _status: None,
        on_learned: Callable[[LearnReport | None, float], None] = lambda _report, _seconds: None,
    ) -> None:
        self.recipe, self.options = recipe, options
        self.learner = False
        self.learned_at: float | None = None
        self.fault: str | None = None
        self._engine: Engine | None = None
        self._on_status, self._on_learned = on_status, on_learned
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._lock_file: int | None = None

    @property
    def engine(self) -> Engine:
        """The open engine; RequestError (503) while there is none."""
        engine = self._engine
        if engine is None or self._stop.is_set():
            raise RequestError(503, self.unready or "the service is ending; send it to another worker", retry=True)
        return engine

    @property
    def unready(self) -> str | None:
        """Why no request can be answered, as a sentence; None where they can."""
        if self._stop.is_set():
            return "the service is ending; send the request again"
        if self._engine is None:
            return self.fault or "the engine is opening; send the request again"
        return None

    def start(self) -> None:
        """Begin to open the engine."""
        self._run(self._open, "open")

    def close(self) -> None:
        """Let the engine finish what it has begun, write what waits, and close it."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        if self._engine is not None:
            self._engine.close()
        if self._lock_file is not None:
            os.close(self._lock_file)
            self._lock_file = None

    def wait_until_open(self, seconds: float) -> bool:
        """Wait until the engine is open, and say whether it is."""
        end = time.monotonic() + seconds
        while self._engine is None and time.monotonic() < end:
            time.sleep(0.01)
        return self._engine is not None

    def _run(self, work: Callable[[], None], name: str) -> None:
        thread = threading.Thread(target=work, name=f"offer-bandit {name}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _open(self) -> None:
        tries = 0
        while not self._stop.is_set():
            try:
                engine = self.recipe.open()
            except (OfferBanditError, OSError) as fault:
                self.fault = f"the engine cannot be opened: {without_paths(str(fault), self.recipe.path)}"
                log_event("engine not opened", level="error", detail=self.fault)
                self._stop.wait(REOPEN_AFTER[min(tries, len(REOPEN_AFTER) - 1)])
                tries += 1
                continue
            self._engine, self.fault = engine, None
            log_event("engine opened", policy=engine.policy.name, step=engine.step, catalogue=engine.catalogue.version)
            self._run(self._look, "look")
            if self.options.learn_every is not None:
                self._run(self._learn, "learn")
            return

    def _look(self) -> None:
        """Report the engine's status every so often."""
        while self._engine is not None:
            self._on_status(self._engine, self._engine.status())
            if self._stop.wait(LOOK_EVERY):
                return

    def _learn(self) -> None:
        """Learn every so often, in the worker that may."""
        interval = self.options.learn_every
        while interval is not None and not self._stop.wait(interval):
            self.learner = self.learner or self._take_turn()
            if self.learner and self._engine is not None:
                self._learn_once(self._engine)

    def _learn_once(self, engine: Engine) -> None:
        begun = time.monotonic()
        try:
            report = engine.learn(progress=self._goes_on)
        except _StoppedLearning:
            return
        except Exception as fault:  # noqa: BLE001 - decisions go on, and the next round tries again
            self._on_learned(None, time.monotonic() - begun)
            detail = without_paths(str(fault), self.recipe.path) if isinstance(fault, OfferBanditError) else ""
            log_event("learning failed", level="error", error=type(fault).__name__, detail=detail)
            return
        seconds = time.monotonic() - begun
        self.learned_at = time.time()
        self._on_learned(report, seconds)
        if report.n:
            log_event("learned", outcomes=report.n, step=report.step, ms=round(seconds * 1e3, 1))

    def _goes_on(self, _done: int, _total: int) -> None:
        if self._stop.is_set():
            raise _StoppedLearning

    def _take_turn(self) -> bool:
        """Become the worker that learns, if no other one is."""
        if sys.platform == "win32" or self.options.run_folder is None:
            return True
        if self._lock_file is None:
            self._lock_file = os.open(Path(self.options.run_folder) / LEARNER_FILE, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True
