"""An OpenFeature provider: resolving a flag is deciding for a customer, and tracking an event is recording it.

A flag's key is the name of a dimension, whose value is the option's name, or `offer`, whose value is an object with the
option of every dimension. All flags that are resolved for a customer with the same facts within `hold` seconds, or
with the same `decision_id` in the evaluation context, are of one decision.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from bandit.errors import (
    ContextError,
    DuplicateError,
    InputError,
    MissingExtraError,
    OfferBanditError,
    UnknownDecisionError,
)
from bandit.printable import did_you_mean

try:
    from openfeature.exception import (
        FlagNotFoundError,
        GeneralError,
        InvalidContextError,
        OpenFeatureError,
        ProviderFatalError,
        TargetingKeyMissingError,
        TypeMismatchError,
    )
    from openfeature.flag_evaluation import FlagResolutionDetails, Reason
    from openfeature.provider import AbstractProvider, Metadata
except ImportError as fault:
    raise MissingExtraError("the OpenFeature provider", "openfeature") from fault

from bandit.service.openfeature_telemetry import EvaluationSpanHook
from bandit.service.shared_decisions import SharedDecisions

if TYPE_CHECKING:
    from openfeature.evaluation_context import EvaluationContext
    from openfeature.flag_evaluation import FlagValueType
    from openfeature.hook import Hook
    from openfeature.track import TrackingEventDetails

    from bandit.domain import Decision
    from bandit.engine import Engine

OFFER_FLAG = "offer"
"""The flag whose value is the whole offer."""

DECISION_ATTRIBUTE = "decision_id"
"""The attribute, of an evaluation context or of a tracking event, that names the decision."""

HOLD_SECONDS = 60.0
"""How long the same question has the same decision, unless it names one."""

MOST_HELD = 100_000
"""Most questions, and most customers, whose last decision is kept in memory."""

_Flag = TypeVar("_Flag")


class OfferProvider(AbstractProvider):
    """Resolves flags by an engine, which stays the caller's: close it after the provider is shut down.

    The targeting key is the customer, and the attributes of the evaluation context are the facts, apart from
    `decision_id` and from those named in `ignored`, such as an application's version. The flag's metadata has the
    decision's id, the propensity, the policy and the group; `variant` is the option's name. The reason is SPLIT where
    a decision was made, CACHED where it had been made before, and DEFAULT where the catalogue's fallback was served
    since the policy or the database failed.

    Errors have OpenFeature's codes: FLAG_NOT_FOUND, TYPE_MISMATCH (an option is a text), TARGETING_KEY_MISSING,
    INVALID_CONTEXT for facts that do not fit the catalogue, GENERAL for the rest; then the SDK returns the default.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        hold: float = HOLD_SECONDS,
        ignored: Collection[str] = (),
        most_held: int = MOST_HELD,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Serve from an open engine; InputError for a `hold` or a number that cannot be used."""
        super().__init__()
        if not hold >= 0.0 or most_held < 1:
            raise InputError(f"hold is at least 0 seconds, and most_held at least 1; seen {hold} and {most_held}")
        self.engine = engine
        self._ignored = frozenset(ignored) | {DECISION_ATTRIBUTE}
        self._decisions = SharedDecisions(engine, hold, most_held, clock)
        self._dimensions = frozenset(engine.catalogue.dimension_names)

    def get_metadata(self) -> Metadata:
        """Return the provider's name."""
        return Metadata("offer-bandit")

    def get_provider_hooks(self) -> list[Hook]:
        """Return the hook that adds `feature_flag.evaluation` to the current span of OpenTelemetry."""
        return [EvaluationSpanHook()]

    def initialize(self, evaluation_context: EvaluationContext) -> None:  # noqa: ARG002 - as the SDK has it
        """Raise ProviderFatalError where the engine is closed."""
        if self.engine.status().closed:
            raise ProviderFatalError("the engine is closed; open it again, and make a provider of it")

    # -- resolve -----------------------------------------------------------------------------------------------

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        """Return the option of a dimension for the customer."""
        return self._resolved(flag_key, default_value, evaluation_context, self._option_of)

    def resolve_object_details(
        self,
        flag_key: str,
        default_value: Sequence[FlagValueType] | Mapping[str, FlagValueType],
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Sequence[FlagValueType] | Mapping[str, FlagValueType]]:
        """Return the whole offer: an object with the option of each dimension."""
        return self._resolved(flag_key, default_value, evaluation_context, self._offer_of)

    def resolve_boolean_details(
        self, flag_key: str, default_value: bool, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[bool]:
        """Return the default with TYPE_MISMATCH: an option is a text."""
        return self._mismatch(flag_key, default_value, evaluation_context)

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        """Return the default with TYPE_MISMATCH: an option is a text."""
        return self._mismatch(flag_key, default_value, evaluation_context)

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        """Return the default with TYPE_MISMATCH: an option is a text."""
        return self._mismatch(flag_key, default_value, evaluation_context)

    async def resolve_string_details_async(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        """Do what `resolve_string_details` does, in a thread: the event loop goes on while the decision is logged."""
        return await asyncio.to_thread(self.resolve_string_details, flag_key, default_value, evaluation_context)

    async def resolve_object_details_async(
        self,
        flag_key: str,
        default_value: Sequence[FlagValueType] | Mapping[str, FlagValueType],
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Sequence[FlagValueType] | Mapping[str, FlagValueType]]:
        """Do what `resolve_object_details` does, in a thread."""
        return await asyncio.to_thread(self.resolve_object_details, flag_key, default_value, evaluation_context)

    def _option_of(self, flag_key: str) -> Callable[[Decision], tuple[str, str | None]]:
        if flag_key == OFFER_FLAG and flag_key not in self._dimensions:
            raise TypeMismatchError(f'the flag "{flag_key}" is an object with the option of each dimension')
        self._check_flag(flag_key)
        return lambda decision: (decision.offer[flag_key], decision.offer[flag_key])

    def _offer_of(self, flag_key: str) -> Callable[[Decision], tuple[dict[str, FlagValueType], str | None]]:
        if flag_key in self._dimensions:
            raise TypeMismatchError(f'the flag "{flag_key}" is a dimension, whose option is a text')
        self._check_flag(flag_key)
        label = self.engine.catalogue.label
        return lambda decision: (dict(decision.offer), label(decision.offer_index))

    def _check_flag(self, flag_key: str) -> None:
        """Raise FlagNotFoundError for a flag that the catalogue does not have."""
        if flag_key != OFFER_FLAG and flag_key not in self._dimensions:
            known = [*self.engine.catalogue.dimension_names, OFFER_FLAG]
            raise FlagNotFoundError(
                f'there is no flag "{flag_key}"; flags are {", ".join(known)}{did_you_mean(flag_key, known)}'
            )

    def _mismatch(
        self, flag_key: str, default_value: _Flag, context: EvaluationContext | None
    ) -> FlagResolutionDetails[_Flag]:
        def refuse(flag_key: str) -> Callable[[Decision], tuple[_Flag, str | None]]:
            self._check_flag(flag_key)
            raise TypeMismatchError(f'the flag "{flag_key}" is a text, the name of an option, or an object')

        return self._resolved(flag_key, default_value, context, refuse)

    def _resolved(
        self,
        flag_key: str,
        default_value: _Flag,
        context: EvaluationContext | None,
        reader: Callable[[str], Callable[[Decision], tuple[_Flag, str | None]]],
    ) -> FlagResolutionDetails[_Flag]:
        """Return what a decision gives for a flag; nothing is decided for a flag that cannot be read."""
        try:
            read = reader(flag_key)
            customer, facts, decision_id = self._question(context)
            shared = self._decisions.decide(customer, facts, decision_id)
        except OpenFeatureError as fault:
            return _failed(default_value, fault)
        except OfferBanditError as fault:
            return _failed(default_value, _open_feature_error(fault))
        decision = shared.decision
        value, variant = read(decision)
        reason = Reason.CACHED if shared.is_repeat else Reason.SPLIT
        return FlagResolutionDetails(
            value=value,
            reason=Reason.DEFAULT if decision.fault is not None else reason,
            variant=variant,
            flag_metadata=self._metadata(decision),
        )

    def _question(self, context: EvaluationContext | None) -> tuple[str, dict[str, object], str | None]:
        """Return the customer, the facts and the decision's id that a context has."""
        customer = _customer(context)
        attributes: dict[str, object] = {} if context is None else dict(context.attributes)
        named = attributes.get(DECISION_ATTRIBUTE)
        facts = {name: value for name, value in attributes.items() if name not in self._ignored}
        return customer, facts, None if named is None else str(named)

    def _metadata(self, decision: Decision) -> dict[str, bool | int | float | str]:
        """Return what is known of a decision; `contextId`, `flagSetId` and `version` are OpenFeature's own names."""
        catalogue = self.engine.catalogue
        found: dict[str, bool | int | float | str] = {
            DECISION_ATTRIBUTE: decision.decision_id,
            "propensity": decision.propensity,
            "policy": self.engine.policy.name,
            "policy_id": self.engine.policy_id,
            "group": decision.group,
            "logged": decision.logged,
            "contextId": decision.decision_id,
            "flagSetId": catalogue.name or "offer-bandit",
            "version": catalogue.version,
        }
        further = {"fault": decision.fault, "arm": decision.arm, "held_from": decision.held_from}
        return found | {name: value for name, value in further.items() if value is not None}

    # -- track -------------------------------------------------------------------------------------------------

    def track(
        self,
        tracking_event_name: str,
        evaluation_context: EvaluationContext | None = None,
        tracking_event_details: TrackingEventDetails | None = None,
    ) -> None:
        """Record an event of the decision named by `decision_id`, else of the customer's last one.

        The event's value is its revenue, or its reward where the objective is "reward"; `event_id` among the attributes
        makes a repeated call count once. An event that cannot be recorded raises, with OpenFeature's errors: nothing
        is lost in silence.
        """
        attributes = {} if tracking_event_details is None else tracking_event_details.attributes
        value = None if tracking_event_details is None else tracking_event_details.value
        event_id = attributes.get("event_id")
        rewarded = self.engine.catalogue.objective.kind == "reward"
        try:
            self.engine.record(
                self._tracked_decision(attributes, evaluation_context),
                tracking_event_name,
                revenue=None if rewarded else value,
                reward=value if rewarded else None,
                event_id=None if event_id is None else str(event_id),
            )
        except OfferBanditError as fault:
            raise _open_feature_error(fault) from fault

    def _tracked_decision(self, attributes: Mapping[str, object], context: EvaluationContext | None) -> str:
        """Return the id of the decision that an event is of; InvalidContextError where the customer has none."""
        named = attributes.get(DECISION_ATTRIBUTE)
        if named is None and context is not None:
            named = context.attributes.get(DECISION_ATTRIBUTE)
        if named is not None:
            return str(named)
        last = self._decisions.last_of(_customer(context))
        if last is None:
            raise InvalidContextError(
                f"no decision is known of this customer; resolve a flag first, or pass its {DECISION_ATTRIBUTE} among "
                "the attributes of the event"
            )
        return last


def _customer(context: EvaluationContext | None) -> str:
    """Return the targeting key; TargetingKeyMissingError without one."""
    if context is None or not context.targeting_key:
        raise TargetingKeyMissingError("the targeting key is the customer's key; put it into the evaluation context")
    return context.targeting_key


def _failed(default_value: _Flag, fault: OpenFeatureError) -> FlagResolutionDetails[_Flag]:
    return FlagResolutionDetails(
        value=default_value, reason=Reason.ERROR, error_code=fault.error_code, error_message=fault.error_message
    )


def _open_feature_error(fault: OfferBanditError) -> OpenFeatureError:
    """Return the error of OpenFeature for one of ours, with its own sentence."""
    mistaken = isinstance(fault, (ContextError, DuplicateError, UnknownDecisionError))
    return InvalidContextError(str(fault)) if mistaken else GeneralError(str(fault))
