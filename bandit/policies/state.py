"""A policy's state as bytes: named arrays and plain values, never a pickle."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

from bandit.errors import PolicyError

_META = "__meta__"


def pack(meta: Mapping[str, object], arrays: Mapping[str, NDArray[np.generic]]) -> bytes:
    """Return one stream of bytes; the same content gives the same bytes."""
    buffer = io.BytesIO()
    text = np.frombuffer(msgspec.json.encode(meta, order="sorted"), dtype=np.uint8)
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, array in [(_META, text), *sorted(arrays.items())]:
            member = io.BytesIO()
            np.lib.format.write_array(member, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)
            # A fixed date: the bytes must depend on the content alone.
            archive.writestr(zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0)), member.getvalue())
    return buffer.getvalue()


def unpack(state: bytes) -> tuple[dict[str, object], dict[str, NDArray[np.generic]]]:
    """Return what `pack` was given; PolicyError for anything else."""
    try:
        with zipfile.ZipFile(io.BytesIO(state)) as archive:
            arrays: dict[str, NDArray[np.generic]] = {}
            for name in archive.namelist():
                with archive.open(name) as member:
                    arrays[name] = np.lib.format.read_array(member, allow_pickle=False)
        meta = msgspec.json.decode(arrays.pop(_META).tobytes(), type=dict[str, object])
    except (zipfile.BadZipFile, ValueError, KeyError, OSError, EOFError, msgspec.DecodeError) as fault:
        raise PolicyError(f"the policy's state cannot be read ({fault}); rebuild it from the log") from fault
    return meta, arrays
