"""A log in parts in memory, for tests: its customers dealt to the parts at random."""

import pickle
from dataclasses import dataclass

import numpy as np

from bandit.domain import InProcessRunner
from tests.evaluate.memory_log import MemoryLog


class OutsideLog(MemoryLog):
    """A log that also has decisions, `beyond`, of an offer that the catalogue does not have."""

    def __init__(self, whole, catalogue, beyond):
        super().__init__(whole, catalogue)
        self.beyond = beyond

    @property
    def left_out(self):
        return len(self.beyond)

    def outside(self, size=65_536):
        for start in range(0, len(self.beyond), size):
            yield self.beyond.take(slice(start, start + size))


@dataclass(frozen=True)
class MemoryPart:
    """Some decisions of a batch as a part."""

    whole: object
    catalogue: object
    beyond: object = None

    @property
    def n(self):
        return len(self.whole)

    def open(self):
        if self.beyond is None:
            return MemoryLog(self.whole, self.catalogue)
        return OutsideLog(self.whole, self.catalogue, self.beyond)


class LogInParts(MemoryLog):
    """The decisions of a batch in parts of whole customers; read straight through it has the order of the batch."""

    def __init__(self, whole, catalogue, part_of):
        """`part_of` (n,) is the part of each row."""
        super().__init__(whole, catalogue)
        self.parts = tuple(
            MemoryPart(whole.take(np.flatnonzero(part_of == number)), catalogue) for number in np.unique(part_of)
        )


def in_parts(log, parts, rng):
    """The log in at most this many parts, to which its customers are dealt at random."""
    places = np.unique(log.whole.contexts.customers.astype(str), return_inverse=True)[1]
    return LogInParts(log.whole, log.catalogue, rng.integers(0, parts, places.max() + 1)[places])


class OutsideInParts(OutsideLog):
    """An `OutsideLog` in parts, `part_of` and `beyond_of` those of its rows."""

    def __init__(self, log, part_of, beyond_of):
        super().__init__(log.whole, log.catalogue, log.beyond)
        self.parts = tuple(
            MemoryPart(log.whole.take(part_of == each), log.catalogue, log.beyond.take(beyond_of == each))
            for each in np.unique(part_of)
        )


class PicklingRunner(InProcessRunner):
    """Runs each part with pickled copies of all it is given, and pickles what it returns, as another process would."""

    def map(self, function, parts, progress, *args, **kwargs):
        def called(part):
            one, given, named = pickle.loads(pickle.dumps((part, args, kwargs)))  # noqa: S301 - own bytes
            return pickle.loads(pickle.dumps(function(one, *given, **named)))  # noqa: S301 - own bytes

        yield from super().map(called, parts, progress)
