"""The database in words: a description of every table, view and column, for the documentation and the dashboard."""

from __future__ import annotations

from bandit.store.descriptions.learning_tables import LEARNING_TABLES
from bandit.store.descriptions.log_tables import LOG_TABLES
from bandit.store.descriptions.record import TableDescription
from bandit.store.descriptions.views import VIEWS

DESCRIPTIONS = {**LOG_TABLES, **LEARNING_TABLES, **VIEWS}
"""Every table and view by name: views last, and of the tables first those that people read most."""

__all__ = ["DESCRIPTIONS", "LEARNING_TABLES", "LOG_TABLES", "VIEWS", "TableDescription"]
