"""A mutator of our own, for where atheris is not installed and for the fast suite; nothing guides it but the seeds."""

import numpy as np

TOKENS = (
    b"\0", b"\xff", b'"', b"'", b"\\", b"\n", b"\r", b",", b"{", b"}", b"[", b"]", b"=", b"**", b"=~", b"<<", b"1e400",
    b"-1", b"9999999999999999999999", b"NaN", b"Infinity", b"null", b"\x1b[31m", b"\xf0\x9f\x98\x80", b"\\ud800",
    b"'; DROP TABLE decisions; --", b"../../../etc/passwd", b"__class__", b"a" * 2_000, b"(" * 500, b"9" * 5_000,
    b"true", b"\x1f\x8b", b"PAR1", b"0x10", b"\xe2\x80\xae",
)  # fmt: skip


def mutated(seeds, rng, most=20_000):
    """A seed with a few things done to it."""
    data = bytearray(seeds[rng.integers(len(seeds))])
    for _ in range(int(rng.integers(1, 6))):
        place = int(rng.integers(len(data) + 1))
        length = int(min(rng.geometric(0.1), len(data) - place))
        match int(rng.integers(7)):
            case 0 if place < len(data):
                data[place] ^= 1 << int(rng.integers(8))
            case 1:
                data[place : place + length] = rng.bytes(length)
            case 2:
                del data[place : place + length]
            case 3:
                data[place:place] = data[place : place + length] * int(rng.integers(1, 50))
            case 4:
                other = seeds[rng.integers(len(seeds))]
                data[place:] = other[int(rng.integers(len(other) + 1)) :]
            case 5:
                data[place : place + length] = TOKENS[rng.integers(len(TOKENS))]
            case _:
                data[place:place] = TOKENS[rng.integers(len(TOKENS))]
    return bytes(data[:most])


def generator(seed):
    return np.random.default_rng(seed)
