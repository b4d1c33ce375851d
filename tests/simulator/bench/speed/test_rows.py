"""The benchmark of a long log: the log is one that an export could be, and nothing is measured twice."""

from __future__ import annotations

import json

import numpy as np
import pytest
from rich.console import Console

from bandit import Catalogue
from bandit.errors import InputError
from bandit.logfiles import open_log
from simulator.bench.speed import rows
from simulator.bench.speed.rows_log import ROW_OFFERS, RowsCase, catalogue_structure, write_rows_log

QUIET = Console(quiet=True)
SMALL = RowsCase(rows=3_000, customers=200, offers=12, seed=1)


@pytest.mark.parametrize("offers", ROW_OFFERS)
def test_every_row_of_the_log_can_be_used_and_its_propensities_are_right(tmp_path, offers):
    """The mean of 1 / (propensity times eligible offers) over the rows is 1, as each eligible offer has a chance."""
    case = RowsCase(rows=4_000, customers=300, offers=offers, seed=1)
    path = tmp_path / case.file_name
    write_rows_log(path, case, lambda _: None)
    assert [each.name for each in tmp_path.iterdir()] == [case.file_name]
    log = open_log(path, Catalogue.from_dict(catalogue_structure(offers)))
    assert (log.n, log.left_out, log.report.n_refused) == (4_000, 0, 0)
    ratios = np.concatenate([1.0 / (batch.propensity * batch.eligible.sum(axis=1)) for batch in log.batches()])
    assert abs(ratios.mean() - 1.0) < 4.0 * ratios.std() / np.sqrt(len(ratios))


def test_what_was_measured_is_not_measured_again(tmp_path, monkeypatch):
    answers = iter([_answer(1.0), _answer(2.0)])
    monkeypatch.setattr(rows, "_run", lambda *_: next(answers))
    first = list(rows.measure([SMALL], ["snips"], tmp_path, None, QUIET))
    second = list(rows.measure([SMALL], ["snips"], tmp_path, None, QUIET))
    again = list(rows.measure([SMALL], ["snips"], tmp_path, None, QUIET, again=True))
    assert [each.seconds for each in (*first, *second, *again)] == [1.0, 1.0, 2.0]
    assert "| 3,000 | 200 | 12 | 2 | 1 | now | 1.0 |" in rows.markdown(first)


def test_the_difference_is_that_of_the_number_that_differs_most():
    """0.5 and 0.5005 differ by a thousandth of 0.5; two missing numbers are the same, other names are not."""
    one, two, three = _answer(1.0), _answer(1.0), _answer(1.0)
    two["rows"][0]["values"]["snips"] = [0.5005, 0.4, float("nan")]
    three["rows"][0]["policy"] = "else"
    assert rows.largest_difference(one, two) == pytest.approx(1e-3)
    assert rows.largest_difference(one, _answer(2.0)) == 0.0
    assert rows.largest_difference(one, three) == float("inf")


def test_a_number_of_offers_without_a_catalogue_and_a_tree_without_the_package_are_refused(tmp_path):
    with pytest.raises(InputError, match="no catalogue of 13 offers; choose from 12, 48, 144"):
        rows.offers_checked([12, 13])
    with pytest.raises(InputError, match="has no package bandit"):
        list(rows.measure([SMALL], ["snips"], tmp_path, tmp_path, QUIET))


@pytest.mark.slow
def test_the_measured_program_gives_every_estimate(tmp_path):
    (timing,) = rows.measure([SMALL], ["snips", "dr"], tmp_path, None, QUIET)
    assert (timing.rows, timing.customers, timing.policies, timing.estimators) == (3_000, 200, 2, 2)
    assert timing.seconds > timing.opened > 0.0
    assert timing.peak > 50_000_000
    (line,) = (tmp_path / "rows.jsonl").read_text().splitlines()
    assert {*json.loads(line)["answer"]["rows"][1]["differences"]} >= {"snips", "dr"}


def _answer(seconds: float) -> dict:
    values = {"snips": [0.5, 0.4, float("nan")]}
    policies = [{"policy": name, "values": dict(values), "differences": {}} for name in ("rules", "other")]
    return {"seconds": seconds, "opened": 0.5, "elapsed": 1.0, "peak": 10**8, "customers": 200, "rows": policies}
