"""Decision ids are unique within a file, and made of its content where it has none."""

import gzip
from importlib import import_module

import numpy as np

from tests.logfiles.import_tools import (
    bring,
    columns_of,
    mapping,
    row,
    sample,
    table,
)


def test_without_ids_the_same_content_is_the_same_decision_even_gzipped(tmp_path):
    using = mapping(columns={"row_customer": True, "propensity": 0.1})
    text = table(*sample(50, np.random.default_rng(2)))
    assert bring(tmp_path, text, using=using).n_imported == 50
    assert bring(tmp_path, text, using=using, name="renamed.csv").n_repeated == 50
    assert bring(tmp_path, gzip.compress(text.encode()), using=using, name="log.csv.gz").n_repeated == 50
    other = text.replace("email", "sms")
    assert bring(tmp_path, other, using=using).n_imported == 50
    assert len(set(columns_of(tmp_path).customer)) == 100


def test_a_decision_id_that_comes_twice_is_refused_the_second_time(tmp_path):
    report = bring(tmp_path, table(row(id="a"), row(id="b"), row(id="a", p="0.5")))
    assert report.n_imported == 2
    assert [one.line for one in report.refused] == [4]
    assert report.refused[0].reason.startswith(
        'an earlier row has the decision id "a" too; for a file with a row an event'
    )


def test_an_id_of_a_refused_row_is_still_free(tmp_path):
    report = bring(tmp_path, table(row(id="a", p="2"), row(id="a")))
    assert (report.n_imported, report.n_refused) == (1, 1)


def test_ids_are_compared_across_chunks(tmp_path, monkeypatch):
    """With chunks of 10 rows, row 35 repeats the id of row 3."""
    monkeypatch.setattr(import_module("bandit.logfiles.import_log"), "IMPORT_CHUNK_ROWS", 10)
    rows = sample(60, np.random.default_rng(1))
    rows[35][0] = rows[3][0]
    report = bring(tmp_path, table(*rows))
    assert [one.line for one in report.refused] == [37]
    assert report.n_imported == 59
