"""Conversion of Arrow's columns to columns of text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from bandit.errors import LogFileError, MissingExtraError
from bandit.logfiles.columns.coded_text import CodedTexts, NumberTexts, TimeTexts
from bandit.logfiles.columns.values import INVALID, INVALID_TIME

_FEW = 4
"""A text column is kept by its distinct texts where each is in at least this many rows on average."""


def arrow(what: str) -> Any:  # noqa: ANN401 - pyarrow has no types
    """Return pyarrow; MissingExtraError where it is not installed. `what` needs it, for the message."""
    try:
        import pyarrow as pa  # noqa: PLC0415 - an optional extra
    except ImportError as fault:
        raise MissingExtraError(what, "parquet") from fault
    import pyarrow.compute  # noqa: PLC0415

    return pa


def column_texts(column: Any, where: str, name: str, before: int) -> Sequence[str]:  # noqa: ANN401
    """Return a column as the texts that a CSV file would have, null as a blank.

    `where` names the file and `before` is the number of rows before these, for messages. LogFileError for columns of
    lists, structures and bytes, and for texts that are not plain.
    """
    pa = arrow("reading Arrow's columns")
    kind = column.type
    if pa.types.is_dictionary(kind):
        if pa.types.is_string(kind.value_type) or pa.types.is_large_string(kind.value_type):
            return _coded(pa, column, where, name, before)
        column = column.dictionary_decode()
        kind = column.type
    if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        raise LogFileError(
            f'{where}: the column "{name}" is of the type {kind}; write numbers, texts, booleans or times'
        )
    if pa.types.is_timestamp(kind):
        # Drops the zone; the values are UTC.
        column = column.cast(options=pa.compute.CastOptions(pa.timestamp("us"), allow_time_truncate=True))
        times = column.cast(pa.int64()).fill_null(INVALID_TIME).to_numpy(zero_copy_only=False)
        return TimeTexts(times, lambda: _as_texts(pa, column))
    if pa.types.is_integer(kind) or pa.types.is_float64(kind):
        return NumberTexts(_numbers(pa, column), lambda: _as_texts(pa, column))
    if pa.types.is_boolean(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind):
        coded = (column.cast(pa.string()) if pa.types.is_boolean(kind) else column).dictionary_encode()
        if len(coded.dictionary) * _FEW <= len(column):
            return _coded(pa, coded, where, name, before)
    try:
        texts = _as_texts(pa, column)
    except pa.ArrowNotImplementedError as fault:
        raise LogFileError(
            f'{where}: the column "{name}" is of the type {kind}; write numbers, texts, booleans or times'
        ) from fault
    if pa.types.is_decimal(kind):  # the digits of the number, whatever the column's scale
        texts = [text.rstrip("0").rstrip(".") if "." in text else text for text in texts]
    _check_plain(texts, None, where, name, before)
    return texts


def _coded(pa: Any, column: Any, where: str, name: str, before: int) -> CodedTexts:  # noqa: ANN401
    """Return a dictionary-encoded column; the dictionary may have null, and texts that no row has."""
    distinct = ["" if text is None else text for text in column.dictionary.to_pylist()]
    codes = column.indices.cast(pa.int64()).fill_null(len(distinct)).to_numpy(zero_copy_only=False)
    if len(codes) and not 0 <= codes.min() <= codes.max() <= len(distinct):
        raise LogFileError(f'{where}: the column "{name}" names texts that it does not have; write the file again')
    _check_plain(distinct, codes, where, name, before)
    return CodedTexts([*distinct, ""], codes)


def _numbers(pa: Any, column: Any) -> Any:  # noqa: ANN401
    """Return float64 numbers, NaN where null and INVALID where there is a number that is not finite."""
    numbers = column.cast(pa.float64(), safe=False).fill_null(0.0).to_numpy(zero_copy_only=False)
    if column.null_count or not np.isfinite(numbers).all():
        numbers = np.where(np.isfinite(numbers), numbers, INVALID)
        numbers[column.is_null().to_numpy(zero_copy_only=False)] = math.nan
    return numbers


def _as_texts(pa: Any, column: Any) -> list[str]:  # noqa: ANN401
    """Return a column as texts, null as a blank."""
    texts: list[str] = column.cast(pa.string()).fill_null("").to_pylist()
    return texts


def _check_plain(texts: Sequence[str], codes: Any, where: str, name: str, before: int) -> None:  # noqa: ANN401
    """LogFileError, with the row, for a text with a NUL; with `codes`, `texts` are the distinct ones."""
    if "\0" not in "".join(texts):
        return
    bad = next(place for place, text in enumerate(texts) if "\0" in text)
    row = before + 1 + (bad if codes is None else int(np.argmax(codes == bad)))
    raise LogFileError(f'{where}: row {row} has a NUL in the column "{name}"; write plain text')
