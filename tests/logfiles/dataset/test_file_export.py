"""A log file becomes a dataset without a database: the rows that an import would take, with the same outcomes."""

import numpy as np
import pytest

from bandit import Uniform
from bandit.errors import InputError, LogFileError
from bandit.evaluate import evaluate
from bandit.logfiles import import_log, open_dataset, open_log
from bandit.logfiles.dataset.file_export import export_file
from bandit.store import Store, StoreLog
from tests.contract.test_logs import without_20
from tests.logfiles.dataset.conftest import check_close, check_same, columns_of
from tests.logfiles.import_tools import HEADER, mapping, row, sample, spring, table

KEY = b"sixteen bytes or more"


def log_file(folder, n=90):
    rows = sample(n, np.random.default_rng(1))
    for place, values in enumerate(rows):
        values[HEADER.index("at")] = f"2026-03-{1 + place // 24:02d}T{place % 24:02d}:00:00"
    path = folder / "log.csv"
    path.write_text(table(*rows, row(id="bad", p="2")), encoding="utf-8")
    return path


def test_a_file_becomes_a_dataset_as_it_is_read(tmp_path):
    """Each of the 90 rows that can be used, with its facts, propensity, masks and reward; one is rejected."""
    path = log_file(tmp_path)
    written, report = export_file(path, spring(), mapping(), tmp_path / "log", partitions=3)
    assert (written.n, report.n_rows, report.n_refused, written.in_clear) == (90, 91, 1, True)
    of_file, log = open_log(path, spring(), mapping()), open_dataset(tmp_path / "log")
    found, expected = columns_of(log), columns_of(of_file)
    check_same(found, expected)
    judged = [evaluate(each, [Uniform(spring())], "logged").to_dict() for each in (log, of_file)]
    check_close(judged[0]["policies"], judged[1]["policies"])


def test_offers_that_the_catalogue_does_not_have_are_outside(tmp_path):
    """As in the database that the file is imported into: the decisions with 20 off, and the costs of their offers."""
    path = log_file(tmp_path)
    _, report = export_file(path, without_20(), mapping(), tmp_path / "log", partitions=3)
    log = open_dataset(tmp_path / "log")
    with Store.open(tmp_path / "a.db", durability="process") as store:
        import_log(store, without_20(), mapping(), path)
        imported = StoreLog(store, without_20())
        for outside in (False, True):
            found, expected = columns_of(log, outside), columns_of(imported, outside)
            for columns in (found, expected):
                del columns["policy"]
            check_same(found, expected)
        assert log.outside_reasons == imported.outside_reasons == report.outside


def test_customers_are_stored_under_a_key_if_there_is_one(tmp_path):
    written, _ = export_file(log_file(tmp_path), spring(), mapping(), tmp_path / "log", customer_key=KEY)
    assert not written.in_clear
    assert all(len(each) == 32 for each in columns_of(open_dataset(tmp_path / "log"))["customer"])


def test_a_file_without_customers_has_one_a_row(tmp_path):
    columns = {"decision_id": "id", "time": "at", "propensity": "p", "row_customer": True}
    export_file(log_file(tmp_path), spring(), mapping(columns=columns), tmp_path / "log", partitions=4)
    assert len(set(columns_of(open_dataset(tmp_path / "log"))["customer"])) == 90


def test_what_cannot_be_exported_is_said_and_leaves_nothing(tmp_path):
    path = log_file(tmp_path)
    export_file(path, spring(), mapping(), tmp_path / "log")
    with pytest.raises(InputError, match="is a dataset already; write it anew with --force"):
        export_file(path, spring(), mapping(), tmp_path / "log")
    path.write_text(table(row(p="2"), row(id="d2", p="3")), encoding="utf-8")
    with pytest.raises(LogFileError, match="every row is refused"):
        export_file(path, spring(), mapping(), tmp_path / "new")
    assert not (tmp_path / "new").exists()
    assert open_dataset(tmp_path / "log").n == 90
