"""The log, the metrics and the trace of every request, and the last place where an error becomes a sentence."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from bandit.service.replies import INTERNAL_ERROR, Reply, RequestError, error_reply
from bandit.service.service_log import LOGGER, log_event
from bandit.service.telemetry import carried_context

if TYPE_CHECKING:
    from bandit.service.service_metrics import ServiceMetrics

_EVENTS = {"/decide": "decide", "/decide/batch": "decide batch", "/events": "record", "/why": "why"}
_QUIET = ("/healthz", "/readyz", "/metrics", "/status")
_LOGGED = ("decision_id", "decision_ids", "n", "fault", "events")
_MOST_IDS = 100


class RequestWatch:
    """Logs and counts every answered request of an address."""

    def __init__(self, metrics: ServiceMetrics) -> None:
        self._metrics = metrics

    async def answer(
        self, route: str, handle: Callable[[], Awaitable[Reply]], headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Return the reply of an address, or that of the error which it raised; it is logged and counted."""
        begun = time.perf_counter()
        level = "info"
        try:
            with carried_context(headers):
                found = await handle()
        except RequestError as error:
            found = error_reply(error)
            level = "warning" if found.status < 500 else "error"
        except Exception:  # noqa: BLE001 - the last place where an error can become a sentence
            LOGGER.error("internal error", exc_info=True, extra={"fields": {"route": route}})
            found = error_reply(RequestError(500, INTERNAL_ERROR))
            level = "error"
        seconds = time.perf_counter() - begun
        self._metrics.count_request(route, found, seconds)
        if route not in _QUIET or found.status == 500:
            _log(route, found, seconds, level)
        return found


def _log(route: str, found: Reply, seconds: float, level: str) -> None:
    fields = {name: found.notes[name] for name in _LOGGED if found.notes.get(name) is not None}
    ids = fields.get("decision_ids")
    if isinstance(ids, list) and len(ids) > _MOST_IDS:
        fields["decision_ids"] = ids[:_MOST_IDS]
    log_event(_EVENTS.get(route, "request"), level=level, status=found.status, ms=round(seconds * 1e3, 3), **fields)
