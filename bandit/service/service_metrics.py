"""The metrics of the service, in Prometheus' format; the workers of one service share files, and each can tell all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bandit.errors import MissingExtraError
from bandit.service.replies import Reply

if TYPE_CHECKING:
    from bandit.engine import Engine, EngineStatus
    from bandit.learning import LearnReport

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""The variable that names the folder of the workers' files; it must be set before prometheus-client is imported."""

_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_MOST_LABELS = 50


class ServiceMetrics:
    """Counts requests, decisions, events and learning; `render` returns those of all workers.

    Groups beyond the first 50 are counted as "other": a caller may name any.
    """

    def __init__(self, folder: Path | None = None) -> None:
        """`folder` is the folder of the workers' files, None for a service of one process."""
        try:
            import prometheus_client as client  # noqa: PLC0415 - an extra
        except ImportError as fault:
            raise MissingExtraError("the service", "service") from fault
        for_created: Any = client.disable_created_metrics
        for_created()
        self._client, self._folder = client, folder
        self._registry = client.CollectorRegistry()
        self._labels: set[tuple[str, str]] = set()
        counter, histogram, gauge = self._counter, self._histogram, self._gauge
        self._requests = counter("requests_total", "Requests by address and HTTP status.", "route", "status")
        self._seconds = histogram("request_seconds", "Seconds from a request's head to its answer.", "route")
        self._decisions = counter("decisions_total", "Decisions by group and by what served them.", "group", "arm")
        self._fallbacks = counter("fallbacks_total", "Decisions by the fallback, by kind of fault.", "reason")
        self._unlogged = counter("unlogged_decisions_total", "Decisions that could be written nowhere.")
        self._events = counter("events_total", "Events by what became of them.", "status")
        self._outcomes = counter("learned_outcomes_total", "Outcomes that the policy learned.")
        self._learn_seconds = histogram("learn_seconds", "Seconds of each round of learning.")
        self._learn_failures = counter("learn_failures_total", "Rounds of learning that failed.")
        self._learned_at = gauge("learned_timestamp_seconds", "When a round of learning last ended well.", "max")
        self._spooled = gauge("spooled_lines", "Lines that wait in the spools of the workers.", "livesum")
        self._refused = gauge("refused_spool_lines", "Lines of earlier spools that the database refused.", "livemax")
        self._lag = gauge("policy_lag_steps", "Steps that a worker is behind the newest one.", "livemax")
        self._well = gauge("well", "1 where policies serve and the database takes decisions.", "livemin")
        self._share = gauge("group_share_declared", "The share of customers meant for a group.", "livemax", "group")
        self._policy_share = gauge("policy_share", "The share of customers whom policies serve.", "livemin")

    def count_request(self, route: str, found: Reply, seconds: float) -> None:
        """Count an answered request and what is noted in its reply."""
        self._requests.labels(route, str(found.status)).inc()
        self._seconds.labels(route).observe(seconds)
        notes: Any = found.notes
        decided: Sequence[tuple[str, str, int]] = notes.get("decided", ())
        for group, arm, n in decided:
            self._decisions.labels(*self._bounded(group, arm)).inc(n)
        if notes.get("fault"):
            self._fallbacks.labels(notes["fault"]).inc(notes["n_faults"])
        if notes.get("unlogged"):
            self._unlogged.inc(notes["unlogged"])
        for name, n in notes.get("events", {}).items():
            if n:
                self._events.labels(name.removeprefix("n_")).inc(n)

    def take_status(self, engine: Engine, status: EngineStatus) -> None:
        """Take over the state of this worker's engine."""
        self._spooled.set(status.spooled)
        self._refused.set(status.refused)
        self._lag.set(status.lag or 0)
        self._well.set(float(status.well))
        self._policy_share.set(status.policy_share)
        groups = engine.catalogue.groups
        if groups is not None:
            for name, share in zip(groups.names, groups.shares, strict=True):
                self._share.labels(name).set(share)

    def count_learning(self, report: LearnReport | None, seconds: float) -> None:
        """Count a round of learning, None for one that failed."""
        if report is None:
            self._learn_failures.inc()
            return
        self._learn_seconds.observe(seconds)
        self._outcomes.inc(report.n)
        self._learned_at.set_to_current_time()

    def render(self) -> Reply:
        """Return the metrics of all workers; gauges of workers that have ended are left out."""
        registry = self._registry
        if self._folder is not None:
            from prometheus_client import multiprocess  # noqa: PLC0415 - an extra

            self._forget_ended(multiprocess)
            registry = self._client.CollectorRegistry()
            collector: Any = multiprocess.MultiProcessCollector
            collector(registry, path=str(self._folder))
        return Reply(200, self._client.generate_latest(registry), self._client.CONTENT_TYPE_LATEST)

    def _forget_ended(self, multiprocess: Any) -> None:  # noqa: ANN401 - a module
        """Remove the live gauges of workers that have ended; counters of ended workers go on counting."""
        if self._folder is None:
            return
        for number in {path.stem.rpartition("_")[2] for path in self._folder.glob("gauge_live*_*.db")}:
            try:
                os.kill(int(number), 0)
            except ProcessLookupError:
                with contextlib.suppress(OSError):
                    multiprocess.mark_process_dead(int(number), path=str(self._folder))
            except (PermissionError, ValueError):
                continue

    def _bounded(self, group: str, arm: str) -> tuple[str, str]:
        labels = (group, arm)
        if labels in self._labels:
            return labels
        if len(self._labels) >= _MOST_LABELS:
            return ("other", arm.partition(":")[0])
        self._labels.add(labels)
        return labels

    def _counter(self, name: str, about: str, *labels: str) -> Any:  # noqa: ANN401 - of prometheus-client
        return self._client.Counter(f"offer_bandit_{name}", about, labels, registry=self._registry)

    def _histogram(self, name: str, about: str, *labels: str) -> Any:  # noqa: ANN401 - of prometheus-client
        return self._client.Histogram(f"offer_bandit_{name}", about, labels, buckets=_SECONDS, registry=self._registry)

    def _gauge(self, name: str, about: str, mode: Any, *labels: str) -> Any:  # noqa: ANN401 - of prometheus-client
        return self._client.Gauge(
            f"offer_bandit_{name}", about, labels, registry=self._registry, multiprocess_mode=mode
        )
