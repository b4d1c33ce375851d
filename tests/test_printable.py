"""Text that a spreadsheet would run."""

from hypothesis import given
from hypothesis import strategies as st

from bandit.printable import with_formula, with_formulas, without_formula, without_formulas

TEXTS = st.one_of(st.text(max_size=6), st.text("'=+-@\t\r1.a", max_size=6))


@given(TEXTS)
def test_a_text_comes_back_as_it_was(text):
    assert with_formula(without_formula(text)) == text


@given(st.lists(TEXTS, max_size=5))
def test_several_are_read_and_written_as_each_alone(texts):
    assert list(without_formulas(texts)) == list(map(without_formula, texts))
    assert list(with_formulas(texts)) == list(map(with_formula, texts))


def test_what_runs_is_escaped_and_nothing_else():
    """A spreadsheet runs =, +, -, @ and what follows a tab or a return."""
    runs = ["=HYPERLINK(1)", "+1+cmd|x", "-2+3", "@SUM(A1)", "\t=1", "\r=1"]
    assert list(map(without_formula, runs)) == ["'" + text for text in runs]
    assert list(map(without_formula, ["", "plain", "1+1", "'quoted'"])) == ["", "plain", "1+1", "'quoted'"]
