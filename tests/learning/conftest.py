"""The fixtures of the engine, for the tests of what it learns."""

from tests.engine.conftest import clock, open_engine, path

__all__ = ["clock", "open_engine", "path"]
