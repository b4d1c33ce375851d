"""A log held in memory, for the tests of analyses."""


class MemoryLog:
    """The decisions of one batch as a log."""

    def __init__(self, rows):
        self.rows, self.n = rows, len(rows)

    def batches(self, size=65_536):
        for start in range(0, self.n, size):
            yield self.rows.take(slice(start, start + size))
