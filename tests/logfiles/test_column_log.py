"""A log of a frame or a file is read many times, without a database, as an import reads it."""

import copy

import numpy as np
import pytest

from bandit import Catalogue, SegmentRules, Uniform
from bandit.analysis.replay import replay
from bandit.analysis.time_order import TimeOrdered
from bandit.clock import day, now
from bandit.errors import CatalogueError, InputError, LogFileError, MissingExtraError
from bandit.evaluate import evaluate
from bandit.logfiles import LogMapping, from_frame, from_parquet, open_log
from tests.logfiles.frames import columns, frame
from tests.logfiles.import_tools import MAPPING, bring, mapping, row, sample, spring, table

parquet = pytest.importorskip("pyarrow.parquet")


def test_a_parquet_file_is_read_again_and_again_and_evaluated(tmp_path):
    parquet.write_table(frame(2_000), tmp_path / "log.parquet", row_group_size=300)
    catalogue = spring()
    log = from_parquet(tmp_path / "log.parquet", catalogue, LogMapping.from_dict(copy.deepcopy(MAPPING)))
    (tmp_path / "log.csv").write_text(table(*sample(2_000, np.random.default_rng(3))))
    also = open_log(tmp_path / "log.csv", catalogue, MAPPING)
    judged = [evaluate(each, [Uniform(catalogue)], "logged", split=0.5) for each in (log, also, log)]
    assert judged[0].to_dict() == judged[1].to_dict() == judged[2].to_dict()
    assert judged[0].customers is not None
    assert replay(TimeOrdered(log), Uniform(catalogue), rng=np.random.default_rng(1)).n == 2_000


def test_rows_are_refused_as_an_import_refuses_them(tmp_path):
    rows = [row(), row(id="d2", p=7), row(id="d3", ch="sns"), row(id="d4", gift="tote", club="0"), row(), row(id="d6")]
    report = bring(tmp_path, table(*rows))
    log = from_frame(columns(*rows), spring(), MAPPING)
    assert log.n == sum(len(batch) for batch in log.batches(2)) == 2
    assert log.report.by_reason == dict(report.by_reason)
    assert [each.line + 1 for each in log.report.refused] == [each.line for each in report.refused]
    assert [each.reason for each in log.report.refused] == [each.reason for each in report.refused]


def test_decisions_that_are_open_are_left_out(tmp_path):
    soon = day(now() + 100 * 86_400 * 1_000_000)
    rows = [row(), row(id="d2", at=soon), row(id="d3", at=soon, bought="0", amount="")]
    given = columns(*rows) | {"done": [False, False, True]}
    log = from_frame(given, spring(), MAPPING | {"closed": "done"})
    assert (log.n, log.still_open) == (2, 1)
    with pytest.raises(LogFileError, match="which says whether it is closed, is not 0, 1"):
        from_frame(given | {"done": [7, 7, 7]}, spring(), MAPPING | {"closed": "done"})


def test_columns_named_as_an_export_names_them_need_no_mapping():
    """The least there can be: the dimensions, a propensity and what came of it; every row is a customer of its own."""
    least = {
        "discount": ["0", "10"],
        "channel": ["sms", "email"],
        "gift": ["none", "none"],
        "propensity": [0.5, 0.25],
        "converted": [True, False],
        "revenue": [10.0, 0.0],
        "recency": [1.5, None],
    }
    log = from_frame(least, spring())
    (batch,) = log.batches()
    assert batch.reward.tolist() == pytest.approx([10.0 * 0.35 - 0.1, -0.01])
    assert batch.contexts.customers.tolist() == []
    assert batch.contexts.columns["recency"].tolist()[0] == 1.5
    reward = Catalogue.from_dict(
        {"objective": {"kind": "reward"}, "dimensions": [{"name": "a", "options": [{"name": "x"}]}]}
    )
    (batch,) = from_frame({"a": ["x", "x"], "propensity": [1.0, 1.0], "reward": [-2.0, 3.0]}, reward).batches()
    assert batch.reward.tolist() == [-2.0, 3.0]


def test_a_bad_file_is_refused_in_one_sentence(tmp_path, monkeypatch):
    parquet.write_table(frame(), tmp_path / "log.parquet")
    content = (tmp_path / "log.parquet").read_bytes()
    (tmp_path / "torn.parquet").write_bytes(content[:-40])
    (tmp_path / "half.parquet").write_bytes(content[:200] + bytes(200) + content[400:])
    for name in ("torn", "half"):
        with pytest.raises(LogFileError, match="is a damaged Parquet file"):
            from_parquet(tmp_path / f"{name}.parquet", spring(), MAPPING)
    with pytest.raises(LogFileError, match="cannot be read: No such file"):
        from_parquet(tmp_path / "no.parquet", spring(), MAPPING)
    with pytest.raises(LogFileError, match="is a directory; name one Parquet file"):
        from_parquet(tmp_path, spring(), MAPPING)
    with pytest.raises(LogFileError, match='has no column "discount", which an export has; give a mapping'):
        from_parquet(tmp_path / "log.parquet", spring())
    with pytest.raises(CatalogueError, match="delimiter is one character"):
        from_parquet(tmp_path / "log.parquet", spring(), MAPPING | {"delimiter": ""})
    log = from_parquet(tmp_path / "log.parquet", spring(), MAPPING)
    with pytest.raises(InputError, match="at least one decision"):
        next(log.batches(0))
    parquet.write_table(frame(7), tmp_path / "log.parquet")
    with pytest.raises(LogFileError, match="has changed since it was checked"):
        next(log.batches())
    (tmp_path / "log.parquet").unlink()
    with pytest.raises(LogFileError, match="cannot be read any more"):
        next(log.batches())
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r'reading a frame needs .* "offer-bandit\[parquet\]"'):
        from_frame(frame(2), spring(), MAPPING)


def test_rules_look_at_the_facts_of_each_row():
    """Only the loyal may have the tote: of two customers one has all 10 offers, the other the 6 without it."""
    rows = [row(), row(id="d2", gift="none", club="0")]
    (batch,) = from_frame(columns(*rows), spring(), mapping()).batches()
    assert batch.eligible.sum(axis=1).tolist() == [10, 6]
    rules = SegmentRules.from_dict(
        spring(),
        {
            "segments": [{"when": "loyal", "offer": {"discount": "0", "channel": "sms", "gift": "tote"}}],
            "otherwise": {"discount": "0", "channel": "sms", "gift": "none"},
        },
    )
    table_of = rules.probabilities(batch.contexts, batch.eligible, np.random.default_rng(1))
    assert table_of.max(axis=1).tolist() == [1.0, 1.0]
