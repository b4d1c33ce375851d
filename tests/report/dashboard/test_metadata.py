"""The metadata file: its content, and when it is written, used as it is, or refused."""

import json
import shlex
from pathlib import Path

import pytest

from bandit.errors import InputError
from bandit.report.dashboard.metadata import DashboardSubject, dashboard_metadata, write_metadata
from bandit.report.dashboard.serve import DashboardServer
from bandit.store.descriptions import DESCRIPTIONS

SUBJECT = DashboardSubject("offers", "spring")


def of_database(subject=SUBJECT):
    return dashboard_metadata(subject)["databases"][subject.database]


def test_every_table_is_described_and_those_of_the_program_are_hidden():
    tables = of_database()["tables"]
    assert tables.keys() == DESCRIPTIONS.keys()
    hidden = {name for name, table in tables.items() if table.get("hidden")}
    assert hidden == {
        "learned",
        "learned_stages",
        "snapshots",
        "learning_reach",
        "eligible_sets",
        "leases",
        "meta",
        "chain",
        "customer_effects",
        "customer_effects_reach",
        "replaced_customer_effects",
    }
    # Datasette also hides a table whose name begins with that of a hidden one.
    assert not [name for name in tables.keys() - hidden for other in hidden if name.startswith(other)]


def test_no_text_is_taken_for_html_and_no_query_writes():
    text = json.dumps(dashboard_metadata(SUBJECT))
    assert "_html" not in text
    assert "`" not in text
    assert not [query for query in of_database()["queries"].values() if "write" in query]


def test_a_long_or_odd_name_of_a_catalogue_is_cut_and_put_on_one_line():
    title = dashboard_metadata(DashboardSubject("offers", "a\nb" * 200))["title"]
    assert len(title) < 120
    assert "\n" not in title


def test_the_file_is_written_once_and_a_changed_one_is_used_as_it_is(tmp_path):
    file = tmp_path / "offers-dashboard.json"
    assert write_metadata(file, SUBJECT) == "written"
    assert write_metadata(file, SUBJECT) == "up to date"
    changed = json.loads(file.read_text()) | {"title": "Ours"}
    file.write_text(json.dumps(changed))
    assert write_metadata(file, SUBJECT) == "kept"
    assert json.loads(file.read_text())["title"] == "Ours"
    assert write_metadata(file, SUBJECT, renew=True) == "written"
    assert json.loads(file.read_text()) == dashboard_metadata(SUBJECT)


def test_a_file_that_is_no_metadata_is_never_overwritten(tmp_path):
    file = tmp_path / "offers.db"
    file.write_bytes(b"SQLite format 3\x00 and more")
    with pytest.raises(InputError, match="is no JSON file of metadata"):
        write_metadata(file, SUBJECT, renew=True)
    assert file.read_bytes().startswith(b"SQLite")
    with pytest.raises(InputError, match="cannot be written"):
        write_metadata(tmp_path / "nowhere" / "file.json", SUBJECT)


def test_the_command_is_read_only_bounded_and_survives_a_shell():
    server = DashboardServer(Path("my offers.db"), Path("m.json"))
    parts = shlex.split(server.command)
    assert parts[:3] == ["datasette", "serve", "my offers.db"]
    assert "-i" not in parts
    assert parts[parts.index("--host") + 1] == "127.0.0.1"
    assert parts[parts.index("--setting") :][:3] == ["--setting", "sql_time_limit_ms", "5000"]
    assert server.is_local
    assert not DashboardServer(Path("o.db"), Path("m.json"), host="0.0.0.0").is_local  # noqa: S104 - no server starts
    assert shlex.split(DashboardServer(Path("o.db"), Path("m.json"), immutable=True).command)[2:4] == ["-i", "o.db"]


def test_immutable_is_refused_while_there_is_a_write_ahead_log(tmp_path):
    """Datasette would not see what the log has, and SQLite does not look for locks."""
    server = DashboardServer(tmp_path / "o.db", tmp_path / "m.json", immutable=True)
    server.check()
    (tmp_path / "o.db-wal").write_bytes(b"pages")
    with pytest.raises(InputError, match="in use or was not closed"):
        server.check()
    DashboardServer(tmp_path / "o.db", tmp_path / "m.json").check()


@pytest.mark.parametrize("name", ["a?mode=rw.db", "a#b.db", "a%20b.db"])
def test_a_path_that_sqlite_would_read_as_a_uri_is_refused(name):
    with pytest.raises(InputError, match="cannot open a path with"):
        DashboardServer(Path(name), Path("m.json")).check()
