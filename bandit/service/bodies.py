"""The bodies of requests: their shape, and how they are read; facts are checked by the catalogue alone."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from bandit.service.replies import RequestError

Body = TypeVar("Body")

_CUSTOMER = Meta(description="Your key of the customer; it is stored under a keyed hash.", examples=["customer-42"])
_DECISION_ID = Meta(
    description="An id of your own: a request that is sent again with it gets the same decision.",
    examples=["order-1001"],
)
_TIME = Meta(description="When it was, RFC 3339 with a time zone, or microseconds since 1970 UTC; default: now.")


class DecideBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A request for one decision."""

    customer: Annotated[str | int, _CUSTOMER]
    context: dict[str, Any] = {}
    decision_id: Annotated[str | None, _DECISION_ID] = None
    group: Annotated[str | None, Meta(description="The group to decide for; default: the customer's own.")] = None
    time: Annotated[datetime | int | None, _TIME] = None


class DecideBatchBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Requests for decisions, answered in their order."""

    decisions: list[DecideBody]


class EventBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What happened after a decision."""

    decision_id: Annotated[str | int, Meta(description="The decision's id.", examples=["order-1001"])]
    event: Annotated[str, Meta(description="What happened.", examples=["purchase"])]
    event_id: Annotated[
        str | int | None,
        Meta(description="An id of your own: an event sent again with it counts once.", examples=["payment-77"]),
    ] = None
    revenue: Annotated[
        float | None, Meta(description="Revenue of the event; negative for a return.", examples=[52.0])
    ] = None
    reward: Annotated[float | None, Meta(description='Reward of the event, for objective "reward".')] = None
    time: Annotated[datetime | int | None, _TIME] = None


class EventsBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Events, recorded all or none; with `each`, every one for itself."""

    events: list[EventBody]
    each: Annotated[
        bool,
        Meta(description="Record each event for itself: one that is refused does not keep the others out."),
    ] = False
    correct: Annotated[bool, Meta(description="Replace earlier events of the same ids, where the content differs.")] = (
        False
    )


class BodyReader:
    """Reads the bodies of one kind; the readers are made once."""

    def __init__(self, kind: type[Body]) -> None:
        self._decoder = msgspec.json.Decoder(kind)

    def read(self, body: bytes) -> object:
        """Return a body; RequestError with one sentence for what is no JSON (400) or has another shape (422)."""
        if not body:
            raise RequestError(400, "the body is empty; send a JSON object, with Content-Type: application/json")
        try:
            return self._decoder.decode(body)
        except msgspec.ValidationError as fault:
            raise RequestError(422, _shape_sentence(str(fault))) from None
        except (msgspec.DecodeError, UnicodeDecodeError) as fault:
            raise RequestError(400, f"the body is not JSON: {_lower(str(fault))}") from None
        except RecursionError:
            raise RequestError(400, "the body is nested too deeply; send a flat JSON object") from None


def _shape_sentence(fault: str) -> str:
    """Return the sentence of a body of another shape, such as "customer: expected `str | int`, got `null`"."""
    what, _, place = fault.partition(" - at `$")
    place = place.rstrip("`").lstrip(".")
    return f"{place or 'the body'}: {_lower(what)}; /openapi.json describes it (`serve --docs`)"


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
