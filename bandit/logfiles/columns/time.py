"""The time of each row, from a column or from the order of the rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bandit.clock import day, implausible
from bandit.domain import MICROSECONDS
from bandit.errors import CatalogueError
from bandit.logfiles.columns.time_styles import guess_time_style, time_cure
from bandit.logfiles.columns.values import INVALID_TIME, moment, times

if TYPE_CHECKING:
    from bandit.domain import IntArray
    from bandit.logfiles.mapping.mapping import LogMapping
    from bandit.logfiles.rejections import ChunkRejections
    from bandit.logfiles.sources.source import SourceChunk

_LINE_ORDER = "2000-01-01"
"""The time from which rows without a column of times are counted, a second a line."""


class TimeReader:
    """Reads the time of each row; without a column, rows are a second apart in the order of their lines."""

    def __init__(self, mapping: LogMapping) -> None:
        """Check [columns] time_start; CatalogueError where it is not a time."""
        columns = mapping.file.columns
        self._file = columns
        self.columns = [columns.time] if columns.time is not None else []
        self._start = 0
        if columns.time_start is not None or columns.time is None:
            self._start = moment(columns.time_start or _LINE_ORDER)
            if self._start == INVALID_TIME:
                raise CatalogueError(
                    f'{mapping.where}: [columns] time_start "{columns.time_start}" is no time; write 2026-01-31'
                )

    def read(self, chunk: SourceChunk, rejections: ChunkRejections) -> IntArray:
        """Return microseconds, (n,); rows whose time cannot be read are rejected."""
        if self._file.time is None:
            return self._start + chunk.lines * MICROSECONDS
        texts = chunk.columns[self._file.time]
        read = times(texts, self._file.time_format, self._file.time_unit, self._start)
        wanted = {"iso": "an ISO 8601 time", "unix": "a number"}.get(self._file.time_format, self._file.time_format)
        rejections.reject(
            read == INVALID_TIME,
            "time cannot be read",
            lambda row: f'the time "{texts[row]}" is not {wanted}{time_cure(texts[row])}',
        )
        rejections.reject(
            implausible(read) & (read != INVALID_TIME),
            "time out of reason",
            lambda row: (
                f'the time "{texts[row]}" is read as {day(int(read[row]))}, and logs are from 1980 to a year from now'
                f"{self._cure(texts[row])}"
            ),
        )
        return read

    def _cure(self, text: str) -> str:
        """Return what to change in the mapping, for a time whose year is out of reason, as the end of a sentence."""
        file = self._file
        if file.time_format == "unix" and file.time_start is None and (found := guess_time_style([text])) is not None:
            return f'; write time_unit = "{found.unit}" in place of "{file.time_unit}" under [columns] in the mapping'
        if file.time_format == "unix" and file.time_start is None:
            return '; where the numbers do not count from 1970, put time_start = "2026-01-31" under [columns]'
        return "; correct it, or leave the row out"
