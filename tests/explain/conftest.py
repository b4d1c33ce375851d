"""The engine's fixtures, for explanations of what it decided."""

from tests.engine.conftest import clock, locked, open_engine, path

__all__ = ["clock", "locked", "open_engine", "path"]
