"""A policy's state as bytes: named arrays and plain values, never a pickle."""

from __future__ import annotations

import io
import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

from bandit.errors import PolicyError

_META = "__meta__"
_KINDS = "biufSU"
_HEADER = 1_000

READING_FAULTS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    BufferError,
    EOFError,
    LookupError,
    MemoryError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    msgspec.MsgspecError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)
"""How foreign bytes make their readers fail. Not all exceptions: that of a signal handler, as of a time limit, says
nothing about the bytes, and learning would set outcomes aside for it."""

_HASHES = frozenset({"own/digest"})
"""Arrays that are equal only where the states are equal to the last bit."""

BY_NUMBER = "by_number"
"""Array of a sample of outcomes that says that of several alike outcomes the first is corrected (since 0.12.0)."""

_SAMPLE, _Y = "sample/", 1
"""Part of the names of a sample's arrays, and the column of its responses or amounts in "values"."""

STATE_TOLERANCE = 1e-6
"""Largest difference between equal states, relative to the largest absolute value of an array."""


def pack(meta: Mapping[str, object], arrays: Mapping[str, NDArray[np.generic]]) -> bytes:
    """Return one stream of bytes; the same content gives the same bytes."""
    buffer = io.BytesIO()
    text = np.frombuffer(msgspec.json.encode(meta, order="sorted"), dtype=np.uint8)
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, array in [(_META, text), *sorted(arrays.items())]:
            member = io.BytesIO()
            np.lib.format.write_array(member, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)
            # A fixed date, since the bytes must depend on the content alone.
            archive.writestr(zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0)), member.getvalue())
    return buffer.getvalue()


def unpack(state: bytes) -> tuple[dict[str, object], dict[str, NDArray[np.generic]]]:
    """Return the values and arrays that `pack` wrote; PolicyError for other bytes."""
    try:
        with zipfile.ZipFile(io.BytesIO(state)) as archive:
            members = archive.infolist()
            # As `pack` writes them; then no member can be larger than the bytes given.
            if any(member.compress_type != zipfile.ZIP_STORED for member in members):
                raise ValueError("it is compressed, which states never are")
            if sum(member.file_size for member in members) > len(state):
                raise ValueError("its members claim more bytes than there are")
            arrays = {member.filename: _array(archive.read(member)) for member in members}
        meta = msgspec.json.decode(arrays.pop(_META).tobytes(), type=dict[str, object])
    except READING_FAULTS as fault:
        raise PolicyError(f"the policy's state cannot be read ({fault}); rebuild it from the log") from fault
    return meta, arrays


def parts_of(name: str, arrays: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
    """Return the arrays called "name/...", without that part of their names."""
    return {key.partition("/")[2]: array for key, array in arrays.items() if key.startswith(f"{name}/")}


def _array(member: bytes) -> NDArray[np.generic]:
    """Return an array of numbers or texts; ValueError where its header does not match the bytes that follow."""
    content = io.BytesIO(member)
    if np.lib.format.read_magic(content) != (1, 0):
        raise ValueError("it has an array of another format")
    shape, by_columns, dtype = np.lib.format.read_array_header_1_0(content, max_header_size=_HEADER)
    if dtype.kind not in _KINDS or by_columns:
        raise ValueError(f"it has an array of the type {dtype}")
    if math.prod(shape) * dtype.itemsize != len(member) - content.tell() or min(shape, default=0) < 0:
        raise ValueError("it has an array of another size than it claims")
    return np.frombuffer(member, dtype, offset=content.tell()).reshape(shape).copy()


def close(one: bytes, other: bytes) -> bool:
    """Return whether two states are equal up to rounding, since another processor may add in another order.

    Up to version 0.11.0 it depended on the moments of storing which of several alike outcomes in a policy's sample a
    correction changed; in a sample of that time, the corrected responses or amounts are not compared.
    """
    if one == other:
        return True
    try:
        (meta, arrays), (other_meta, other_arrays) = unpack(one), unpack(other)
    except PolicyError:
        return False
    for name in [name for name in {*arrays, *other_arrays} if name.endswith(_SAMPLE + BY_NUMBER)]:
        if (arrays.pop(name, None) is None) | (other_arrays.pop(name, None) is None):
            values = name.removesuffix(BY_NUMBER) + "values"
            for each in (arrays, other_arrays):
                if values in each and each[values].ndim > 1:
                    each[values] = np.delete(each[values], _Y, axis=1)
    if arrays.keys() != other_arrays.keys() or not _close_values(meta, other_meta):
        return False
    return all(_close_arrays(array, other_arrays[name]) for name, array in arrays.items() if name not in _HASHES)


def as_before_by_number(state: bytes) -> bytes:
    """Return a state as versions up to 0.11.0 wrote it, where nothing was corrected otherwise."""
    meta, arrays = unpack(state)
    return pack(meta, {name: array for name, array in arrays.items() if not name.endswith(_SAMPLE + BY_NUMBER)})


def _close_values(one: object, other: object) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_close_values(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_close_values, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return bool(np.isclose(one, other, rtol=STATE_TOLERANCE, atol=STATE_TOLERANCE))
    return one == other


def _close_arrays(one: NDArray[np.generic], other: NDArray[np.generic]) -> bool:
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    if not np.issubdtype(one.dtype, np.floating):
        return bool(np.array_equal(one, other))
    numbers, others = np.asarray(one, dtype=np.float64), np.asarray(other, dtype=np.float64)
    finite = np.abs(numbers[np.isfinite(numbers)])
    size = float(finite.max(initial=0.0))
    return bool(np.allclose(numbers, others, rtol=0.0, atol=STATE_TOLERANCE * max(size, 1e-12), equal_nan=True))
