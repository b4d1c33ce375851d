"""The OpenTelemetry event of a resolved flag: its attributes, and a hook that adds it to the current span."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bandit.errors import MissingExtraError

try:
    from openfeature.flag_evaluation import Reason
    from openfeature.hook import Hook
except ModuleNotFoundError as fault:
    raise MissingExtraError("the OpenFeature hook", "openfeature") from fault

if TYPE_CHECKING:
    from openfeature.flag_evaluation import FlagEvaluationDetails, FlagValueType
    from openfeature.hook import HookContext, HookHints

EVALUATION_EVENT = "feature_flag.evaluation"
"""The name of the event in OpenTelemetry's semantic conventions."""


def evaluation_attributes(
    context: HookContext, details: FlagEvaluationDetails[FlagValueType]
) -> dict[str, str | float | int | bool]:
    """Return the attributes of the event `feature_flag.evaluation` (OpenTelemetry semantic conventions for flags).

    The context's id is that of the decision: a customer's own key is never among them.
    """
    metadata = details.flag_metadata
    found: dict[str, str | float | int | bool | None] = {
        "feature_flag.key": details.flag_key,
        "feature_flag.provider.name": None if context.provider_metadata is None else context.provider_metadata.name,
        "feature_flag.result.variant": details.variant,
        "feature_flag.result.reason": str(details.reason or Reason.UNKNOWN).lower(),
        "feature_flag.context.id": metadata.get("contextId"),
        "feature_flag.set.id": metadata.get("flagSetId"),
        "feature_flag.version": metadata.get("version"),
    }
    if details.error_code is not None:
        found["error.type"] = str(details.error_code).lower()
    return {name: value for name, value in found.items() if value is not None}


class EvaluationSpanHook(Hook):
    """Adds the event to the span that is current when a flag is resolved; nothing without opentelemetry-api."""

    def finally_after(
        self,
        hook_context: HookContext,
        details: FlagEvaluationDetails[FlagValueType],
        hints: HookHints,  # noqa: ARG002 - as the SDK has it
    ) -> None:
        """Add the event, after the flag is resolved or was found to have an error."""
        try:
            from opentelemetry import trace  # noqa: PLC0415 - the extra [service]
        except ImportError:
            return
        trace.get_current_span().add_event(EVALUATION_EVENT, evaluation_attributes(hook_context, details))
