"""The embedded engine: decide, record, learn and verify, on one database file."""

from bandit.engine.engine import Engine
from bandit.engine.options import EngineOptions
from bandit.engine.status import EngineStatus

__all__ = ["Engine", "EngineOptions", "EngineStatus"]
