"""The service's OpenAPI document: bodies and examples made from the catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from bandit.service.bodies import DecideBatchBody, DecideBody, EventBody, EventsBody

if TYPE_CHECKING:
    from bandit.catalogue import Catalogue
    from bandit.catalogue.facts import Fact

BODIES = {"/decide": "DecideBody", "/decide/batch": "DecideBatchBody", "/events": "EventsBody"}
"""The schema of the body of each address that takes one."""

_REF = "#/components/schemas/{name}"
_TYPES = {"numeric": "number", "boolean": "boolean", "categorical": "string"}
_ERROR = {
    "type": "object",
    "required": ["detail"],
    "properties": {"detail": {"type": "string", "description": "What is wrong, and what to do: one sentence."}},
}
_ERRORS = {
    "400": "The body is not JSON.",
    "401": "The bearer token is missing or wrong.",
    "404": "There is no such decision.",
    "409": "The id is there already, with other content.",
    "413": "The body or the batch is too large.",
    "422": "The values do not fit the catalogue.",
    "503": "The service is opening, ending or busy; nothing was done. Send it again after Retry-After seconds.",
    "504": "Begun and not finished in time; send it again with the same ids.",
}


def complete(document: dict[str, Any], catalogue: Catalogue) -> dict[str, Any]:
    """Return the framework's document with the bodies, answers and examples of a catalogue."""
    _, schemas = msgspec.json.schema_components((DecideBody, DecideBatchBody, EventBody, EventsBody), ref_template=_REF)
    schemas["DecideBody"]["properties"]["context"] = context_schema(catalogue)
    schemas["Decision"], schemas["Error"] = _decision_schema(catalogue), _ERROR
    document.setdefault("components", {}).setdefault("schemas", {}).update(schemas)
    document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    examples = body_examples(catalogue)
    for path, operations in document["paths"].items():
        for operation in operations.values():
            _describe(operation, path, examples)
    return document


def _describe(operation: dict[str, Any], path: str, examples: Mapping[str, object]) -> None:
    """Add the body, the errors and the need of a token to one operation."""
    responses = operation["responses"]
    responses.pop("422", None)
    if path in BODIES:
        schema = {"$ref": _REF.format(name=BODIES[path])}
        content = {"application/json": {"schema": schema, "example": examples[path]}}
        operation["requestBody"] = {"required": True, "content": content}
    open_to_all = path in {"/healthz", "/readyz"}
    if not open_to_all:
        operation["security"] = [{"token": []}]
    for status, about in _ERRORS.items():
        if open_to_all and status != "503":
            continue
        error = {"application/json": {"schema": {"$ref": _REF.format(name="Error")}}}
        responses[status] = {"description": about, "content": error}
    if path == "/decide":
        schema = {"$ref": _REF.format(name="Decision")}
        responses["200"] = {"description": "The decision.", "content": {"application/json": {"schema": schema}}}


def context_schema(catalogue: Catalogue) -> dict[str, Any]:
    """Return the JSON schema of a context: the declared facts, each of which may be left out."""
    return {
        "type": "object",
        "description": "What is known of the customer; a fact that is left out, or null, is missing.",
        "properties": {name: _fact_schema(fact) for name, fact in catalogue.facts.items()},
        "additionalProperties": catalogue.undeclared == "drop",
        "example": {name: example_of(fact) for name, fact in catalogue.facts.items()},
        "default": {},
    }


def _fact_schema(fact: Fact) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": [_TYPES[fact.kind], "null"]}
    if fact.kind == "categorical":
        schema["description"] = f"Declared are {', '.join(fact.values)}; another text counts as one further value."
        schema["examples"] = list(fact.values)
    if fact.outside == "refuse":
        bounds = {"minimum": fact.min, "maximum": fact.max}
        schema |= {name: value for name, value in bounds.items() if abs(value) != float("inf")}
    return schema


def example_of(fact: Fact) -> object:
    """Return a value that a fact can have."""
    if fact.kind == "boolean":
        return True
    if fact.kind == "categorical":
        return fact.values[0] if fact.values else "a text"
    low, high = max(fact.min, -1e15), min(fact.max, 1e15)
    return min(max(1.0 if fact.center is None else fact.center, low), high)


def body_examples(catalogue: Catalogue) -> dict[str, object]:
    """Return a body for each address that takes one."""
    context = {name: example_of(fact) for name, fact in catalogue.facts.items()}
    asked = {"customer": "customer-42", "context": context, "decision_id": "order-1001"}
    event = {
        "decision_id": "order-1001",
        "event": catalogue.objective.event,
        "event_id": "payment-77",
        "revenue": 52.0,
    }
    return {
        "/decide": asked,
        "/decide/batch": {"decisions": [asked, {"customer": "customer-43", "context": {}}]},
        "/events": {"events": [event]},
    }


def _decision_schema(catalogue: Catalogue) -> dict[str, Any]:
    text, maybe = {"type": "string"}, {"type": ["string", "null"]}
    offer = {
        dimension.name: {"type": "string", "enum": [option.name for option in dimension.options]}
        for dimension in catalogue.dimensions
    }
    return {
        "type": "object",
        "properties": {
            "decision_id": text,
            "offer": {"type": "object", "properties": offer},
            "propensity": {"type": "number", "description": "The exact probability with which it was drawn."},
            "group": text,
            "arm": maybe | {"description": "What served it under a roll-out."},
            "held_from": maybe | {"description": "The earlier decision that is held."},
            "fault": maybe | {"description": "Why the fallback was served; null otherwise."},
            "logged": {"type": "boolean", "description": "False where it could be written nowhere."},
            "time": {"type": "integer", "description": "Microseconds since 1970 UTC."},
        },
    }
