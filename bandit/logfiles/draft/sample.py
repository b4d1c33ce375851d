"""The first rows of a file, to look at, and one pass over all of it for what the first rows do not show."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bandit.domain import Progress
from bandit.errors import LogFileError
from bandit.logfiles.draft.profile import ColumnProfile, profile
from bandit.logfiles.sources.binary_file import file_faults, opened
from bandit.logfiles.sources.csv import CsvSource
from bandit.logfiles.sources.dsjson import DsjsonSource
from bandit.logfiles.sources.open_source import open_source

if TYPE_CHECKING:
    from bandit.logfiles.sources.source import Source

SAMPLE_ROWS, FEWEST_SAMPLE_ROWS, SAMPLE_CELLS = 100_000, 200, 4_000_000
"""A sample has at most so many rows, fewer where there are many columns, so that it has about so many cells."""

_DELIMITERS = (",", ";", "\t", "|")
_SNIFFED_LINES = 50
_PASS_ROWS = 50_000
_MOST_TEXTS = 5_000


@dataclass(frozen=True, slots=True, eq=False)
class FileSample:
    """The first rows of a file as profiles of its columns; `whole` is whether these are all its rows."""

    path: Path
    source: Source
    delimiter: str
    columns: dict[str, ColumnProfile]
    n: int
    whole: bool

    def later_texts(self, names: Sequence[str], progress: Progress | None = None) -> dict[str, set[str]]:
        """Return the texts that columns have beyond the sample, at most some thousands each; one pass over the file."""
        later: dict[str, set[str]] = {name: set() for name in names}
        if self.whole or not names:
            return later
        for chunk in self.source.chunks(names, _PASS_ROWS, progress):
            for name in names:
                if len(later[name]) < _MOST_TEXTS:
                    later[name] |= set(chunk.columns[name]) - self.columns[name].raw
        return later


def sample_file(path: Path, progress: Progress | None = None) -> FileSample:
    """Read the first rows of a CSV, gzipped CSV or Parquet file; LogFileError where it is no table of decisions."""
    if not path.is_file():
        raise LogFileError(f"{path}: there is no such file; check the path of the log")
    if path.stat().st_size == 0:
        raise LogFileError(f"{path}: is empty; give a log with at least one decision")
    source: Source = open_source(path, progress=progress)
    delimiter = ","
    if isinstance(source, DsjsonSource):
        raise LogFileError(
            f"{path}: is dsjson, whose fields have fixed meanings, so there is nothing to guess; write a mapping with "
            'propensity = "_label_probability", time = "Timestamp", decision_id = "EventId", facts as '
            '"c.NAMESPACE.FEATURE" and the offer as "action.NAMESPACE.FEATURE"'
        )
    if isinstance(source, CsvSource):
        delimiter = _delimiter_of(path)
        source = CsvSource(path, delimiter, progress) if delimiter != "," else source
    names = _names(path, source)
    n_rows = int(np.clip(SAMPLE_CELLS // len(names), FEWEST_SAMPLE_ROWS, SAMPLE_ROWS))
    chunks = source.chunks(names, n_rows, progress)
    first = next(chunks, None)
    if first is None or len(first) == 0:
        raise LogFileError(f"{path}: has a header and no rows; give a log with at least one decision")
    whole = next(chunks, None) is None
    columns = {name: profile(name, first.columns[name]) for name in names}
    return FileSample(path, source, delimiter, columns, len(first), whole)


def _names(path: Path, source: Source) -> list[str]:
    names = list(source.columns)
    blank = [place for place, name in enumerate(names, start=1) if not name.strip()]
    if blank and len(names) > 1:
        # A program's row number often has no name; it says nothing of the customer.
        names = [name for name in names if name.strip()]
    if len(names) < 2:
        seen = f'one column, "{names[0][:80]}"' if names else "no header"
        raise LogFileError(
            f"{path}: has {seen}; a log needs a column with what was offered and one with what came of it, separated "
            "by a comma, semicolon, tab or bar, and their names in line 1"
        )
    repeated, times = Counter(names).most_common(1)[0]
    if times > 1:
        raise LogFileError(f'{path}: line 1 has the column "{repeated}" twice; give each a name of its own')
    return names


def _delimiter_of(path: Path) -> str:
    """Return the delimiter that cuts the first lines into the same number of fields, the most of them."""
    with file_faults(path), opened(path) as (_, content):
        lines = [line.decode("utf-8-sig", errors="replace") for line in islice(content, _SNIFFED_LINES)]
    best, most = ",", 1
    for delimiter in _DELIMITERS:
        try:
            widths = [len(row) for row in csv.reader(lines, delimiter=delimiter) if row]
        except csv.Error:
            continue
        if widths and widths[0] > most and widths.count(widths[0]) >= 0.9 * len(widths):
            best, most = delimiter, widths[0]
    return best
