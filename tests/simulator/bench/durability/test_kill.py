"""What a killed process leaves: whether its write-ahead log ends in an unfinished transaction."""

import sqlite3

from simulator.bench.durability.kill import torn


def test_the_end_of_a_log_tells_whether_a_transaction_was_torn(tmp_path):
    """A write-ahead log of whole transactions, and the same cut before the page that commits the last."""
    raw = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    raw.execute("PRAGMA journal_mode = WAL")
    raw.execute("PRAGMA page_size")
    raw.execute("CREATE TABLE t (x)")
    raw.execute("INSERT INTO t VALUES (zeroblob(20000))")
    wal = tmp_path / "a.db-wal"
    assert not torn(wal)
    short = tmp_path / "short"
    short.write_bytes(wal.read_bytes()[: -(24 + 4096)])
    assert torn(short)
    assert not torn(tmp_path / "none")
    raw.close()
