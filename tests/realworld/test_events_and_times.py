"""Events that cannot count, and times in another unit: files and calls as people really send them."""

import numpy as np
import pytest

import bandit
from tests.realworld.conftest import FILES

CATALOGUE = """
name = "spring"
currency = "EUR"
{top}
[objective]
kind = "profit"
event = "{event}"
margin = 0.4
window = "7d"

[[dimensions]]
name = "discount"
[[dimensions.options]]
name = "none"
[[dimensions.options]]
name = "ten"
rate = 0.10
{option}
{tables}
"""

MAPPING = """
[columns]
customer = "customer"
time = "sent"
{columns}
propensity = "1/2"

[offer]
discount = {{ column = "discount" }}

[[outcomes]]
event = "{event}"
when = "bought"
revenue = "amount"
"""

DAY = 86_400_000_000
MOMENT = 1_764_000_000
"""2025-11-24 16:00 UTC, in seconds since 1970."""


def catalogue_text(event="purchase", option="", tables="", top=""):
    return CATALOGUE.format(event=event, option=option, tables=tables, top=top)


def write_log(desk, factor=1, event="purchase", columns=""):
    """400 rows, every second one with ten per cent off; a quarter buys for 50: mean revenue 12.5 a row."""
    rows = ["customer,sent,discount,bought,amount"]
    rows += [
        f"c{row},{(MOMENT + row) * factor},{'none' if row % 2 else 'ten'},{'0,' if row % 4 else '1,50'}"
        for row in range(400)
    ]
    desk.write("log.csv", "\n".join(rows) + "\n")
    desk.write("mapping.toml", MAPPING.format(event=event, columns=columns))
    desk.write("catalogue.toml", catalogue_text())


def live(desk, record, **catalogue):
    """A database with 400 decisions of 1 November 2026, on each of which `record` records something."""
    desk.write("catalogue.toml", catalogue_text(**catalogue))
    known = bandit.Catalogue.from_toml(desk.folder / "catalogue.toml")
    start = 1_793_491_200 * 1_000_000
    with bandit.Engine.open(
        desk.folder / "live.db",
        known,
        bandit.ThompsonSampling(known),
        seed=7,
        customer_key=b"a key for our tests",
        clock=lambda: start,
    ) as engine:
        batch = engine.decide_batch([f"c{row}" for row in range(400)], [{}] * 400)
        record(engine, batch.decision_ids, start)
    return desk.folder / "live.db"


class TestEvents:
    @pytest.mark.parametrize("name", ["order", "purchse"])
    def test_400_purchases_under_another_name_are_said_by_every_command(self, desk, name, monkeypatch):
        """Kind 1. Nothing converts: doctor fails and says which name was recorded and which one converts."""
        monkeypatch.setenv("OFFER_BANDIT_KEY", "a key for our tests")

        def record(engine, ids, start):
            with pytest.warns(UserWarning, match=f'"{name}" convert nothing'):
                engine.record_batch(ids, name, revenue=np.full(400, 50.0), time=start + DAY)

        db = live(desk, record)
        learned = desk.run("learn", db, "--now", "2026-11-20", "--json").json
        assert (learned["n"], learned["n_uncounted"]) == (400, 400)
        found = desk.run("doctor", db, "--json").json
        assert desk.code == 2
        assert (
            f'no event "purchase" was recorded, which is what converts, while "{name}" was 400 times'
            in found["problems"][0]
        )
        assert found["event names"][0]["event"] == name
        status = desk.run("status", db, "--json").json
        assert status["events"]["names"][0]["n"] == 400
        assert "no conversion" in desk.run("status", db).out

    def test_the_same_under_the_right_name_is_counted_in_silence(self, desk, monkeypatch, recwarn):
        """The control: 400 purchases of 50, learned, and no note but that on nothing."""
        monkeypatch.setenv("OFFER_BANDIT_KEY", "a key for our tests")
        db = live(
            desk,
            lambda engine, ids, start: engine.record_batch(
                ids, "purchase", revenue=np.full(400, 50.0), time=start + DAY
            ),
        )
        assert not recwarn.list
        assert desk.run("learn", db, "--now", "2026-11-20", "--json").json["n_uncounted"] == 0
        found = desk.run("doctor", db, "--json").json
        assert (desk.code, found["problems"], found["notes"]) == (0, [], [])
        assert found["events"] == {"purchase": "400 events, converts"}

    def test_declared_events_refuse_another_name_on_the_command_line(self, desk, monkeypatch):
        monkeypatch.setenv("OFFER_BANDIT_KEY", "a key for our tests")
        ids = []
        db = live(desk, lambda engine, given, start: ids.extend(given), tables='[events]\npurchase = "converts"\n')
        desk.run("record", db, ids[0], "Purchase", "--revenue", "50")
        assert desk.code == 2
        assert 'the event "Purchase" is not declared (did you mean "purchase"?)' in " ".join(desk.err.split())

    @pytest.mark.parametrize("command", ["import", "evaluate"])
    def test_a_file_of_which_no_outcome_is_the_objectives_event_is_refused(self, desk, command):
        """Kind 1 in a file: the mapping says "order", the catalogue "purchase"."""
        write_log(desk, event="order", columns='time_format = "unix"')
        first = (
            ["import", "new.db", "log.csv"] if command == "import" else ["evaluate", "log.csv", "--policy", "everyone"]
        )
        desk.run(*first, "--catalogue", "catalogue.toml", "--mapping", "mapping.toml")
        assert desk.code == 2
        words = " ".join(desk.err.split())
        assert '[[outcomes]] has the event "order" and not "purchase"' in words
        assert 'write event = "purchase" in the mapping, or event = "order" in the catalogue' in words

    @pytest.mark.parametrize("declared", [True, False])
    def test_refunds_that_a_file_writes_above_zero_pay_back_where_they_are_declared(self, desk, declared):
        """Kind 1. Four sales of 40, one refunded in full, one by 10, each written above 0.

        Declared, 40 + 40 + 30 + 0 = 110 over 8 rows is 13.75 a row; undeclared, 160 + 50 = 210 is 26.25, and is said.
        """
        desk.take("refunds")
        if declared:
            with (desk.folder / "catalogue.toml").open("a") as file:
                file.write('\n[events]\nrefund = "returns"\n')
        files = ("--catalogue", "catalogue.toml", "--mapping", "mapping.toml", "--json")
        assert desk.run("import", "new.db", "log.csv", *files).json["n_imported"] == 8
        words = " ".join(desk.err.split())
        expected = (
            'the event "refund" has an amount above 0 in 2 rows; as [events] declares it as "returns", it is taken as'
            if declared
            else 'has an amount above 0 in 2 rows, which is added to the sale; if it pays back, declare it as "returns"'
        )
        assert expected in words
        for log in (("new.db",), ("log.csv", *files[:-1])):
            found = desk.run("results", *log, "--json")
            assert found.code == 0
            assert found.json["whole"]["value"]["value"] == pytest.approx(13.75 if declared else 26.25)

    def test_a_cap_on_an_option_is_said_to_be_none(self, desk):
        """Kind 1: cap = 100 limits nothing."""
        write_log(desk, columns='time_format = "unix"')
        desk.write("catalogue.toml", catalogue_text(option="cap = 100"))
        desk.run("import", "new.db", "log.csv", "--catalogue", "catalogue.toml", "--mapping", "mapping.toml", "--json")
        assert desk.code == 0
        assert '"cap" in "discount" (cap = 100) is no cost and no limit' in " ".join(desk.err.split())
        assert any('"cap"' in note for note in desk.run("doctor", "new.db", "--json").json["notes"])


class TestTimes:
    def test_seconds_read_as_seconds_are_right(self, desk):
        """Kind 7, the control: 400 rows of 2025-11-24, a quarter bought for 50."""
        write_log(desk, columns='time_format = "unix"')
        report = desk.run(
            "import", "new.db", "log.csv", "--catalogue", "catalogue.toml", "--mapping", "mapping.toml", "--json"
        ).json
        assert (report["n_imported"], report["n_refused"]) == (400, 0)

    @pytest.mark.parametrize(
        ("factor", "columns", "read", "cure"),
        [
            (1, 'time_format = "unix"\ntime_unit = "us"', "1970-01-01", 'time_unit = "s" in place of "us"'),
            (1, 'time_format = "unix"\ntime_unit = "ms"', "1970-01-21", 'time_unit = "s" in place of "ms"'),
            (1_000, 'time_format = "unix"\ntime_unit = "us"', "1970-01-21", 'time_unit = "ms" in place of "us"'),
        ],
    )
    def test_times_of_a_file_in_another_unit_are_refused_with_the_key_that_cures(
        self, desk, factor, columns, read, cure
    ):
        write_log(desk, factor, columns=columns)
        desk.run("import", "new.db", "log.csv", "--catalogue", "catalogue.toml", "--mapping", "mapping.toml")
        assert desk.code == 2
        assert f"is read as {read}, and logs are from 1980 to a year from now" in " ".join(desk.err.split())
        assert cure in " ".join(desk.err.split())
        desk.run(
            "evaluate", "log.csv", "--catalogue", "catalogue.toml", "--mapping", "mapping.toml", "--policy", "everyone"
        )
        assert desk.code == 2
        assert cure in " ".join(desk.err.split())

    def test_a_day_that_stands_for_no_date_is_refused(self, desk):
        """1970-01-01 and 9999-12-31 stand for "none" in many tables; a log of 1994 is read."""
        desk.take("times")
        report = desk.run(
            "import", "new.db", "dates.csv", "--catalogue", "catalogue.toml", "--mapping", "mapping.toml", "--json"
        ).json
        assert (report["n_imported"], report["by_reason"]) == (4, {"time out of reason": 2})
        assert [row["line"] for row in report["refused"]] == [4, 6]

    @pytest.mark.parametrize("text", ["1970-01-21", "2226-01-01"])
    def test_commands_refuse_a_time_out_of_reason(self, desk, text, monkeypatch):
        monkeypatch.setenv("OFFER_BANDIT_KEY", "a key for our tests")
        ids = []
        db = live(desk, lambda engine, given, start: ids.extend(given))
        for arguments in (
            ["decide", db, "c", "--time", text],
            ["record", db, ids[0], "purchase", "--revenue", "5", "--time", text],
            ["learn", db, "--now", text],
        ):
            desk.run(*arguments)
            assert desk.code == 2
            assert f"is {text} in microseconds" in desk.err

    def test_a_purchase_30_days_before_its_decision_does_not_count(self, desk, monkeypatch):
        """Kind 7. 400 decisions, each with a purchase of 30 days before: none converts, and doctor says 400."""
        monkeypatch.setenv("OFFER_BANDIT_KEY", "a key for our tests")

        def record(engine, ids, start):
            with pytest.warns(UserWarning, match='400 events "purchase" came before their decisions and do not count'):
                engine.record_batch(ids, "purchase", revenue=np.full(400, 50.0), time=start - 30 * DAY)

        db = live(desk, record)
        results = desk.run("results", db, "--json")
        assert results.code == 0
        assert "50" not in [str(value) for value in results.json.values()]
        notes = desk.run("doctor", db, "--json").json["notes"]
        assert notes == ['400 events "purchase" came before their decisions and do not count; check time=']


def test_the_files_of_the_battery_are_there():
    assert (FILES / "times" / "dates.csv").exists()
