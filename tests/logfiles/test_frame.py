"""Any dataframe, and a Parquet file of any size, as a log."""

import copy

import numpy as np
import pytest

from bandit import Catalogue, SegmentRules, Uniform
from bandit.analysis.replay import replay
from bandit.analysis.time_order import TimeOrdered
from bandit.domain import Log, LoggedBatch
from bandit.errors import CatalogueError, InputError, LogFileError, MissingExtraError
from bandit.evaluate import evaluate
from bandit.logfiles import LogMapping, from_frame, from_parquet, open_log
from tests.logfiles.import_tools import HEADER, MAPPING, bring, mapping, read_back, row, sample, spring, table

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")


def columns(*rows):
    """Rows of text as typed columns, None where blank."""
    plain = {name: list(column) for name, column in zip(HEADER, zip(*rows, strict=True), strict=True)}
    for name in ("rec", "p", "amount"):
        plain[name] = [None if value == "" else float(value) for value in plain[name]]
    plain["club"] = [str(value) in {"1", "true"} for value in plain["club"]]
    plain["bought"] = [bool(int(value)) for value in plain["bought"]]
    plain["sex"] = [value or None for value in plain["sex"]]
    return plain


def frame(n=300, seed=3):
    return pa.table(columns(*sample(n, np.random.default_rng(seed))))


def same(batch, wanted):
    for name in ("offer", "eligible", "propensity", "converted", "revenue", "reward", "time"):
        assert getattr(batch, name).tolist() == getattr(wanted, name).tolist(), name
    assert batch.contexts.customers.tolist() == wanted.contexts.customers.tolist()
    for name, column in wanted.contexts.columns.items():
        np.testing.assert_array_equal(batch.contexts.columns[name], column)
    for name, text in wanted.contexts.text.items():
        assert batch.contexts.text[name].tolist() == text.tolist()


def kinds_of_frames():
    """The same rows as everything that is a frame; pandas, polars and DuckDB where they are installed."""
    whole = frame()
    made = {
        "table": whole,
        "dict of lists": {name: whole.column(name).to_pylist() for name in whole.column_names},
        "reader": whole.to_reader(max_chunksize=70),
        "chunked": pa.Table.from_batches(whole.to_batches(max_chunksize=70)),
        "dictionaries": whole.set_column(2, "at", whole.column("at").dictionary_encode()),
        "capsule": Capsule(whole),
    }
    numbers = {name: whole.column(name).to_numpy(zero_copy_only=False) for name in whole.column_names}
    made["dict of arrays"] = numbers
    try:
        import pandas as pd  # noqa: PLC0415

        made["pandas"] = pd.DataFrame(numbers)
    except ImportError:
        pass
    try:
        import polars as pl  # noqa: PLC0415

        made["polars"] = pl.from_arrow(whole)
    except ImportError:
        pass
    return made


class Capsule:
    """All that a frame needs: Arrow's C stream."""

    def __init__(self, table):
        self.table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self.table.__arrow_c_stream__(requested_schema)


def test_every_kind_of_frame_is_the_log_that_an_import_of_csv_gives(tmp_path):
    bring(tmp_path, table(*sample(300, np.random.default_rng(3))))
    wanted = read_back(tmp_path)
    for name, given in kinds_of_frames().items():
        log = from_frame(given, spring(), MAPPING)
        assert isinstance(log, Log), name
        for size in (1_000, 77):
            parts = list(log.batches(size))
            assert max(map(len, parts)) <= size
            same(LoggedBatch.concat(parts), wanted)


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
    rows = [row(), row(id="d2", p=7), row(id="d3", disc="99"), row(id="d4", gift="tote", club="0"), row(), row(id="d6")]
    report = bring(tmp_path, table(*rows))
    log = from_frame(columns(*rows), spring(), MAPPING)
    assert log.n == sum(len(batch) for batch in log.batches(2)) == 2
    assert log.report.by_reason == dict(report.by_reason)
    assert [each.line + 1 for each in log.report.refused] == [each.line for each in report.refused]
    assert [each.reason for each in log.report.refused] == [each.reason for each in report.refused]


def test_decisions_that_are_open_are_left_out(tmp_path):
    rows = [row(), row(id="d2", at="2126-01-01"), row(id="d3", at="2126-01-01", bought="0", amount="")]
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


def test_missing_is_nan_in_numpy_and_null_elsewhere():
    """Of three rows with NaN: missing in numpy's column, refused in Arrow's."""
    given = columns(row(), row(id="d2"))
    nan = np.array([1.0, np.nan])
    log = from_frame(given | {"rec": nan}, spring(), MAPPING)
    assert np.isnan(next(iter(log.batches())).contexts.columns["recency"][1])
    log = from_frame(given | {"rec": pa.array(nan)}, spring(), MAPPING)
    assert log.report.refused[0].reason == '"nan" in "rec" is not a finite number, which the fact "recency" needs'
    assert from_frame(given | {"p": np.array([0.5, np.inf])}, spring(), MAPPING).n == 1


GOOD = columns(row(), row(id="d2"))
BAD = {
    "a number": (7, "a frame is a pandas or polars frame, .*; seen int"),
    "a text": ("log.csv", "seen str"),
    "a list of rows": ([{"id": 1}], "seen list"),
    "nothing": (None, "seen NoneType"),
    "columns of two lengths": (GOOD | {"p": [0.1]}, r"of one length; seen \[1, 2\]"),
    "a column that is a text": (GOOD | {"p": "0.1"}, 'the column "p" is a str'),
    "a column of a matrix": (GOOD | {"p": np.ones((2, 2))}, r'the column "p" has the shape \(2, 2\)'),
    "mixed types": (GOOD | {"p": [0.5, "half"]}, 'the column "p" cannot be read'),
    "nested columns": (GOOD | {"rec": [[1.0], [2.0]]}, 'the column "rec" is of the type list'),
    "bytes": (GOOD | {"ch": [b"sms", b"sms"]}, 'the column "ch" is of the type binary'),
    "a column too few": ({name: GOOD[name] for name in HEADER[:-1]}, 'it has no column "amount"; the columns are "id"'),
    "no rows": ({name: [] for name in HEADER}, "the frame: has no rows"),
    "all rows refused": (GOOD | {"p": [2.0, 3.0]}, "every row is refused, the first because the propensity 2 is"),
    "a NUL": (GOOD | {"who": ["a\0b", "c"]}, 'row 1 has a NUL in the column "who"'),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_frame_is_refused_in_one_sentence(case):
    given, words = BAD[case]
    with pytest.raises(LogFileError, match=words) as fault:
        from_frame(given, spring(), MAPPING)
    assert "\n" not in str(fault.value)


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
        from_frame(GOOD, spring(), MAPPING)


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
