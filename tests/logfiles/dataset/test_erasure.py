"""Erasing a customer rewrites the files of their partition, and nothing else."""

import pytest

from bandit.errors import InputError, LogFileError
from bandit.logfiles import open_dataset
from bandit.logfiles.dataset import erasure
from bandit.logfiles.dataset.erasure import erase_from_dataset
from bandit.logfiles.dataset.export import export_dataset
from bandit.logfiles.dataset.partition import Partitioner
from bandit.store import Store
from tests.logfiles.dataset.conftest import check_same, columns_of, now, odd, write
from tests.logfiles.odd_database import fill

KEY = b"sixteen bytes or more"


def bytes_of(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.parquet")}


def test_an_erased_customer_is_in_no_byte_and_all_others_are_as_they_were(tmp_path, made):
    """ "policy 3" has 7 of the 121 settled decisions: rows 3, 12, ..., 57 of its group."""
    folder = tmp_path / "log"
    write(made, folder, odd(), partitions=4)
    before, files = columns_of(open_dataset(folder)), bytes_of(folder)
    report = erase_from_dataset(folder, "policy 3")
    after = columns_of(open_dataset(folder))
    theirs = before["customer"] == "policy 3"
    assert report.decisions == theirs.sum() == 7
    check_same(after, {name: values[~theirs] if values.size else values for name, values in before.items()})
    assert open_dataset(folder).n == 114
    partition = f"partition={Partitioner(4).of('policy 3'):03d}/"
    assert {name for name in bytes_of(folder).keys() ^ files.keys() if not name.startswith(partition)} == set()
    assert report.files == 2
    from pyarrow import parquet  # noqa: PLC0415

    for path in folder.rglob("*.parquet"):
        assert b"policy 3" not in path.read_bytes()
        assert "policy 3" not in str(parquet.read_table(path).to_pylist())
    assert erase_from_dataset(folder, "policy 3").files == 0


def test_a_dataset_goes_on_after_an_erasure_from_both(tmp_path):
    """What came since is added; the erased customer does not come back."""
    db, folder = fill(tmp_path / "a.db", odd(), now=now()), tmp_path / "log"
    write(db, folder, odd(), partitions=2)
    from bandit.governance.erasure import erase  # noqa: PLC0415

    with Store.open(db, durability="process") as store:
        erase(store, "policy 3")
    erase_from_dataset(folder, "policy 3")
    assert write(db, folder, odd(), since="last").n == 0
    assert "policy 3" not in columns_of(open_dataset(folder))["customer"]


def test_customers_under_a_key_are_erased_with_the_key(tmp_path):
    db, folder = fill(tmp_path / "a.db", odd(), now=now(), key=KEY), tmp_path / "log"
    with Store.open(db, durability="process", customer_key=KEY) as store:
        export_dataset(store, odd(), folder, partitions=3)
    for wrong in (None, b"another key of some bytes"):
        with pytest.raises(InputError, match="customers are stored under a key, which neither OFFER_BANDIT_KEY nor"):
            erase_from_dataset(folder, "policy 3", wrong)
    assert erase_from_dataset(folder, "policy 3", KEY).decisions == 7


def test_an_erasure_that_is_broken_off_leaves_the_dataset_as_it_was(tmp_path, made, monkeypatch):
    folder = tmp_path / "log"
    write(made, folder, odd(), partitions=2)
    before = columns_of(open_dataset(folder))

    def full(*_arguments):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(erasure.PartitionFile, "write", full)
        with pytest.raises(LogFileError, match="No space left on device"):
            erase_from_dataset(folder, "policy 3")
    check_same(columns_of(open_dataset(folder)), before)
    assert len(bytes_of(folder)) == len(open_dataset(folder).manifest.file_names)
    with pytest.raises(InputError, match="is no dataset"):
        erase_from_dataset(tmp_path, "policy 3")
