"""TOML with comments: whatever the text, what is written is what is read."""

import tomllib

from hypothesis import given, settings
from hypothesis import strategies as st

from bandit.logfiles.draft.toml_text import comment_line, entry, listing

TEXTS = st.text(st.characters(codec="utf-8"), max_size=30)
VALUES = st.recursive(
    st.one_of(TEXTS, st.booleans(), st.integers(-(10**9), 10**9), st.floats(allow_nan=False, allow_infinity=False)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=50)
@given(TEXTS, VALUES, TEXTS)
def test_any_value_with_any_comment_is_read_as_it_was(key, value, comment):
    text = "\n".join([comment_line(comment), entry(key, value, comment), "# " + entry("x", 1)])
    assert tomllib.loads(text) == {key: value}


@given(st.lists(TEXTS, min_size=1, max_size=30))
def test_long_lists_are_broken_into_lines(values):
    assert tomllib.loads("\n".join(listing("values", values, "why"))) == {"values": values}
