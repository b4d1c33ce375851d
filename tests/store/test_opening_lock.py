"""Opening a database and looking into its file exclude each other in a process."""

import os
import subprocess
import sys
import threading

import pytest

from bandit.store import Store, connection
from bandit.store.fork_safety import OPENING

KEY = b"a key for our tests"

LOCKED = """
import fcntl, sys
with open(sys.argv[1], "rb+") as file:
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 510, 0x40000002)
    except OSError:
        sys.exit(0)
sys.exit(1)
"""
"""Ends with 0 where another process has SQLite's shared lock on the file."""


def is_locked(path):
    return subprocess.run([sys.executable, "-c", LOCKED, str(path)], check=False).returncode == 0  # noqa: S603


def test_a_look_at_the_file_never_takes_the_locks_of_a_connection_opened_meanwhile(path, monkeypatch):
    """One thread looks into the file and is held there; another begins to open it: it opens after the look.

    Without the order the look would end after the opening, and closing the file would release SQLite's locks.
    """
    with Store.open(path, create=True, customer_key=KEY):
        pass
    looking, go_on = threading.Event(), threading.Event()
    look = connection.check_before_opening

    def held(*arguments, **named):
        with path.open("rb"):
            looking.set()
            go_on.wait(5.0)
        look(*arguments, **named)

    monkeypatch.setattr(connection, "check_before_opening", held)
    stores = []
    first = threading.Thread(target=lambda: stores.append(Store.open(path, customer_key=KEY)))
    first.start()
    looking.wait()
    monkeypatch.setattr(connection, "check_before_opening", look)
    second = threading.Thread(target=lambda: stores.append(Store.open(path, customer_key=KEY)))
    second.start()
    second.join(0.3)
    go_on.set()
    first.join()
    second.join()
    assert is_locked(path)
    for store in stores:
        store.close()


def test_a_look_while_the_only_connection_waits_for_its_next_use_leaves_its_locks(path):
    """A fork closes connections until they are used; here 200 are used again while another thread opens the file."""
    with Store.open(path, create=True, customer_key=KEY) as store:
        for _ in range(200):
            with store._connection.lock:
                store._connection._open.close()
                store._connection._open = None
            other = threading.Thread(target=lambda: store.another().close())
            other.start()
            store.counts()
            other.join()
        assert is_locked(path)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_child_forked_while_another_thread_opens_can_open(path):
    """The lock is taken for a fork, so that a child never begins with it taken by a thread that it does not have."""
    with Store.open(path, create=True, customer_key=KEY) as store:
        store.counts()
    taken, release = threading.Event(), threading.Event()

    def hold():
        with OPENING:
            taken.set()
            release.wait(0.2)

    thread = threading.Thread(target=hold)
    thread.start()
    taken.wait()
    child = os.fork()
    if not child:
        got = OPENING.acquire(timeout=2.0)
        os._exit(0 if got else 1)
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
