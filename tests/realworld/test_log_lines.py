"""Kinds 3 and 4: what a log's lines say about themselves, and paths that lie deep or nowhere."""

import json

import numpy as np
import pytest

from bandit import Catalogue
from bandit.logfiles import LogMapping, open_log
from bandit.logfiles.sources.dsjson import DsjsonSource

ARGUMENTS = ("log.dsjson", "--catalogue", "catalogue.toml", "--mapping", "mapping.toml")


def import_file(desk):
    """Import the file of a case and return what the command prints as JSON."""
    return desk.run("import", "log.db", *ARGUMENTS, "--json").json


def log_of(desk):
    """The decisions of the file of a case as one batch."""
    catalogue = Catalogue.from_toml(desk.folder / "catalogue.toml")
    log = open_log(desk.folder / "log.dsjson", catalogue, LogMapping.from_toml(desk.folder / "mapping.toml"))
    return next(log.batches(1_000))


def test_each_line_of_a_loggers_file_is_read_weighed_or_left_out_with_a_count(desk):
    """Of 20 lines 11 are decisions: 6 in full, 2 kept of 8, one activated, one with a late outcome, one of one slot.

    Left out: a checkpoint, 2 marked as never shown, 1 never activated, 1 without a label and its outcome, 1 with
    pdrop 1, 1 of two slots, and an outcome of another day's event.
    """
    report = import_file(desk.take("logger_lines"))
    assert (report["n_rows"], report["n_imported"], report["n_refused"]) == (11, 11, 0)
    assert report["left_out"] == {
        "no event, such as a header or a checkpoint": 1,
        "marked as never shown or not to be learned from (_skipLearn)": 2,
        "deferred and never activated, so never shown (DeferredAction)": 1,
        "no label: no _label_cost and no outcome": 1,
        "outcomes of an event that is left out": 1,
        "pdrop is 1, so that a line stands for infinitely many": 1,
        "events of several slots (conditional contextual bandits, slates); only those of one slot are read": 1,
        "outcomes of an event that is not in the file": 1,
    }
    assert report["notices"] == ["1 outcome line was joined to 1 event of the same EventId"]
    desk.run("import", "again.db", *ARGUMENTS)
    assert "lines left out" in desk.out
    assert "never activated" in desk.out


def test_rewards_and_propensities_of_a_loggers_file_are_those_of_its_lines(desk):
    """Rewards: 3 of the 6 full ones, the activated, the late one and that of one slot: 6. One slot: coffee at .75."""
    batch = log_of(desk.take("logger_lines"))
    assert batch.reward.tolist() == [0, 1, 0, 1, 0, 1, 0, 0, 1, 1, 1]
    assert batch.offer.tolist() == [0, 1, 0, 1, 0, 1, 1, 1, 0, 0, 1]
    np.testing.assert_array_equal(batch.propensity, np.where(batch.offer == 1, 0.75, 0.25))


def test_a_line_that_was_kept_one_time_in_four_stands_for_four(desk):
    """1 / (1 - .75) = 4, and 1 for the others: the 11 lines stand for 17 events, of which 6 have a reward: .3529."""
    desk.take("logger_lines")
    (chunk,) = DsjsonSource(desk.folder / "log.dsjson").chunks(["weight", "reward"], 100, None)
    weight, reward = (np.array(list(map(float, chunk.columns[name]))) for name in ("weight", "reward"))
    assert weight.tolist() == [1.0] * 6 + [4.0] * 2 + [1.0] * 3
    assert (weight @ reward) / weight.sum() == pytest.approx(6 / 17)


def test_evaluating_the_file_says_what_it_leaves_out(desk):
    """The same counts as those of an import, on stderr and in the JSON."""
    desk.take("logger_lines").run("evaluate", *ARGUMENTS, "--policy", "uniform", "--json")
    assert desk.json["lines_left_out"]["marked as never shown or not to be learned from (_skipLearn)"] == 2
    assert desk.json["notices"] == ["1 outcome line was joined to 1 event of the same EventId"]
    assert "9 lines are left out: " in desk.err


def test_interactions_and_outcomes_on_lines_of_their_own_are_joined(desk):
    """8 interactions: r1 got 1, sent twice, r3 .5 + .25, the others nothing: a reward of 0."""
    report = import_file(desk.take("logger_raw"))
    assert report["n_imported"] == 8
    assert report["left_out"] == {"outcomes that the file has twice": 1}
    assert report["notices"] == [
        "3 outcome lines were joined to 2 events of the same EventId; events without one are taken to have the reward 0"
    ]
    batch = log_of(desk)
    assert batch.reward.tolist() == [0, 1, 0, 0.75, 0, 0, 0, 0]
    assert batch.propensity.tolist() == [0.25, 0.75] * 4


def test_facts_are_found_in_objects_in_lists_and_in_lists_of_texts(desk):
    """d0 to d3 are of Oslo, d4 to d7 of Bergen; every other one has "club" among its marks."""
    assert import_file(desk.take("deep_paths"))["notices"] == []
    batch = log_of(desk)
    assert batch.contexts.text["town"].tolist() == ["Oslo"] * 4 + ["Bergen"] * 4
    assert batch.contexts.columns["club"].tolist() == [1.0, 0.0] * 4
    assert batch.offer.tolist() == [0, 1] * 4


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("c.Shopper.twon", "c.Shopper.town"),
        ("c.shopper.town", "c.Shopper.town"),
        ("Shopper.town", "c.Shopper.town"),
        ("action.item.idd", "action.item.id"),
        ("_label_probabilty", "_label_probability"),
        ("Event_Id", "EventId"),
        ("c.Marks.clubb", "c.Marks"),
    ],
)
def test_a_path_that_no_line_has_is_an_error_that_names_the_nearest(desk, wrong, right):
    """Before, the fact was missing in every row, or every row was refused."""
    desk.take("deep_paths")
    mapping = (desk.folder / "mapping.toml").read_text()
    full = "c.Marks.club" if right == "c.Marks" else right
    desk.write("mapping.toml", mapping.replace(f'"{full}"', f'"{wrong}"'))
    for command in (("import", "log.db"), ("evaluate",)):
        desk.run(*command, *ARGUMENTS, *(["--policy", "uniform"] if command[0] == "evaluate" else []))
        assert desk.code == 2
        assert f'none of the 8 rows has "{wrong}"; did you mean "{right}"' in desk.err


def test_a_path_that_some_line_has_is_no_error(desk):
    """A line leaves out what it does not have: "club" stands in one of two lines."""
    lines = [json.loads(line) for line in (desk.take("deep_paths").folder / "log.dsjson").read_text().splitlines()]
    for line in lines[1:]:
        del line["c"]["Shopper"]
    desk.write("log.dsjson", "".join(f"{json.dumps(line)}\n" for line in lines))
    assert import_file(desk)["n_imported"] == 8


def test_a_text_of_equals_that_no_row_has_is_refused_or_said(desk):
    """The reward hangs on a word that is not there: refused; a second word that is not there is said."""
    desk.take("deep_paths")
    mapping = (desk.folder / "mapping.toml").read_text()
    when = 'reward = "reward"\nwhen = {{ column = "c.Shopper.town", equals = {} }}'
    desk.write("mapping.toml", mapping.replace('reward = "reward"', when.format('"oslo"')))
    desk.run("import", "log.db", *ARGUMENTS)
    assert desk.code == 2
    assert '"bought" happened in no row: "oslo" of equals' in desk.err
    assert 'which has "Oslo" (4), "Bergen" (4); did you mean "Oslo"?' in desk.err
    desk.write("mapping.toml", mapping.replace('reward = "reward"', when.format('["Oslo", "Trondheim"]')))
    (notice,) = import_file(desk)["notices"]
    assert '"Trondheim" of equals of [[outcomes]] "bought" occurs in no row of "c.Shopper.town"' in notice
    assert notice.endswith('which has "Oslo" (4), "Bergen" (4)')


CSV = "day,who,treat,done,mood\n" + "".join(
    f"2026-03-{1 + i:02d},c{i},bun,{'yes' if i < 3 else ''},\n" for i in range(9)
)
CSV_CATALOGUE = """objective = { kind = "conversion" }
context = { mood = { type = "categorical", values = ["good"] } }
[[dimensions]]
name = "treat"
options = [ { name = "bun" }, { name = "coffee" } ]
"""
CSV_MAPPING = """columns = { customer = "who", time = "day", propensity = 0.5 }
context = { mood = "mood" }
[offer]
treat = { column = "treat", map = { Coffe = "coffee" } }
[[outcomes]]
event = "purchase"
when = { column = "done", equals = "WORD" }
"""


def test_words_and_columns_that_say_nothing_are_told_for_csv_too(desk):
    """ "Coffe" is no text of the column, and the fact's column is blank in all 9 rows; "done" for "yes" is refused."""
    desk.write("log.csv", CSV).write("catalogue.toml", CSV_CATALOGUE).write(
        "mapping.toml", CSV_MAPPING.replace("WORD", "yes")
    )
    arguments = ("import", "log.db", "log.csv", "--catalogue", "catalogue.toml", "--mapping", "mapping.toml")
    assert desk.run(*arguments, "--json").json["notices"] == [
        '"Coffe" of the map of [offer] treat occurs in no row of "treat", which has "bun" (9)',
        'the fact "mood" is missing in all 9 rows: "mood" is blank',
    ]
    desk.write("mapping.toml", CSV_MAPPING.replace("WORD", "done"))
    assert desk.run(*arguments).code == 2
    assert 'which has blank (6), "yes" (3)' in desk.err


@pytest.mark.parametrize("name", ["sampled_full.dsjson", "sampled_kept.dsjson"])
def test_the_sampled_logs_have_the_weights_of_the_full_one(desk, name):
    """Full: 4,000 lines, mean .4043. Kept: 1,829 lines that stand for 1,829 - n + 10 n; weighted mean .4327."""
    desk.take_shared(name)
    rows = list(DsjsonSource(desk.folder / name).chunks(["weight", "reward"], 10_000, None))
    weight, reward = (np.array(list(map(float, rows[0].columns[each]))) for each in ("weight", "reward"))
    assert set(weight.tolist()) == ({1.0} if "full" in name else {1.0, 10.0})
    assert (weight @ reward) / weight.sum() == pytest.approx(0.4043 if "full" in name else 0.4327, abs=5e-5)
