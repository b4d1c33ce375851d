"""Events that others wrote in dsjson are read by a mapping; malformed ones are refused by line."""

import gzip
import json

import numpy as np
import pytest

from bandit import Catalogue
from bandit.errors import LogFileError
from bandit.logfiles import LogMapping, export_mapping, import_log, open_log
from bandit.logfiles.sources.dsjson import DsjsonSource, is_dsjson
from bandit.store import Store

SHOP = {
    "objective": {"kind": "reward", "window": "7d"},
    "context": {"age": {"type": "numeric"}, "city": {"type": "categorical", "values": ["Oslo"]}},
    "dimensions": [{"name": "gift", "options": [{"name": "none"}, {"name": "tote"}]}],
}


MAPPING = {
    "columns": {"decision_id": "EventId", "time": "Timestamp", "propensity": "_label_probability"}
    | {"row_customer": True},
    "context": {"age": "c.user.age", "city": "c.city"},
    "offer": {"gift": {"column": "action.TAction", "map": {"value=0": "none", "value=1": "tote"}}},
    "outcomes": [{"event": "purchase", "when": {"column": "reward", "above": 0}, "reward": "reward"}],
}


def event(**changed):
    """An event as others write it: the action's features are one-hot, the features of the user in a namespace."""
    plain = {
        "_label_cost": -1.5,
        "_label_probability": 0.8,
        "_label_Action": 2,
        "_labelIndex": 1,
        "Timestamp": "2021-07-29T10:00:00.1234567Z",
        "Version": "1",
        "EventId": "e1",
        "a": [2, 1],
        "p": [0.8, 0.2],
        "c": {
            "user": {"age": 41},
            "city": "Oslo",
            "_multi": [{"TAction": {"value=0": 1}}, {"TAction": {"value=1": 1, "value=0": 0}}],
        },
    }
    return json.dumps({name: value for name, value in {**plain, **changed}.items() if value is not ...})


def read(tmp_path, *lines, mapping=MAPPING):
    (tmp_path / "log.dsjson").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return open_log(tmp_path / "log.dsjson", Catalogue.from_dict(SHOP), mapping)


def test_an_event_of_others_is_read_by_a_mapping(tmp_path):
    """Cost -1.5 is the reward 1.5; the second action of one-hot features is the tote."""
    log = read(tmp_path, event(), event(EventId="e2", _label_Action=1, _labelIndex=0, _label_cost=0, c={
        "_multi": [{"TAction": {"value=0": 1}}]}))  # fmt: skip
    (batch,) = log.batches()
    assert batch.offer.tolist() == [1, 0]
    assert batch.reward.tolist() == [1.5, 0.0]
    assert batch.propensity.tolist() == [0.8, 0.8]
    assert batch.time.tolist() == [1_627_552_800_123_456] * 2
    assert batch.contexts.columns["age"].tolist()[0] == 41.0
    assert np.isnan(batch.contexts.columns["age"][1])
    assert batch.contexts.text["city"].tolist() == ["Oslo", None]


def test_a_gzipped_file_and_one_with_blank_lines_are_read_as_well(tmp_path):
    lines = f"\ufeff{event()}\n\n  \n{event(EventId='e2')}".encode()
    (tmp_path / "log.gz").write_bytes(gzip.compress(lines))
    with Store.open(tmp_path / "back.db", durability="process") as store:
        report = import_log(store, Catalogue.from_dict(SHOP), LogMapping.from_dict(MAPPING), tmp_path / "log.gz")
    assert report.n_imported == 2
    (tmp_path / "torn.gz").write_bytes(gzip.compress(lines)[:-20])
    with pytest.raises(LogFileError, match="truncated gzip"):
        open_log(tmp_path / "torn.gz", Catalogue.from_dict(SHOP), MAPPING)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"_label_probability": 0}, "outside (0, 1]"),
        ({"_label_probability": 1.5}, "outside (0, 1]"),
        ({"_label_probability": None}, "is blank"),
        ({"EventId": "e0"}, 'an earlier row has the decision id "e0" too'),
        ({"EventId": None}, '"EventId" is blank'),
        ({"Timestamp": "yesterday"}, "is not an ISO 8601 time"),
        ({"c": {"user": {"age": "old"}, "_multi": [{"TAction": {"value=0": 1}}] * 2}}, "is not a finite number"),
        ({"c": {"_multi": [{"TAction": {"value = 1": 1}}] * 2}}, 'is not an option of "gift"; did you mean "value=1"?'),
        ({"c": None}, "is not an option"),
    ],
)
def test_events_that_cannot_be_used_are_refused_by_line_and_reason(tmp_path, changed, reason):
    changed = {key: value for key, value in changed.items() if key != "c" or value is not None}
    if not changed:
        changed = {"c": {}}
    log = read(tmp_path, event(EventId="e0"), "", event(**changed))
    assert log.n == 1
    assert log.report.refused[0].line == 3
    assert reason in log.report.refused[0].reason


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "line 2 is not an event in JSON"),
        ("[1]", "line 2 is not an event in JSON"),
        (event()[:-9], "line 2 is not an event in JSON"),
        (event(_labelIndex=7, _label_Action=8), "line 2 has the label of action 8 of 2"),
        (event(_labelIndex=0), "they must name one action"),
        (event(c={"user": {"age": [4, 5]}, "_multi": [{}, {}]}), 'line 2 has a list of 2 values in "c.user.age"'),
        (event(c={"user": [{"age": 4}, {"age": 5}], "_multi": [{}, {}]}), 'line 2 has "c.user.age" 2 times in a list'),
        (
            event(c={"city": {"Oslo": "Norway"}, "_multi": [{}, {}]}),
            'line 2 has a feature with features of its own in "c.city"',
        ),
        (event(EventId="a\0b"), "line 2 has a NUL"),
        (event(c={"_multi": [{}, {"TAction": {"a": 1, "b": 1}}]}), 'line 2 has 2 features in "action.TAction"'),
    ],
)
def test_a_file_with_a_malformed_line_is_refused_as_a_whole(tmp_path, line, words):
    with pytest.raises(LogFileError, match=words.replace("(", r"\(")):
        read(tmp_path, event(), line)


SEVERAL = "events of several slots (conditional contextual bandits, slates); only those of one slot are read"


def test_events_of_several_slots_are_left_out_and_counted(tmp_path):
    log = read(
        tmp_path,
        event(),
        event(EventId="e2", c={"_multi": [], "_slots": []}),
        event(EventId="e3", _outcomes=[{"_a": [0]}]),
    )
    assert (log.n, log.report.n_rows, dict(log.report.left_out)) == (1, 1, {SEVERAL: 2})


def test_a_file_without_any_decision_is_refused_with_what_its_lines_are(tmp_path):
    lines = [event(EventId=f"e{line}", _skipLearn=True) for line in range(3)]
    with pytest.raises(LogFileError, match=r"no decision that can be read.* 3 marked as never shown"):
        read(tmp_path, *lines)
    unlabelled = dict.fromkeys(("_label_cost", "_label_probability", "_label_Action", "_labelIndex"), ...)
    with pytest.raises(LogFileError, match="1 no label: no _label_cost and no outcome"):
        read(tmp_path, event(**unlabelled))


def test_the_place_of_the_file_in_chunks_does_not_matter(tmp_path):
    """An outcome line may come before its event or long after it, whatever the size of a chunk."""
    lines = [
        json.dumps({"EventId": "e9", "RewardValue": 2}),
        *(event(EventId=f"e{k}", _label_cost=0) for k in range(10)),
    ]
    (tmp_path / "log.dsjson").write_text("\n".join([*lines, json.dumps({"EventId": "e0", "RewardValue": 1})]))
    for size in (1, 3, 100):
        chunks = list(DsjsonSource(tmp_path / "log.dsjson").chunks(["reward", "weight"], size, None))
        rewards = [float(text) for chunk in chunks for text in chunk.columns["reward"]]
        assert rewards == [1.0, *[0.0] * 8, 2.0]
        assert [note for chunk in chunks for note in chunk.notes] == [
            "2 outcome lines were joined to 2 events of the same EventId"
        ]


@pytest.mark.parametrize(
    ("changed", "weight"),
    [
        ({}, 1.0),
        ({"pdrop": 0}, 1.0),
        ({"pdrop": 0.9}, 10.0),
        ({"pdrop": 0.75}, 4.0),
        ({"pdrop": 1e-3}, 1 / 0.999),
        ({"pdrop": "1e-9999999"}, 1.0),
    ],
)
def test_a_line_stands_for_one_by_what_was_kept(tmp_path, changed, weight):
    """1 / (1 - pdrop), in exact fractions: .9 gives 10 and not 10.000000000000002."""
    (tmp_path / "log.dsjson").write_text(event(**changed))
    (chunk,) = DsjsonSource(tmp_path / "log.dsjson").chunks(["weight"], 10, None)
    assert [float(text) for text in chunk.columns["weight"]] == [pytest.approx(weight, rel=1e-15)]


@pytest.mark.parametrize(
    ("pdrop", "reason"),
    [
        (1, "pdrop is 1, so that a line stands for infinitely many"),
        (-0.1, "pdrop is not a number from 0 to below 1"),
        ("x", "pdrop is not a number from 0 to below 1"),
        (1.5, "pdrop is not a number from 0 to below 1"),
    ],
)
def test_a_drop_rate_that_gives_no_weight_leaves_the_line_out(tmp_path, pdrop, reason):
    log = read(tmp_path, event(), event(EventId="e2", pdrop=pdrop))
    assert (log.n, dict(log.report.left_out)) == (1, {reason: 1})


def test_a_probability_that_has_the_drop_rate_in_it_is_read_without(tmp_path):
    """p is .8 and pdrop .5, and the label says .4 = .8 x .5: the weight 2 has that half already."""
    log = read(tmp_path, event(), event(EventId="e2", pdrop=0.5, _label_probability=0.4))
    (batch,) = log.batches()
    assert batch.propensity.tolist() == [0.8, 0.8]
    assert "1 line has a _label_probability that is p times 1 - pdrop" in log.report.notices[0]


def test_a_reward_of_the_line_itself_is_not_added_to(tmp_path):
    """The line says 1.5; an outcome line of the same event says 1: counted, not added."""
    log = read(tmp_path, event(), json.dumps({"RewardValue": 1, "EventId": "e1"}))
    (batch,) = log.batches()
    assert batch.reward.tolist() == [1.5]
    assert dict(log.report.left_out) == {"outcomes of an event whose own line has a reward": 1}


@pytest.mark.parametrize(
    ("observations", "reward"), [([], 0.0), ([{"v": 1}, {"v": 0.5}], 1.5), ([{"ActionTaken": True}], 0.0)]
)
def test_observations_are_the_reward_of_a_line_without_a_label(tmp_path, observations, reward):
    """`o` is what was observed: the sum of its values, 0 where nothing was."""
    line = json.loads(event(o=observations))
    del line["_label_cost"]
    (tmp_path / "log.dsjson").write_text(json.dumps(line))
    (chunk,) = DsjsonSource(tmp_path / "log.dsjson").chunks(["reward"], 10, None)
    assert [float(text) for text in chunk.columns["reward"]] == [reward]


@pytest.mark.parametrize(
    ("first", "is_it"),
    [
        (event(), True),
        (json.dumps({"RewardValue": 1, "EventId": "e1"}), True),
        (json.dumps({"header": 1}) + "\n" + event(), True),
        (json.dumps({"c": {"_multi": []}}), True),
        (json.dumps({"offer_bandit": {"channel": "sms"}}), True),
        (json.dumps({"event": "Order Completed", "properties": {"revenue": 3}}), False),
        (json.dumps({"c": 1, "a": 2}), False),
        ("{no", False),
        ("[1]", False),
        ("a,b\n1,2", False),
        ("", False),
    ],
)
def test_dsjson_is_told_by_its_properties(tmp_path, first, is_it):
    (tmp_path / "log").write_text(first + "\n")
    assert is_dsjson(tmp_path / "log") == is_it


def test_an_event_of_others_needs_a_mapping(tmp_path):
    with pytest.raises(LogFileError, match=r'has no column "offer_bandit.gift".*give a mapping'):
        read(tmp_path, event(), mapping=None)
    (tmp_path / "bad.dsjson").write_text("{no")
    with pytest.raises(LogFileError, match="line 1 is no object in JSON"):
        export_mapping(tmp_path / "bad.dsjson", Catalogue.from_dict(SHOP))
