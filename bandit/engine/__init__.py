"""The embedded engine: decide, record, learn, verify, over one database file."""

from bandit.engine.engine import Engine

__all__ = ["Engine"]
