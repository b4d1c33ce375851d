"""Spans of OpenTelemetry around decisions, with the attributes of a feature flag's evaluation.

Semantic conventions of OpenTelemetry, "feature_flag.evaluation". Without the API, or without an SDK that is set up,
nothing is recorded.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bandit.catalogue import Catalogue

EVALUATION = "feature_flag.evaluation"
PROVIDER = "offer-bandit"


def evaluation_attributes(catalogue: Catalogue, answer: Mapping[str, Any]) -> dict[str, str]:
    """Return the attributes of one decision: the campaign, the offer and why; neither the customer nor the facts.

    `answer` has the decision as `bandit.service.answers.decision` returns it.
    """
    fault, arm = answer["fault"], answer["arm"]
    found = {
        "feature_flag.key": catalogue.name,
        "feature_flag.provider.name": PROVIDER,
        "feature_flag.version": catalogue.version,
        "feature_flag.result.variant": " · ".join(answer["offer"].values()),
        "feature_flag.result.reason": "split" if fault is None else "error",
        "offer_bandit.decision_id": answer["decision_id"],
        "offer_bandit.group": answer["group"],
    }
    if arm is not None:
        found["offer_bandit.arm"] = arm
    if fault is not None:
        found["error.type"] = fault.partition(":")[0]
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

    def describe(self, span: Any, catalogue: Catalogue, answer: Mapping[str, Any]) -> None:  # noqa: ANN401 - of OpenTelemetry
        """Add a decision's attributes to a span that is recorded."""
        if span is not None and span.is_recording():
            attributes = evaluation_attributes(catalogue, answer)
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
