"""Vowpal Wabbit reads the dsjson that an export writes."""

import json
import time

import numpy as np
import pytest
import vowpalwabbit

from bandit.logfiles import export
from bandit.store import Store
from tests.logfiles.odd_database import fill, odd


@pytest.mark.parametrize("keep", [False, True])
def test_vowpal_wabbit_reads_every_line_with_its_label_and_learns_from_it(tmp_path, keep):
    """The sum of its costs is minus that of our rewards, and as many examples have a label as there are decisions."""
    catalogue = odd()
    fill(tmp_path / "made.db", catalogue, keep=keep, now=time.time_ns() // 1_000)
    with Store.open(tmp_path / "made.db") as store:
        written = export(store, catalogue, tmp_path / "log.dsjson")
    events = [json.loads(line) for line in (tmp_path / "log.dsjson").read_text().splitlines()]
    assert len(events) == written.n == 121
    options = f"-d {tmp_path}/log.dsjson -p {tmp_path}/p --extra_metrics {tmp_path}/m --strict_parse"
    vowpalwabbit.Workspace(f"--quiet --dsjson --cb_explore_adf -q fd {options}").finish()
    metrics = json.loads((tmp_path / "m").read_text())
    seen = metrics["cb_explore_adf_greedy"]
    rewards = [one["offer_bandit"]["reward"] for one in events]
    assert metrics["line_parse_error"] == 0
    assert seen["cbea_labeled_ex"] == 121
    assert seen["cbea_non_zero_cost"] == np.count_nonzero(rewards)
    assert seen["cbea_sum_cost"] == pytest.approx(-sum(rewards), rel=1e-5)
    sizes = [len(one["c"]["_multi"]) for one in events]
    assert (seen["cbea_min_actions"], seen["cbea_max_actions"]) == (min(sizes), max(sizes)) == (4, 6)
    assert [len(line.split(",")) for line in (tmp_path / "p").read_text().split()] == sizes
    for one in events:
        own, chosen = one["offer_bandit"], one["c"]["_multi"][one["_labelIndex"]]
        assert chosen["time"]["option"] == {"now": "now", "line\r\nend": "line%0D%0Aend"}[own["offer.time"]]
        assert one["_label_Action"] == one["_labelIndex"] + 1 == one["a"][0]
        assert sorted(one["a"]) == list(range(1, len(one["c"]["_multi"]) + 1))
        assert ("p" in one) == keep
        if keep:
            assert one["p"][0] == pytest.approx(one["_label_probability"])
            assert sum(one["p"]) == pytest.approx(1.0)


def test_names_that_vowpal_wabbit_would_make_one_stay_two(tmp_path):
    """`|`, `:` and spaces all become `_` in its features, unless they are encoded."""
    catalogue = odd()
    fill(tmp_path / "made.db", catalogue, now=time.time_ns() // 1_000)
    with Store.open(tmp_path / "made.db") as store:
        export(store, catalogue, tmp_path / "log.dsjson")
    events = [json.loads(line) for line in (tmp_path / "log.dsjson").read_text().splitlines()]
    texts = {one["c"]["facts"]["mood"] for one in events if "mood" in one["c"]["facts"]}
    texts |= {text for one in events for action in one["c"]["_multi"] for text in action}
    assert {"a%7Cb", "a%3Ab", "deal%20%7C%20size"} <= texts
    assert not any(sign in text for text in texts for sign in "|: \n")
