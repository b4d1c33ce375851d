"""All queries of the dashboard, in the order of its page."""

from __future__ import annotations

from bandit.report.dashboard.live import LIVE_QUERIES
from bandit.report.dashboard.records import RECORD_QUERIES
from bandit.report.dashboard.results import RESULT_QUERIES

DASHBOARD_QUERIES = (*RESULT_QUERIES, *RECORD_QUERIES, *LIVE_QUERIES)
"""Every query once; names are unique."""
