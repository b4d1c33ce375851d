"""The log of the service: one JSON object a line, with ids of decisions and without customers, facts or paths."""

from __future__ import annotations

import logging
import sys
import traceback
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

import msgspec

from bandit.errors import UndeclaredValueWarning
from bandit.service.replies import without_paths

LOGGER = logging.getLogger("offer_bandit")

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_ACCESS = "uvicorn.access"
_SERVER_LOGGERS = ("uvicorn", "uvicorn.error", _ACCESS, "uvicorn.asgi")

_UNDECLARED = (
    "a fact had a value that the catalogue does not declare, or a word for a missing value; GET /status counts them"
)


class JsonLines(logging.Formatter):
    """Formats a record as one JSON object: time, level, event, and the fields that it was given.

    Of an exception it has the type and the lines of the program, not the message, which may have what was sent.
    """

    def __init__(self, database: Path) -> None:
        super().__init__()
        self._database = database

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line."""
        event = " ".join(record.getMessage().split())
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, tz=UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": event if record.name == _ACCESS else without_paths(event, self._database),
            "process": record.process,
        }
        line |= getattr(record, "fields", {})
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
            line["trace"] = [
                f"{frame.f_globals.get('__name__', '?')}:{number}"
                for frame, number in traceback.walk_tb(record.exc_info[2])
            ]
        return msgspec.json.encode(line, enc_hook=str).decode()


def set_up_log(level: str, database: Path, *, access: bool = False, stream: TextIO | None = None) -> None:
    """Write everything that this process logs, and its warnings, to a stream (standard error) as JSON lines."""
    handler = logging.StreamHandler(sys.stderr if stream is None else stream)
    handler.setFormatter(JsonLines(database))
    for logger in (LOGGER, *map(logging.getLogger, _SERVER_LOGGERS)):
        logger.handlers = [handler]
        logger.propagate = False
        logger.setLevel(_LEVELS[level])
    logging.getLogger(_ACCESS).disabled = not access

    def as_line(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
        undeclared = issubclass(category, UndeclaredValueWarning)
        detail = _UNDECLARED if undeclared else without_paths(str(message), database)
        log_event("warning", level="warning", detail=detail)

    warnings.showwarning = as_line


def log_event(event: str, *, level: str = "info", **fields: object) -> None:
    """Log an event with its fields."""
    number = _LEVELS[level]
    if LOGGER.isEnabledFor(number):
        LOGGER.log(number, event, extra={"fields": fields})
