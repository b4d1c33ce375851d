"""Events that others wrote in dsjson are read by a mapping; malformed ones are refused by line."""

import gzip
import json

import numpy as np
import pytest

from bandit import Catalogue
from bandit.errors import LogFileError
from bandit.logfiles import LogMapping, export_mapping, import_log, open_log
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
    return json.dumps({**plain, **changed})


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
        (event(c={"_multi": [], "_slots": []}), "line 2 is an event of slates or of a conditional"),
        (event(_outcomes=[]), "line 2 is an event of slates or of a conditional"),
        (event(_labelIndex=7, _label_Action=8), "line 2 has the label of action 8 of 2"),
        (event(_labelIndex=0), "they must name one action"),
        (event(c={"user": {"age": [4]}, "_multi": [{}, {}]}), 'line 2 has a list or an object in "c.user.age"'),
        (event(EventId="a\0b"), "line 2 has a NUL"),
        (event(c={"_multi": [{}, {"TAction": {"a": 1, "b": 1}}]}), 'line 2 has 2 features in "action.TAction"'),
    ],
)
def test_a_file_with_a_malformed_line_is_refused_as_a_whole(tmp_path, line, words):
    with pytest.raises(LogFileError, match=words.replace("(", r"\(")):
        read(tmp_path, event(), line)


def test_an_event_of_others_needs_a_mapping(tmp_path):
    with pytest.raises(LogFileError, match=r'has no column "offer_bandit.gift".*give a mapping'):
        read(tmp_path, event(), mapping=None)
    (tmp_path / "bad.dsjson").write_text("{no")
    with pytest.raises(LogFileError, match="line 1 is not an event in JSON"):
        export_mapping(tmp_path / "bad.dsjson", Catalogue.from_dict(SHOP))
