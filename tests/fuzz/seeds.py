"""Valid inputs of each surface, from which fuzzing begins."""

import copy
import gzip
import io
import json
from functools import cache

import numpy as np
import pyarrow as pa
import tomli_w
from pyarrow import parquet

import bandit
from bandit.policies.state import unpack
from bandit.policies.vw import VowpalWabbit, VowpalWabbitSlates
from tests.conftest import SPRING, draw_outcomes
from tests.logfiles.import_tools import HEADER, MAPPING, row, sample, table

CATALOGUE = bandit.Catalogue.from_dict(SPRING)
UNCOUPLED = bandit.Catalogue.from_dict(SPRING | {"rules": SPRING["rules"][1:]})


def catalogues():
    small = {"dimensions": [{"name": "d", "options": [{"name": "0"}, {"name": "1", "rate": 0.1}]}]}
    return [tomli_w.dumps(each).encode() for each in (SPRING, small)]


def conditions():
    texts = (
        "not loyal", "recency < 5", 'gender == "f" and loyal', "gender in ['f', 'm'] or recency >= 2 * 3 - 1",
        "loyal == null", "recency != -1.5e3", "not (loyal or (recency + 1 > 2))", "gender not in ['f']",
        '"aaaa" =~ "(a+)+$"', "recency < 9**9**9", "recency < 1 << 99", "gender.length == 1", "recency in [1, 2, 3]",
    )  # fmt: skip
    return [text.encode() for text in texts]


def segment_rules():
    offer = {"discount": "10", "channel": "sms", "gift": "none"}
    full = {"segments": [{"when": "loyal and recency < 5", "offer": offer}], "otherwise": offer, "exploration": 0.1}
    return [tomli_w.dumps(full).encode(), tomli_w.dumps({"otherwise": offer}).encode()]


def mappings():
    lookup = copy.deepcopy(MAPPING)
    lookup["offer"] = {"column": "disc", "lookup": {"10": {"discount": "10", "channel": "sms", "gift": "none"}}}
    lookup["columns"] |= {"time_format": "%Y-%m-%dT%H:%M:%S", "propensity": "1/3"}
    unix = copy.deepcopy(MAPPING)
    unix["columns"] |= {"time_format": "unix", "time_unit": "d", "time_start": "2026-01-01", "propensity": 0.5}
    unix["context"] = {"gender": {"column": "sex", "map": {"x": "f"}, "blank": "m"}}
    unix["closed"] = "bought"
    return [tomli_w.dumps(each).encode() for each in (MAPPING, lookup, unix)]


@cache
def rows():
    return table(row(), row(id="d2", at="2026-03-02"), *sample(6, np.random.default_rng(1)))


def csvs():
    text = rows()
    return [text.encode(), gzip.compress(text.encode(), mtime=0), table(row(who='a "b"\nc'), quoting=1).encode()]


@cache
def parquets():
    lines = [line.split(",") for line in rows().splitlines()[1:]]
    columns = dict(zip(HEADER, map(list, zip(*lines, strict=True)), strict=True))
    files = []
    for options in (
        {"compression": "none"},
        {"compression": "snappy"},
        {"use_dictionary": False, "compression": "zstd"},
    ):
        kept = io.BytesIO()
        typed = columns | {"p": list(map(float, columns["p"])), "bought": [each == "1" for each in columns["bought"]]}
        parquet.write_table(pa.table(typed if options.get("use_dictionary") else columns), kept, **options)
        files.append(kept.getvalue())
    return files


DSJSON_MAPPING = MAPPING | {
    "columns": {"customer": "c.who", "time": "Timestamp", "propensity": "_label_probability"},
    "context": {"gender": "c.g", "recency": "c.facts.rec"},
    "offer": {"discount": {"column": "action.d.o"}, "channel": "sms", "gift": "none"},
    "outcomes": [{"event": "purchase", "when": {"column": "reward", "above": 0.0}, "revenue": "reward"}],
}


def dsjsons():
    def event(label, cost):
        actions = [{"d": {"o": "0"}}, {"d": {"o": "10"}}]
        shared = {"who": "anna", "g": {"f": 1}, "facts": {"rec": 1.5}, "_multi": actions}
        text = {"_label_cost": cost, "_label_probability": 0.5, "_labelIndex": label, "_label_Action": label + 1}
        return json.dumps({**text, "EventId": "e1", "Timestamp": "2026-03-01T12:00:00Z", "a": [1, 2], "c": shared})

    text = f"{event(0, -1.0)}\n{event(1, 0)}\n".encode()
    return [text, gzip.compress(text, mtime=0)]


def contexts():
    return [
        b'{"gender": "f", "recency": 1.5, "loyal": true}',
        b'{"gender": null, "recency": "3"}',
        b"{}",
        b'{"x": [1]}',
    ]


def bytes_of_values():
    return [bytes(range(32)), bytes(range(0, 256, 7)), b"\xff" * 8 + b"anna", bytes([3, 5, 9, 13, 200, 97, 98])]


def spool_lines():
    event = {
        "type": "events", "decision_ids": ["d1"], "event": "purchase", "time": [1], "revenue": [1.5], "reward": [None],
        "event_ids": None, "time_given": True, "recorded_at": 2, "correct": False,
    }  # fmt: skip
    decision = {
        "type": "decisions", "decision_ids": ["s1"], "time": [1], "customer_keys": ["anna"], "catalogue_id": 1,
        "policy_id": None, "policy_step": 0, "contexts": ["{}"], "n_offers": 10, "masks": ["/8A="], "which": [0],
        "removals": [None], "offer": [0], "propensity": [0.5], "group": "g", "seed": "1", "batch": "b", "fault": None,
        "probabilities": None,
    }  # fmt: skip
    return [json.dumps(each).encode() for each in (event, decision)]


def specs():
    kinds = (
        {"kind": "uniform"}, {"kind": "constant", "offer": 3}, {"kind": "constant", "offer": SPRING["fallback"]},
        {"kind": "rules", "segments": [{"when": "loyal", "offer": SPRING["fallback"]}]},
        {"kind": "thompson", "draws": 64, "width": 0.5, "floor": 0.01, "pairs": True, "half_life": "30d", "name": "t"},
    )  # fmt: skip
    return [json.dumps(each).encode() for each in kinds]


@cache
def learned():
    """Policies with something learned: before and after the warm-up, and both of VW's."""
    rng = np.random.default_rng(2)
    found = []
    for policy, n in (
        (bandit.ThompsonSampling(CATALOGUE), 30),
        (bandit.ThompsonSampling(CATALOGUE, half_life="30d"), 600),
        (VowpalWabbit(CATALOGUE, warm_up=20), 40),
        (VowpalWabbit(CATALOGUE, warm_up=50), 20),
        (VowpalWabbitSlates(UNCOUPLED, warm_up=20), 40),
    ):
        policy.update(draw_outcomes(policy.catalogue, n, rng))
        found.append((policy, policy.dumps()))
    return found


def states():
    return [bytes([place]) + state for place, (_, state) in enumerate(learned())]


def keys():
    return [b"0123456789abcdef0123456789abcdef\n", b"0123456789abcdef" * 4, b"k", b"\r\n", bytes(range(64))]


def vw_arguments():
    texts = (
        "--cb_explore_adf", "--cb_explore_adf -q ca --cb_type mtr", "--cb_explore_adf --epsilon 0.1 -l 0.5",
        "--cb_explore_adf --bag 5 --power_t 0.5 --l2 1e-6", "--cb_explore_adf --interactions ca -b 18",
    )  # fmt: skip
    return [text.encode() for text in texts]


def edits():
    """What `policy_arrays` reads: which policy, which array, where, and what is written there."""
    return [bytes([policy, array, 0, 3, 0, 7]) for policy in range(5) for array in range(4)]


def models():
    """The model files of VW's policies."""
    return [bytes(unpack(state)[1]["model"]) for _, state in learned()[2:]]
