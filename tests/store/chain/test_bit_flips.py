"""One flipped bit anywhere in the content of the file is named, or changes nothing that can be read."""

import random
import sqlite3

import pytest

from bandit.errors import OfferBanditError
from bandit.store import Store
from bandit.store.chain.kinds import KINDS
from bandit.store.chain.places import expected_places, read_chain
from tests.store.chain.pages import content_bytes

FLIPS_PER_TABLE = 5
"""Flips in each table, each index, and the schema; with a seed of its own, each run has the same ones."""

LEFT_OUT = ("sqlite_sequence", "chain")
"""Numbers may be left out, so that a higher counter is as good as the one before; of the chain see `readable`."""


def found_in(path):
    """What opening, the check of the store and the chain say."""
    try:
        with Store.open(path, read_only=True) as store:
            return {*store.check(), *store.check_chain().problems}
    except OfferBanditError as fault:
        return {str(fault)}


def readable(path):
    """Every row of every table but the counters, the schema, and of the chain what rows are compared with.

    Of a row that was written again, such as a policy, the salt of the earlier content is of no use any more.
    """
    raw = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
    raw.text_factory = bytes  # a flipped bit need not leave a text that can be decoded
    names = [
        row[0].decode() for row in raw.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
    ]
    rows = {name: sorted(map(repr, raw.execute(f'SELECT * FROM "{name}"'))) for name in names if name not in LEFT_OUT}  # noqa: S608
    schema = sorted(map(repr, raw.execute("SELECT type, name, tbl_name, sql FROM sqlite_master")))
    content = read_chain(raw)
    places = [expected_places(content.places[kind.code], kind)[0] for kind in KINDS]
    rows["chain"] = [(each.key.tolist(), each.salt.tolist(), each.hash.tolist()) for each in places]
    raw.close()
    return rows, schema, content.head, content.problems


def flips(path, per_table, seed):
    """Yield (table or index, offset, bit): some of the bytes that hold content."""
    draw = random.Random(seed)  # noqa: S311 - which bits are flipped is no secret
    for name, offsets in content_bytes(path).items():
        for at in draw.sample(offsets, min(per_table, len(offsets))):
            yield name, at, draw.randrange(8)


def unseen(path, per_table, seed):
    """The flips that nothing names and that can be read, and how many were tried."""
    data, before = path.read_bytes(), readable(path)
    sound, quiet, n = found_in(path), [], 0
    for name, at, bit in flips(path, per_table, seed):
        n += 1
        flipped = bytearray(data)
        flipped[at] ^= 1 << bit
        path.write_bytes(flipped)
        if not found_in(path) - sound and readable(path) != before:
            quiet.append((name, at, bit))
    path.write_bytes(data)
    return quiet, n


def test_one_flipped_bit_is_named(chained):
    """About 200 flips: in each table, each index and the schema, five bits in bytes that hold content."""
    quiet, n = unseen(chained, FLIPS_PER_TABLE, seed=1)
    assert quiet == []
    assert n > 150


@pytest.mark.slow
def test_thousands_of_flipped_bits_are_named(chained):
    quiet, n = unseen(chained, 40, seed=2)
    assert quiet == []
    assert n > 900


def test_without_the_chain_flipped_bits_go_unseen(chained, monkeypatch):
    """The negative control: the check of the store alone, which is what `verify` had, misses some of the same flips."""
    monkeypatch.setattr(f"{__name__}.found_in", only_the_check)
    quiet, _ = unseen(chained, FLIPS_PER_TABLE, seed=1)
    assert len(quiet) > 5


def only_the_check(path):
    try:
        with Store.open(path, read_only=True) as store:
            return set(store.check())
    except OfferBanditError as fault:
        return {str(fault)}
