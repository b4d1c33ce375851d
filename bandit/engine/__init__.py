"""The embedded engine: decide, record, learn and verify, on one database file."""

from bandit.engine.audience import AudiencePart, DecidedPart, decide_audience
from bandit.engine.engine import Engine
from bandit.engine.options import EngineOptions
from bandit.engine.status import EngineStatus

__all__ = ["AudiencePart", "DecidedPart", "Engine", "EngineOptions", "EngineStatus", "decide_audience"]
