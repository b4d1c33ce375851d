"""Starting a thread ends in the exception that ended it."""

import threading

import pytest

from bandit.engine.threads import new_thread, start_thread, wait_for


class SoftTimeout(BaseException):
    """What a signal handler raises."""


def test_an_exception_from_a_signal_handler_is_not_replaced_by_that_of_pythons_bookkeeping(monkeypatch):
    """The handler runs once the thread has begun and taken itself off the list of threads that are yet to begin."""
    begin = threading._start_new_thread

    def interrupted(*arguments):
        begin(*arguments)
        thread._started.wait()
        raise SoftTimeout

    monkeypatch.setattr(threading, "_start_new_thread", interrupted)
    thread = new_thread(lambda: None, "test")
    with pytest.raises(SoftTimeout):
        start_thread(thread)
    thread.join()


def test_another_error_of_starting_is_raised_as_it_is():
    thread = new_thread(lambda: None, "test")
    start_thread(thread)
    with pytest.raises(RuntimeError, match="started once"):
        start_thread(thread)
    thread.join()


def test_nobody_waits_for_a_thread_that_was_not_started():
    """The exception came between making the thread and starting it."""
    wait_for(new_thread(lambda: None, "test"))
    wait_for(None)
