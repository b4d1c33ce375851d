"""Conversion of Arrow's columns to columns of text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bandit.errors import LogFileError, MissingExtraError
from bandit.logfiles.columns.coded_text import CodedTexts, NumberTexts, TimeTexts, Utf8Texts
from bandit.logfiles.columns.values import INVALID, INVALID_TIME

_FEW = 4
"""A text column is kept by its distinct texts where each is in at least this many rows on average."""

_SMALL_DICTIONARY = 1_024
"""A dictionary of at most so many texts is always kept as one."""

_MOST_BYTES = 64 << 20
"""Most bytes of texts that are written out row by row."""


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
        is_text = _is_text(pa, kind.value_type)
        if is_text and not _is_diverse(pa, column, where, name):
            return _coded(pa, column, where, name, before)
        column = column.dictionary_decode()
        kind = column.type
    if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        raise LogFileError(
            f'{where}: the column "{name}" is of the type {kind}; write numbers, texts, booleans or times'
        )
    if _is_text(pa, kind):
        return _texts(pa, column, where, name, before)
    if pa.types.is_timestamp(kind):
        # Drops the zone; the values are UTC.
        column = column.cast(options=pa.compute.CastOptions(pa.timestamp("us"), allow_time_truncate=True))
        times = column.cast(pa.int64()).fill_null(INVALID_TIME).to_numpy(zero_copy_only=False)
        return TimeTexts(times, lambda: _as_texts(pa, column))
    if pa.types.is_integer(kind) or pa.types.is_float64(kind):
        return NumberTexts(_numbers(pa, column), lambda: _as_texts(pa, column))
    if pa.types.is_boolean(kind):
        codes = column.cast(pa.int8()).fill_null(2).to_numpy(zero_copy_only=False).astype(np.int64)
        return CodedTexts(["false", "true", ""], codes)
    return _others(pa, column, where, name, before)


def _others(pa: Any, column: Any, where: str, name: str, before: int) -> list[str]:  # noqa: ANN401
    """Return a column of a type that has no form of its own here, as Arrow writes it."""
    try:
        texts = _as_texts(pa, column)
    except pa.ArrowNotImplementedError as fault:
        raise LogFileError(
            f'{where}: the column "{name}" is of the type {column.type}; write numbers, texts, booleans or times'
        ) from fault
    if pa.types.is_decimal(column.type):  # the digits of the number, whatever the column's scale
        texts = [text.rstrip("0").rstrip(".") if "." in text else text for text in texts]
    _check_plain(texts, None, where, name, before)
    return texts


def _is_text(pa: Any, kind: Any) -> bool:  # noqa: ANN401
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _texts(pa: Any, column: Any, where: str, name: str, before: int) -> Sequence[str]:  # noqa: ANN401
    """Return a column of texts by its distinct ones where these are few, else by its bytes."""
    first = column[:_SMALL_DICTIONARY]
    if len(first) < _SMALL_DICTIONARY or 2 * len(first.unique()) < _SMALL_DICTIONARY:
        coded = column.dictionary_encode()
        if len(coded.dictionary) * _FEW <= len(column):
            return _coded(pa, coded, where, name, before)
    return _utf8(pa, column, where, name, before)


def _is_diverse(pa: Any, column: Any, where: str, name: str) -> bool:  # noqa: ANN401
    """Return whether a dictionary-encoded column of texts has so many of them that it is better read row by row.

    It is not where the rows written out would take much memory.
    """
    n_distinct = len(column.dictionary)
    if n_distinct <= max(_SMALL_DICTIONARY, len(column) // _FEW):
        return False
    codes = column.indices.drop_null().to_numpy(zero_copy_only=False)
    _check_codes(codes, n_distinct - 1, where, name)
    sizes = pa.compute.binary_length(column.dictionary).fill_null(0).to_numpy(zero_copy_only=False)
    return int(sizes[codes].sum(dtype=np.int64)) <= _MOST_BYTES


def _check_codes(codes: Any, last: int, where: str, name: str) -> None:  # noqa: ANN401
    if len(codes) and not 0 <= codes.min() <= codes.max() <= last:
        raise LogFileError(f'{where}: the column "{name}" names texts that it does not have; write the file again')


def _utf8(pa: Any, column: Any, where: str, name: str, before: int) -> Utf8Texts:  # noqa: ANN401
    """Return a column of texts of which most are distinct, without making Python's texts of them."""
    column = column.fill_null("") if column.null_count else column
    try:
        column.validate(full=True)
    except pa.ArrowException as fault:
        raise LogFileError(
            f'{where}: the column "{name}" has texts that are not in UTF-8; write the file again'
        ) from fault
    _, places, content = column.buffers()
    whole = np.int64 if pa.types.is_large_string(column.type) else np.int32
    offsets = np.zeros(1, dtype=np.int64)
    if len(column):
        here = slice(column.offset, column.offset + len(column) + 1)
        offsets = np.frombuffer(places, dtype=whole)[here].astype(np.int64)
    data = np.frombuffer(b"" if content is None else content, dtype=np.uint8)[offsets[0] : offsets[-1]]
    texts = Utf8Texts(data, offsets - offsets[0], column.to_pylist)
    if len(data) and not data.all():
        _check_plain(column.to_pylist(), None, where, name, before)
    return texts


def _coded(pa: Any, column: Any, where: str, name: str, before: int) -> CodedTexts:  # noqa: ANN401
    """Return a dictionary-encoded column; the dictionary may have null, and texts that no row has."""
    distinct = ["" if text is None else text for text in column.dictionary.to_pylist()]
    codes = column.indices.cast(pa.int64()).fill_null(len(distinct)).to_numpy(zero_copy_only=False)
    _check_codes(codes, len(distinct), where, name)
    _check_plain(distinct, codes, where, name, before)
    return CodedTexts([*distinct, ""], codes)


def _numbers(pa: Any, column: Any) -> Any:  # noqa: ANN401
    """Return float64 numbers, NaN where null and INVALID where there is a number that is not finite."""
    column = column if pa.types.is_float64(column.type) else column.cast(pa.float64(), safe=False)
    if not column.null_count:
        numbers = column.to_numpy(zero_copy_only=False)
        finite = np.isfinite(numbers)
        return numbers if finite.all() else np.where(finite, numbers, INVALID)
    missing = column.is_null().to_numpy(zero_copy_only=False)
    numbers = column.to_numpy(zero_copy_only=False)  # NaN where null
    return np.where(missing | np.isfinite(numbers), numbers, INVALID)


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
