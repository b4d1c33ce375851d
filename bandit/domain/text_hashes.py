"""64-bit hashes of columns of texts, computed column by column and not text by text."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bandit.domain.arrays import IntArray
from bandit.domain.mixed_numbers import UnsignedArray, mixed

ByteArray = NDArray[np.uint8]
"""Bytes, (n,)."""

LONGEST_BY_COLUMN = 256
"""Bytes of a text up to which it is hashed with the others; longer ones are hashed one by one."""

_WORD = 8
# By the number of bytes of a word that belong to the text, 0 to 8: the bits to keep.
_KEPT_BITS = np.array([(1 << 8 * n) - 1 for n in range(_WORD + 1)], dtype=np.uint64)
# Differs from process to process as the hashes of Python's own texts do, so that no file can be made to collide.
_SEED = np.uint64(hash("columns of texts") & (1 << 64) - 1)


def text_hashes(texts: Sequence[str], seed: int | None = None) -> UnsignedArray:
    """Return the hashes of n texts, (n,): equal for equal texts within a process, and in no other process the same.

    Two different texts have the same hash once in about 10^19 pairs. With a `seed` the hashes are the same everywhere,
    and a file can be made whose texts collide.

    >>> one, two, three = text_hashes(["email", "sms", "email"]).tolist()
    >>> one == three, one == two
    (True, False)
    """
    joined = "".join(texts)
    data = joined.encode("utf-8", "surrogatepass")
    offsets = np.zeros(len(texts) + 1, dtype=np.int64)
    if len(data) == len(joined):
        np.cumsum(np.fromiter(map(len, texts), dtype=np.int64, count=len(texts)), out=offsets[1:])
    else:
        sizes = (len(text.encode("utf-8", "surrogatepass")) for text in texts)
        np.cumsum(np.fromiter(sizes, dtype=np.int64, count=len(texts)), out=offsets[1:])
    return byte_hashes(np.frombuffer(data, dtype=np.uint8), offsets, seed)


def byte_hashes(data: ByteArray, offsets: IntArray, seed: int | None = None) -> UnsignedArray:
    """Return the hashes of n texts that stand one after the other in `data`, text i from offsets[i] to offsets[i + 1].

    They are those of `text_hashes`.
    """
    starts, sizes = offsets[:-1], np.diff(offsets)
    hashes = mixed(sizes.astype(np.uint64) ^ (_SEED if seed is None else np.uint64(seed)))
    longest = int(sizes.max(initial=0))
    if not longest:
        return hashes
    words = _words(data)
    for done in range(0, min(longest, LONGEST_BY_COLUMN), _WORD):
        left = sizes - done
        rows = np.flatnonzero(left > 0)
        if len(rows) == len(sizes):
            hashes = mixed(hashes ^ (words[starts + done] & _KEPT_BITS[np.minimum(left, _WORD)]))
        else:
            kept = _KEPT_BITS[np.minimum(left[rows], _WORD)]
            hashes[rows] = mixed(hashes[rows] ^ (words[starts[rows] + done] & kept))
    for row in np.flatnonzero(sizes > LONGEST_BY_COLUMN).tolist():
        text = data[offsets[row] : offsets[row + 1]].tobytes()
        digest = hashlib.blake2b(text, digest_size=_WORD).digest()
        hashes[row] ^= np.uint64(int.from_bytes(digest, "little"))
    return hashes


def _words(data: ByteArray) -> UnsignedArray:
    """Return the eight bytes from each place of `data` on as one number, zeros after the end; a view of a copy."""
    padded = np.zeros(len(data) + _WORD, dtype=np.uint8)
    padded[: len(data)] = data
    words = np.ndarray((len(data),), dtype="<u8", buffer=padded, strides=(1,))
    return words.astype(np.uint64, copy=False)
