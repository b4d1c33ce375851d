"""Spool files, line by line."""

import os
import threading

import pytest

from bandit.errors import StoreError
from bandit.store.spool import file
from bandit.store.spool.file import Spool, abandoned_spool, read_lines, spools
from bandit.store.spool.scrub import spools_with


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


def test_a_spool_that_another_process_folds_before_it_is_locked_is_made_again(path, monkeypatch):
    """Between making and locking, a recovery takes the empty file for abandoned, and deletes it: three times here."""
    lock, taken = file._try_lock, []

    def raced(fd):
        if len(taken) < 3:
            (made,) = spools(path)
            taken.append(made)
            made.unlink()
        return lock(fd)

    monkeypatch.setattr(file, "_try_lock", raced)
    spool = Spool(path, sync=True)
    spool.append({"number": 1})
    assert len(taken) == 3
    assert spools(path) == [spool.path]
    assert os.fstat(spool._fd).st_nlink == 1
    spool.remove()


def test_a_spool_whose_file_another_holds_is_made_again(path, monkeypatch):
    answers = iter([False, False])
    lock = file._try_lock
    monkeypatch.setattr(file, "_try_lock", lambda fd: next(answers, None) is None and lock(fd))
    spool = Spool(path, sync=False)
    spool.append({"number": 1})
    assert spool.path in spools(path)
    spool.remove()


def test_no_line_is_lost_while_another_thread_folds_every_spool_it_can_lock(path):
    """2,000 spools are begun under a recovery that deletes what it gets the lock of; each line is read by somebody."""
    folded, stop = [], threading.Event()

    def recover():
        while not stop.is_set():
            for found in spools(path):
                with abandoned_spool(found) as mine:
                    if mine is not None:
                        folded.extend(line.record["number"] for line in mine.read(0))
                        found.unlink(missing_ok=True)

    thread = threading.Thread(target=recover)
    thread.start()
    for number in range(2_000):
        spool = Spool(path, sync=False)
        spool.append({"number": number})
        spool.release()
    stop.set()
    thread.join()
    for found in spools(path):
        with abandoned_spool(found) as mine:
            folded.extend(line.record["number"] for line in mine.read(0))
    assert sorted(folded) == list(range(2_000))


@pytest.mark.parametrize("how", ["deleted", "moved"])
def test_a_spool_that_is_deleted_or_moved_under_its_writer_is_written_again(path, how):
    spool = Spool(path, sync=True)
    starts = [spool.append({"number": number}) for number in range(3)]
    before = spool.path
    before.unlink() if how == "deleted" else before.rename(path.with_name("elsewhere"))
    starts.append(spool.append({"number": 3}))
    assert spools(path) == [spool.path]
    assert spool.path != before
    assert [line.record["number"] for line in spool.read(0)] == [0, 1, 2, 3]
    assert next(spool.read(starts[2])).record == {"number": 2}
    assert len(spool) == 4
    spool.release()
    with abandoned_spool(spools(path)[0]) as mine:
        assert [line.record["number"] for line in mine.read(0)] == [0, 1, 2, 3]


def other_things(path):
    """What is no spool and has the name of one: a pipe, a folder, a link to a file, a link to a pipe, a device."""
    names = [path.with_name(f"{path.name}-spool-1-{name}") for name in ("pipe", "folder", "link", "linkpipe", "null")]
    os.mkfifo(names[0])
    names[1].mkdir()
    (path.parent / "precious").write_text("not a spool\n")
    names[2].symlink_to(path.parent / "precious")
    names[3].symlink_to(names[0])
    names[4].symlink_to("/dev/zero")
    return names


def test_what_is_no_regular_file_is_no_spool_and_is_never_waited_for(path):
    names = other_things(path)
    assert spools(path) == []
    for name in names:
        with abandoned_spool(name) as mine:
            assert mine is None
    assert spools_with(path, ["not a spool"]) == ()
    assert all(os.path.lexists(name) for name in names)
    assert (path.parent / "precious").read_text() == "not a spool\n"


@pytest.mark.parametrize("what", ["pipe", "folder", "link"])
def test_refused_lines_go_into_a_regular_file_or_are_not_lost(path, what):
    refused = path.with_name(path.name + file.REFUSED)
    precious = path.parent / "precious"
    precious.write_text("x")
    {"pipe": lambda: os.mkfifo(refused), "folder": refused.mkdir, "link": lambda: refused.symlink_to(precious)}[what]()
    with pytest.raises(StoreError, match="cannot be written"):
        file.keep_refused(path, b"line", "reason")
    assert precious.read_text() == "x"
