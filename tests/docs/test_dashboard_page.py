"""The page about the dashboard names every query, every setting that it promises, and has a small picture."""

import re
from pathlib import Path

from bandit.report.dashboard.queries import DASHBOARD_QUERIES
from bandit.report.dashboard.serve import DATASETTE_SETTINGS

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "dashboard.md").read_text(encoding="utf-8")


def test_it_names_every_query_and_no_other():
    """`result_by_...` stands for those that begin so; a parameter of an address is no query."""
    table = PAGE[PAGE.index("| question |") : PAGE.index("Each has a JSON")]
    named = set(re.findall(r"`([a-z_]+)`", table))
    names = {query.name for query in DASHBOARD_QUERIES}
    assert named == {name for name in names if not name.startswith("result_by_")}
    assert "`result_by_...`" in table


def test_the_limits_it_states_are_those_of_the_command():
    assert int(DATASETTE_SETTINGS["sql_time_limit_ms"]) == 5_000
    assert "Queries end after 5 seconds and 1,000 rows" in PAGE
    assert int(DATASETTE_SETTINGS["max_returned_rows"]) == 1_000


def test_the_picture_is_there_and_small():
    assert 10_000 < (DOCS / "dashboard.png").stat().st_size < 150_000
