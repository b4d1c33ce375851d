"""Spans of OpenTelemetry around decisions, with the attributes of a feature flag's evaluation.

Semantic conventions of OpenTelemetry, "feature_flag.evaluation". Without the API, or without an SDK that is set up,
nothing is recorded.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bandit.domain import Decision
    from bandit.engine import Engine

EVALUATION = "feature_flag.evaluation"
PROVIDER = "offer-bandit"


def evaluation_attributes(engine: Engine, decision: Decision) -> dict[str, str]:
    """Return the attributes of one decision: the campaign, the offer and why; neither the customer nor the facts."""
    found = {
        "feature_flag.key": engine.catalogue.name,
        "feature_flag.provider.name": PROVIDER,
        "feature_flag.version": engine.catalogue.version,
        "feature_flag.result.variant": engine.catalogue.label(decision.offer_index),
        "feature_flag.result.reason": "split" if decision.fault is None else "error",
        "offer_bandit.decision_id": decision.decision_id,
        "offer_bandit.group": decision.group,
    }
    if decision.arm is not None:
        found["offer_bandit.arm"] = decision.arm
    if decision.fault is not None:
        found["error.type"] = decision.fault.partition(":")[0]
    return found


class DecisionTracer:
    """Starts a span for each call of the engine, if OpenTelemetry's API is installed."""

    def __init__(self, version: str) -> None:
        self._tracer: Any = None
        with contextlib.suppress(ImportError):
            from opentelemetry import trace  # noqa: PLC0415 - an extra

            self._tracer = trace.get_tracer("offer-bandit", version)

    @contextlib.contextmanager
    def span(self, name: str) -> Iterator[Any]:
        """Yield a span that is the current one; None without the API."""
        if self._tracer is None:
            yield None
            return
        with self._tracer.start_as_current_span(f"offer_bandit.{name}", record_exception=False) as span:
            yield span

    def describe(self, span: Any, engine: Engine, decision: Decision) -> None:  # noqa: ANN401 - of OpenTelemetry
        """Add a decision's attributes to a span that is recorded."""
        if span is not None and span.is_recording():
            attributes = evaluation_attributes(engine, decision)
            span.set_attributes(attributes)
            span.add_event(EVALUATION, attributes)


@contextlib.contextmanager
def carried_context(headers: Mapping[str, str] | None) -> Iterator[None]:
    """Continue the trace that a request's headers carry, if there is one."""
    if headers is None or "traceparent" not in headers:
        yield
        return
    try:
        from opentelemetry import context, propagate  # noqa: PLC0415 - an extra
    except ImportError:
        yield
        return
    token = context.attach(propagate.extract(headers))
    try:
        yield
    finally:
        context.detach(token)
