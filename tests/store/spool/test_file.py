"""Spool files, line by line."""

import os

import pytest

from bandit.store.spool.file import Spool, abandoned_spool, read_lines, spools


def left(path, *records):
    """A spool that a process left behind."""
    spool = Spool(path, sync=False)
    for record in records:
        spool.append(record)
    where = spool.path
    spool.release()
    return where


def test_there_is_no_file_until_something_is_in_it(path):
    spool = Spool(path, sync=True)
    assert spools(path) == []
    spool.append({"a": 1})
    assert spools(path) == [spool.path]
    assert spool.path.stat().st_mode & 0o777 == 0o600
    spool.remove()
    assert spools(path) == []


def test_what_is_written_is_read_back_from_any_line(path):
    spool = Spool(path, sync=False)
    starts = [spool.append({"number": number, "text": "x" * number}) for number in (1, 2, 70_000, 3)]
    assert [line.record["number"] for line in spool.read(0)] == [1, 2, 70_000, 3]
    assert [line.record["number"] for line in spool.read(starts[2])] == [70_000, 3]
    spool.remove()


def test_a_truncated_line_is_skipped_and_a_changed_one_is_detected(path):
    where = left(path, {"number": 1}, {"number": 2}, {"number": 3})
    content = bytearray(where.read_bytes())
    content[content.index(b'"number":2') + 9] ^= 1
    where.write_bytes(content[:-5])
    fd = os.open(where, os.O_RDONLY)
    assert [None if line.record is None else line.record["number"] for line in read_lines(fd, 0)] == [1, None]
    os.close(fd)


def test_the_spool_of_a_writer_that_lives_is_left_alone(path):
    spool = Spool(path, sync=False)
    spool.append({"a": 1})
    with abandoned_spool(spool.path) as mine:
        assert mine is None
    where = spool.path
    spool.release()
    with abandoned_spool(where) as mine:
        assert mine is not None
        assert mine.token == where.name[-16:]
        with abandoned_spool(where) as again:
            assert again is None


def test_a_line_that_cannot_be_written_is_not_there(path, monkeypatch):
    spool = Spool(path, sync=False)
    spool.append({"number": 1})
    whole = os.pwrite

    def half(fd, data, place):
        if len(data) > 20:
            return whole(fd, data[:20], place)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", half)
    with pytest.raises(OSError, match="No space"):
        spool.append({"number": 2})
    monkeypatch.setattr(os, "pwrite", whole)
    spool.append({"number": 3})
    assert [line.record["number"] for line in spool.read(0)] == [1, 3]
    assert len(spool) == 2
    spool.remove()
