"""Every query of the dashboard says what a sum by hand says, on a database that an engine has written."""

import json
import re
import sqlite3
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from bandit.report.dashboard.queries import DASHBOARD_QUERIES

QUERIES = {query.name: query for query in DASHBOARD_QUERIES}
WHOLE = {"first_day": "", "last_day": ""}


@pytest.fixture
def ask(recorded):
    """A function that runs a query and returns its rows as dictionaries."""
    raw = sqlite3.connect(f"file:{recorded.path}?mode=ro", uri=True)
    raw.row_factory = sqlite3.Row

    def asked(name, **values):
        query = QUERIES[name]
        given = (dict.fromkeys(query.parameters, "") | values) if query.parameters else {}
        assert given.keys() == query.parameters.keys()
        return [dict(row) for row in raw.execute(query.sql, given)]

    yield asked
    raw.close()


def moment(decision):
    return datetime.fromtimestamp(decision["time"] / 1e6, UTC)


def shown(time):
    return datetime.fromtimestamp(time // 1_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def same(rows, key, expected):
    """Whether rows of a table of results have these (decisions, conversions, revenue) by key, and their quotients."""
    assert {key(row) for row in rows} == expected.keys()
    assert len(rows) == len(expected)
    for row in rows:
        decisions, conversions, revenue = expected[key(row)]
        assert (row["decisions"], row["conversions"]) == (decisions, conversions)
        assert row["revenue"] == pytest.approx(revenue, abs=0.006)
        assert row["response_percent"] == pytest.approx(100 * conversions / decisions, abs=0.006)
        assert row["revenue_per_decision"] == pytest.approx(revenue / decisions, abs=0.00006)


def test_the_story_has_what_the_queries_are_about(recorded):
    """A return, a correction and a late event each change a sum: the log as recorded would give another one."""
    assert sum(event["corrects"] is not None for event in recorded.events) == 1
    by_id = {decision["decision_id"]: recorded.outcome(decision) for decision in recorded.decisions}
    assert not by_id["a41"][0] or by_id["a41"][1] > 0
    everything = sum(event["revenue"] or 0.0 for event in recorded.events)
    assert everything != pytest.approx(sum(revenue for _, revenue in by_id.values()))
    assert {decision["grp"] for decision in recorded.decisions} == {"policy", "rules", "random", "holdout"}
    assert set(recorded.arms.values()) == {"policy", "rules", "fallback"}


def test_results_by_day(ask, recorded):
    same(ask("result_by_day"), lambda row: row["day"], recorded.results(lambda each: moment(each).date().isoformat()))


def test_the_days_are_those_asked_for_both_ends_among_them(ask, recorded):
    days = sorted({moment(each).date().isoformat() for each in recorded.decisions})
    rows = ask("result_by_day", first_day=days[1], last_day=days[2])
    assert [row["day"] for row in rows] == [days[2], days[1]]


def test_a_day_that_is_none_is_no_limit(ask):
    assert ask("result_by_day", first_day="yesterday") == ask("result_by_day")


def test_results_by_week_begin_on_monday(ask, recorded):
    def key(decision):
        day = moment(decision).date()
        return (day - timedelta(days=day.weekday())).isoformat(), decision["grp"]

    same(ask("result_by_week"), lambda row: (row["week_from"], row["group"]), recorded.results(key))


def test_results_by_group(ask, recorded):
    rows = ask("result_by_group")
    same(rows, lambda row: row["group"], recorded.results(lambda each: each["grp"]))
    customers = {(each["grp"], each["customer_id"]) for each in recorded.decisions}
    assert {row["group"]: row["customers"] for row in rows} == Counter(group for group, _ in customers)


def test_results_by_arm(ask, recorded):
    expected = recorded.results(lambda each: (each["grp"], recorded.arms.get(each["seq"], "outside a roll-out")))
    same(ask("result_by_arm"), lambda row: (row["group"], row["served_by"]), expected)


def test_results_by_option(ask, recorded):
    rows = ask("result_by_option")
    for dimension in ("discount", "channel", "gift"):
        found = [row for row in rows if row["dimension"] == dimension]
        expected = recorded.results(lambda each, of=dimension: json.loads(each["options"])[of])
        same(found, lambda row: row["option"], expected)
        assert sum(row["share_percent"] for row in found) == pytest.approx(100, abs=0.05)


def test_results_by_fact(ask, recorded):
    expected = recorded.results(lambda each: json.loads(each["context"])["gender"])
    same(ask("result_by_fact", fact="gender"), lambda row: row["value"], expected)
    loyal = recorded.results(lambda each: str(json.loads(each["context"])["loyal"]).lower())
    same(ask("result_by_fact", fact="loyal"), lambda row: row["value"], loyal)


@pytest.mark.parametrize("fact", ['no " such', "$.gender", "'; --", ""])
def test_a_fact_that_is_not_there_has_one_empty_value(ask, recorded, fact):
    (row,) = ask("result_by_fact", fact=fact)
    assert (row["value"], row["decisions"]) == (None, len(recorded.decisions))


def test_options_never_served(ask, recorded):
    """The option 50 is forbidden to everybody; each other one is in more than 1 of 1,000 decisions."""
    (row,) = ask("options_never_served")
    assert (row["dimension"], row["option"], row["decisions"]) == ("discount", "50", 0)
    assert (row["all_decisions"], row["finding"]) == (len(recorded.decisions), "never served")


def test_the_last_decisions_with_their_outcomes(ask, recorded):
    rows = ask("last_decisions")
    newest = recorded.decisions[:-101:-1]
    assert [row["decision_id"] for row in rows] == [each["decision_id"] for each in newest]
    for row, each in zip(rows, newest, strict=True):
        converted, revenue = recorded.outcome(each)
        assert (row["converted"], row["fault_begins"]) == (converted, each["fault"] and each["fault"][:60])
        assert row["offer"] == " / ".join(json.loads(each["options"]).values())
        assert row["context"] == each["context"]
        assert row["revenue"] == pytest.approx(revenue, abs=0.006)
        assert row["arm"] == recorded.arms.get(each["seq"])
        assert row["time"] == shown(each["time"])


def test_the_decisions_of_a_customer_are_found_by_the_stored_key_only(ask, recorded):
    key = ask("last_decisions")[-1]["customer"]
    assert re.fullmatch("[0-9a-f]{32}", key)
    rows = ask("decisions_of_customer", customer=key)
    numbers = {
        each["customer_id"] for each in recorded.decisions if each["decision_id"] in {r["decision_id"] for r in rows}
    }
    assert len(numbers) == 1
    assert len(rows) == sum(each["customer_id"] in numbers for each in recorded.decisions)
    assert ask("decisions_of_customer", customer="customer-1") == []


def test_one_decision_tells_its_events_and_which_count(ask):
    """ "a42": an order of 10 that was corrected to 25; "a43": a purchase eight days later."""
    told = [(row["what"], row["value"]) for row in ask("one_decision", decision_id="a42")]
    assert ("facts", "gender f, recency 42.0, loyal true") in told
    assert ("event purchase", "corrected by a later one, revenue 10.0") in told
    assert ("event purchase", "counts, revenue 25.0") in told
    assert ("decision", "a42") in told
    late = [row["value"] for row in ask("one_decision", decision_id="a43") if row["what"] == "event purchase"]
    assert "after the window, revenue 99.0" in late
    fault = {row["what"]: row["value"] for row in ask("one_decision", decision_id="f0")}
    assert "not finite" in fault["fault"]
    assert "never yet" in fault["rules that removed offers"]


def test_a_repeat_leads_to_its_decision(ask):
    told = {row["what"]: row["value"] for row in ask("one_decision", decision_id="again")}
    assert (told["decision"], told["repeated as"]) == ("a81", "again")
    assert ask("one_decision", decision_id="unknown") == []


def test_events_by_name(ask, recorded):
    for row in ask("events_by_name"):
        events = [each for each in recorded.events if each["event"] == row["event"]]
        corrected = {each["corrects"] for each in recorded.events}
        made = {each["seq"]: each["time"] for each in recorded.decisions}
        current = [each for each in events if each["id"] not in corrected]
        in_window = [each for each in current if each["time"] <= made[each["seq"]] + 7 * 86_400_000_000]
        assert row["recorded"] == len(events)
        assert row["corrections"] == sum(each["corrects"] is not None for each in events)
        assert row["decisions"] == len({each["seq"] for each in events})
        assert row["count_in_window"] == len(in_window) < len(current) + 1
        assert row["revenue"] == pytest.approx(sum(each["revenue"] or 0.0 for each in current), abs=0.006)
        assert (row["first"], row["last"]) == (
            shown(min(each["time"] for each in events)),
            shown(max(each["time"] for each in events)),
        )
    assert len(ask("events_by_name")) == 2
    assert [row["event"] for row in ask("last_events")] == [each["event"] for each in recorded.events[:-101:-1]]


def test_decisions_served_by_the_fallback_say_why(ask):
    """Six under the kill, three by the fault."""
    kill, fault = ask("served_by_fallback")
    assert (kill["why"], kill["decisions"]) == ("the roll-out: ramp, halted by kill", 6)
    assert (fault["why"].partition(":")[0], fault["decisions"]) == ("PolicyError", 3)


def test_the_size_of_the_log_by_month(ask, recorded):
    (row,) = ask("log_by_month")
    assert (row["month"], row["decisions"], row["repeats"]) == ("2023-11", len(recorded.decisions), 1)
    assert row["events_recorded"] == len(recorded.events)


def test_the_history_of_the_rollout_is_newest_first(ask):
    rows = ask("rollout_history")
    assert [row["action"] for row in rows] == ["set", "resume", "kill", "declare"]
    assert [row["halted"] for row in rows] == [None, None, "kill", None]
    assert rows[2]["reason"] == "a <b>test</b>"


def test_guardrails_count_what_the_monitor_counts(ask, recorded):
    """Its own code counts since the restart; the policy's side of both guardrails, and the rules' of the second."""
    most, against = recorded.guardrails
    first, second, other = ask("guardrails")
    assert most.events > 0
    assert (first["group"], first["decisions"], first["with_event"]) == ("policy", most.decisions, most.events)
    assert (second["decisions"], second["with_event"]) == (against.decisions, against.events)
    assert (other["group"], other["decisions"], other["with_event"]) == (
        "rules",
        against.other_decisions,
        against.other_events,
    )
    assert (first["at_most_percent"], second["worse_by_percent_points"]) == (50.0, 40.0)


def test_learning_and_maintenance(ask):
    (row,) = ask("learning_by_day")
    assert (row["kind"], row["steps"], row["newest_step"]) == ("thompson", 2, 1)
    assert ask("maintenance_runs") == []


def test_no_query_scans_events_once_for_each_decision(recorded):
    """Every scan of the whole log is done once: no correlated subquery of a query over all decisions scans a table."""
    raw = sqlite3.connect(f"file:{recorded.path}?mode=ro", uri=True)
    for query in DASHBOARD_QUERIES:
        plan = raw.execute(f"EXPLAIN QUERY PLAN {query.sql}", dict.fromkeys(query.parameters, "")).fetchall()
        details = {number: (parent, detail) for number, parent, _, detail in plan}
        for parent, detail in details.values():
            inside = parent in details and "CORRELATED" in details[parent][1]
            assert not (inside and re.match(r"SCAN (events|decisions|e|d)\b", detail)), (query.name, detail)
    raw.close()


def test_names_and_titles_are_unique_and_texts_are_sentences():
    assert len(QUERIES) == len(DASHBOARD_QUERIES) == len({query.title for query in DASHBOARD_QUERIES})
    for query in DASHBOARD_QUERIES:
        assert re.fullmatch("[a-z_]+", query.name)
        assert query.text.endswith((".", ")."))
        assert set(re.findall(r":([a-z_]+)", query.sql)) == set(query.parameters)
