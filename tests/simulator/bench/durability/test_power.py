"""Power cuts in short: the model of a disk by hand, a few cuts of a recording, and a control without flushes."""

import shutil
import sys

import numpy as np
import pytest
from rich.console import Console

from bandit.errors import InputError
from simulator.bench.durability.power import recording, run
from simulator.bench.durability.power.disk import SECTOR, Disk
from simulator.bench.durability.power.recording import FileOperation as Op
from simulator.bench.durability.power.recording import RecordedOperation

COMPILES = sys.platform == "linux" and any(map(shutil.which, ("cc", "gcc", "clang")))
needs_compiler = pytest.mark.skipif(not COMPILES, reason="the recorder is compiled for Linux by a C compiler")


def did(kind, descriptor=-1, offset=0, name="", data=b""):
    return RecordedOperation(kind, descriptor, offset, name, data)


def after(disk, cut, seed=1):
    return disk.after(cut, np.random.default_rng(seed))


def done(*operations, files=None):
    disk = Disk.of({} if files is None else files)
    for each in operations:
        disk.do(each, "/r")
    return disk


OPENED = (did(Op.OPEN, 3, name="/r/a"), did(Op.WRITE, 3, 0, data=b"new"))
FLUSHED = (did(Op.SYNC_BEGIN, 3), did(Op.SYNC_END, 3))
FOLDER = (did(Op.OPEN, 4, name="/r"), did(Op.SYNC_BEGIN, 4), did(Op.SYNC_END, 4))


def test_a_write_is_certain_once_its_file_is_flushed():
    """ "old" is on the disk and "new" is written over it: without a flush a power cut may leave either."""
    disk = done(*OPENED, files={"a": b"old"})
    assert after(disk, "dropped") == {"a": b"old"}
    assert after(disk, "kept") == {"a": b"new"}
    assert after(done(*OPENED, *FLUSHED, files={"a": b"old"}), "dropped") == {"a": b"new"}


def test_what_is_written_while_a_file_is_flushed_is_not_certain():
    disk = done(*OPENED, did(Op.SYNC_BEGIN, 3), did(Op.WRITE, 3, 3, data=b"er"), did(Op.SYNC_END, 3), files={"a": b""})
    assert after(disk, "dropped") == {"a": b"new"}
    assert after(disk, "kept") == {"a": b"newer"}


def test_a_new_name_and_a_removal_are_certain_once_the_folder_is_flushed():
    """A new file that was flushed is lost with its name; after a flush of the folder, so is one that was removed."""
    assert after(done(*OPENED, *FLUSHED), "dropped") == {}
    assert after(done(*OPENED, *FLUSHED, *FOLDER), "dropped") == {"a": b"new"}
    removed = (*OPENED, *FLUSHED, *FOLDER, did(Op.UNLINK, name="/r/a"))
    assert after(done(*removed), "dropped") == {"a": b"new"}
    assert after(done(*removed, *FOLDER[1:]), "dropped") == {}


def test_a_file_that_is_renamed_keeps_its_descriptor_and_replaces_another():
    moved = (*OPENED, *FLUSHED, did(Op.RENAME, name="/r/a", data=b"/r/b"), did(Op.WRITE, 3, 3, data=b"!"))
    disk = done(*moved, files={"b": b"before"})
    assert after(disk, "dropped") == {"b": b"before"}
    assert after(disk, "kept") == {"b": b"new!"}
    assert after(done(*moved, *FOLDER, files={"b": b"before"}), "dropped") == {"b": b"new"}


def test_a_torn_write_leaves_whole_sectors_of_the_old_or_the_new_content():
    """Four sectors of "o" and "n": in 40 power cuts some are mixed, and each sector is of one letter."""
    files = {"a": b"o" * 4 * SECTOR}
    disk = done(did(Op.OPEN, 3, name="/r/a"), did(Op.WRITE, 3, 0, data=b"n" * 4 * SECTOR), files=files)
    found = {after(disk, "some", seed)["a"] for seed in range(40)}
    sectors = {each[start : start + SECTOR] for each in found for start in range(0, len(each), SECTOR)}
    assert sectors == {b"o" * SECTOR, b"n" * SECTOR}
    assert len(found) > 5


def test_a_cut_file_has_its_old_length_until_it_is_flushed():
    disk = done(did(Op.OPEN, 3, name="/r/a"), did(Op.TRUNCATE, 3, 1), files={"a": b"old"})
    assert after(disk, "dropped") == {"a": b"old"}
    assert after(disk, "kept") == {"a": b"o"}


@needs_compiler
def test_a_recording_has_what_a_program_did_to_the_files_of_its_folder(tmp_path):
    """The recorded program writes, flushes, renames and removes; elsewhere it leaves no trace."""
    root = (tmp_path / "root").resolve()
    root.mkdir()
    (tmp_path / "module_to_record.py").write_text(
        "import os, sys\nos.chdir(sys.argv[1])\n"
        "open('../elsewhere', 'w').close()\n"
        "fd = os.open('a', os.O_WRONLY | os.O_CREAT | os.O_APPEND)\nos.write(fd, b'12')\nos.write(fd, b'34')\n"
        "os.fsync(fd)\nos.close(fd)\nfd = os.open('a', os.O_WRONLY)\n"
        "os.ftruncate(fd, 3)\nos.pwrite(fd, b'5', 1)\nos.close(fd)\n"
        "os.rename('a', 'b')\nos.unlink('b')\n",
        encoding="utf-8",
    )
    library = recording.compiled_recorder(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(tmp_path))
        found = recording.record(library, root, tmp_path / "trace", "module_to_record", [str(root)])
    assert [each.kind for each in found] == [
        Op.OPEN, Op.WRITE, Op.WRITE, Op.SYNC_BEGIN, Op.SYNC_END, Op.CLOSE,
        Op.OPEN, Op.TRUNCATE, Op.WRITE, Op.CLOSE, Op.RENAME, Op.UNLINK,
    ]  # fmt: skip
    assert [(each.offset, each.data) for each in found if each.kind is Op.WRITE] == [(0, b"12"), (2, b"34"), (1, b"5")]
    disk = Disk.of({})
    for each in found[:-2]:
        disk.do(each, str(root))
    assert after(disk, "kept") == {"a": b"153"}


@needs_compiler
@pytest.mark.slow
def test_nothing_acknowledged_is_lost_when_the_power_is_cut():
    """Two cuts at each of nine recordings; with "process" what is left was there at a moment."""
    names = ["recording and correcting", "learning in small steps", "creating a database", "erasing", "backing up"]
    found = run.run(18, [*names, "spooling while locked"], 5, Console(quiet=True))
    assert [each.problems for each in found] == [[]] * len(found)
    assert sum(each.cuts for each in found) == 18
    assert "| spooling while locked | full |" in run.markdown(found)


@needs_compiler
@pytest.mark.slow
def test_a_program_that_does_not_flush_would_be_seen(monkeypatch):
    """The control: the same recording without its flushes, as of a program that never calls fsync."""
    recorded = run.record

    def without_flushes(*given):
        return [each for each in recorded(*given) if each.kind not in {Op.SYNC_BEGIN, Op.SYNC_END}]

    monkeypatch.setattr(run, "record", without_flushes)
    (full, _) = run.run(6, ["deciding"], 5, Console(quiet=True))
    assert any("acknowledged decisions are lost" in each for each in full.problems)


def test_an_unknown_activity_is_refused():
    with pytest.raises(InputError, match='there is no activity "juggling"'):
        run.run(1, ["juggling"], 1, Console(quiet=True))
