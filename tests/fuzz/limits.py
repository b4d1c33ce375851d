"""What a target accepts: success, or an error of ours in one short and plain sentence, within a time limit."""

import signal
import threading
from contextlib import contextmanager

from bandit.errors import OfferBanditError
from bandit.printable import MAX_MESSAGE

SECONDS = 10.0
"""Most seconds that one input may take, on a machine that is busy with other things."""


class TooSlow(BaseException):
    """An input took longer than it may."""


@contextmanager
def accepted():
    """Swallow errors of ours that are fit to print; anything else is a finding."""
    try:
        yield
    except OfferBanditError as fault:
        fit(str(fault))


def fit(sentence):
    assert sentence, "an error has no message"
    assert len(sentence) <= MAX_MESSAGE, f"a message of {len(sentence)} characters"
    assert sentence.isprintable(), f"a message that steers a terminal: {sentence!r}"


@contextmanager
def in_time(seconds=SECONDS):
    """Raise TooSlow where what happens inside takes longer; only a main thread can be interrupted."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_):
        raise TooSlow(f"more than {seconds} seconds")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
