"""Cluster keys as ids and hashes: stable over batches, uniform, and independent between salts."""

import numpy as np
import pytest

from bandit.domain.text_hashes import text_hashes
from bandit.ope.clusters import ClusterIndex


def test_keys_have_ids_in_order_of_appearance_and_the_same_hashes_in_any_batches():
    names = np.array([f"customer-{i % 700}" for i in range(2_000)], dtype=object)
    numbers, shares = ClusterIndex("a").read(names, 2_000)
    again = ClusterIndex("a")
    pieces = [again.read(names[i : i + 300], len(names[i : i + 300])) for i in range(0, 2_000, 300)]
    assert (np.concatenate([piece[0] for piece in pieces]) == numbers).all()
    assert (np.concatenate([piece[1] for piece in pieces]) == shares).all()
    assert (numbers == np.arange(2_000) % 700).all()
    assert (ClusterIndex("a").read(names[::-1], 2_000)[1][::-1] == shares).all()


@pytest.mark.parametrize("named", [True, False])
def test_hashes_are_uniform_and_independent_between_salts(named):
    """4,000 keys in a 4 x 4 table of two salts: chi-square with 15 degrees stays below its 99.9 % point, 37.7."""
    keys = np.array([f"c{i}" for i in range(4_000)], dtype=object) if named else np.empty(0, dtype=object)
    one, other = (ClusterIndex(salt).read(keys, 4_000)[1] for salt in ("fold", "split"))
    assert 0.0 <= min(one.min(), other.min()) <= max(one.max(), other.max()) < 1.0
    cells = np.bincount((4 * one).astype(int) * 4 + (4 * other).astype(int), minlength=16)
    assert np.sum((cells - 250) ** 2 / 250) < 37.7
    same = np.bincount((4 * one).astype(int) * 4 + (4 * one).astype(int), minlength=16)
    assert np.sum((same - 250) ** 2 / 250) > 37.7


def test_hashes_of_the_keys_change_neither_the_numbers_nor_the_shares():
    """Batches with hashes, and then one without, against a look-up of each key; a hash that two keys share shows."""
    rng = np.random.default_rng(1)
    names = np.array([f"customer-{i}" for i in rng.integers(700, size=2_000)], dtype=object)
    hashes = text_hashes(names.tolist())
    wanted = ClusterIndex("a").read(names, 2_000)
    index = ClusterIndex("a")
    parts = [slice(start, start + 300) for start in range(0, 2_000, 300)]
    found = [index.read(names[part], len(names[part]), hashes[part] if part.start < 1_500 else None) for part in parts]
    for place in (0, 1):
        assert np.concatenate([each[place] for each in found]).tolist() == wanted[place].tolist()
    wrong = hashes.copy()
    wrong[names == names[0]] = hashes[names != names[0]][0]
    assert ClusterIndex("a").read(names, 2_000, wrong)[0].max() == wanted[0].max() - 1


def test_an_index_that_began_without_hashes_goes_on_without():
    names = np.array(["b", "a", "b"], dtype=object)
    index = ClusterIndex("a")
    assert index.read(names, 3)[0].tolist() == [0, 1, 0]
    more = np.array(["c", "a"], dtype=object)
    assert index.read(more, 2, text_hashes(more.tolist()))[0].tolist() == [2, 1]
