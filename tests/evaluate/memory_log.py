"""A log in memory, for tests."""

from bandit.domain import LogDefaults


class MemoryLog(LogDefaults):
    """The decisions of one batch as a log."""

    catalogue, propensities_known = None, True

    def __init__(self, whole, catalogue=None):
        self.whole, self.n, self.catalogue = whole, len(whole), catalogue

    def batches(self, size=65_536):
        for start in range(0, self.n, size):
            yield self.whole.take(slice(start, start + size))
