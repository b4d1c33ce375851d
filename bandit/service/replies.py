"""What the service answers: a status, a JSON document, and the sentence of an error."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from bandit.errors import (
    DuplicateError,
    InputError,
    OfferBanditError,
    StoreError,
    UnknownDecisionError,
)
from bandit.printable import plain

JSON = "application/json"

RETRY_AFTER = "1"
"""Seconds after which a request that could not be answered may be sent again."""

INTERNAL_ERROR = "an internal error; the log of the service says where it came from"

_PATH = re.compile(r"(?<![\w.:])/(?:[^\s/:;,'\"()]+/)+[^\s:;,'\"()]*")

_ENCODER = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: its HTTP status, its body, and further headers; `notes` are for the log and the metrics alone."""

    status: int
    content: bytes
    media_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, object] = field(default_factory=dict)


class RequestError(Exception):
    """A request that is answered with an error: its HTTP status, one sentence, and further values and headers."""

    def __init__(self, status: int, detail: str, *, retry: bool = False, **more: object) -> None:
        super().__init__(detail)
        self.status, self.detail, self.more = status, plain(detail), more
        self.headers = {"Retry-After": RETRY_AFTER} if retry else {}


def reply(value: object, status: int = 200, **notes: object) -> Reply:
    """Return a value as a JSON answer."""
    return Reply(status, _ENCODER.encode(value), notes=notes)


def error_reply(error: RequestError) -> Reply:
    """Return an error as the answer that every address gives: one sentence in `detail`."""
    notes = {"detail": error.detail, **error.more}
    return Reply(error.status, _ENCODER.encode(notes), headers=error.headers, notes=error.more)


def request_error(fault: OfferBanditError, database: Path, **more: object) -> RequestError:
    """Return one of the product's errors with its HTTP status, and without the paths that its sentence may have."""
    status = 503
    if isinstance(fault, InputError):
        status = 409 if isinstance(fault, DuplicateError) else 404 if isinstance(fault, UnknownDecisionError) else 422
    detail = without_paths(str(fault), database)
    return RequestError(status, detail, retry=isinstance(fault, StoreError), **more)


def without_paths(text: str, database: Path) -> str:
    """Return a sentence in which the database and other files stand without their place in the file system.

    >>> without_paths("/srv/shop/offers.db: is locked by another process", Path("/srv/shop/offers.db"))
    'the database: is locked by another process'
    """
    for known in (database, database.absolute()):
        text = text.replace(str(known), "the database")
    return _PATH.sub("(a file)", text)
