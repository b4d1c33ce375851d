"""Hashes of columns of texts: those of single texts, whatever stands beside them."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bandit.domain.text_hashes import LONGEST_BY_COLUMN, byte_hashes, text_hashes

TEXTS = st.one_of(st.text(max_size=20), st.text(alphabet="0a", max_size=4), st.just("é" * 200), st.just("x" * 300))


@given(st.lists(TEXTS, max_size=30))
def test_two_texts_have_one_hash_if_and_only_if_they_are_equal(texts):
    hashes = text_hashes(texts).tolist()
    assert len(set(hashes)) == len(set(texts))
    assert len(set(zip(texts, hashes, strict=True))) == len(set(texts))


@given(st.lists(TEXTS, max_size=30), st.integers(0, 30))
def test_a_hash_does_not_depend_on_the_texts_beside_it(texts, place):
    whole = text_hashes(texts)
    assert whole.tolist() == [*text_hashes(texts[:place]), *text_hashes(texts[place:])]


def test_texts_that_differ_in_one_sign_or_only_in_their_length_have_other_hashes():
    """Each of 600 places is changed, before and after LONGEST_BY_COLUMN; and zeros follow a text."""
    text = "a" * 2 * LONGEST_BY_COLUMN
    changed = [text[:place] + "b" + text[place + 1 :] for place in range(len(text))]
    padded = ["a" + "\0" * n for n in range(20)]
    every = [text, *changed, *padded]
    assert len(set(text_hashes(every).tolist())) == len(every)


def test_hashes_fill_all_64_bits_evenly():
    """Of 4,096 numbered names each bit is set in half, within 5 deviations of 32; ten names set the same bits fail."""
    hashes = text_hashes([f"customer-{place}" for place in range(4_096)])
    set_bits = np.array([int(((hashes >> np.uint64(bit)) & np.uint64(1)).sum()) for bit in range(64)])
    assert (np.abs(set_bits - 2_048) < 5 * 32).all()
    assert not (np.abs(np.array([int((np.arange(4_096) >> bit & 1).sum()) for bit in range(64)]) - 2_048) < 160).all()


def test_a_part_of_a_column_is_hashed_from_its_place_on():
    data = np.frombuffer(b"xxsmsemail", dtype=np.uint8)
    assert byte_hashes(data, np.array([2, 5, 10])).tolist() == text_hashes(["sms", "email"]).tolist()
