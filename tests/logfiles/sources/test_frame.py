"""Every kind of dataframe is read; other objects are refused in one sentence."""

import numpy as np
import pytest

from bandit.domain import Log, LoggedBatch
from bandit.errors import LogFileError
from bandit.logfiles import from_frame
from tests.logfiles.frames import columns, frame
from tests.logfiles.import_tools import HEADER, MAPPING, bring, read_back, row, sample, spring, table

pa = pytest.importorskip("pyarrow")


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


def test_missing_is_nan_in_numpy_and_null_elsewhere():
    """Of three rows with NaN: missing in numpy's column, refused in Arrow's."""
    given = columns(row(), row(id="d2"))
    nan = np.array([1.0, np.nan])
    log = from_frame(given | {"rec": nan}, spring(), MAPPING)
    assert np.isnan(next(iter(log.batches())).contexts.columns["recency"][1])
    log = from_frame(given | {"rec": pa.array(nan)}, spring(), MAPPING)
    assert log.report.refused[0].reason == (
        '"nan" in "rec" is not a finite number, which the fact "recency" needs; '
        'put missing = ["nan"] under [numbers] in the mapping'
    )
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
    "mixed types": (GOOD | {"p": [0.5, object()]}, 'the column "p" cannot be read'),
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
