import sys

import pytest

from bandit.errors import MissingExtraError
from bandit.tabular import MOST_HTML_ROWS, Tabular, html_table


class Two(Tabular):
    def to_rows(self):
        return [{"name": "a<b", "value": 1.5, "n": 1200}, {"name": "c", "value": float("nan"), "n": 3}]

    def html_title(self):
        return "two & more"


def test_rows_become_a_dataframe_with_their_names_and_numbers():
    pandas = pytest.importorskip("pandas")
    frame = Two().to_frame()
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame.columns) == ["name", "value", "n"]
    assert frame["n"].sum() == 1203


def test_without_pandas_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtraError, match=r"offer-bandit\[frames\]"):
        Two().to_frame()


def test_html_is_escaped_and_an_unknown_number_is_blank():
    shown = Two()._repr_html_()
    assert "a&lt;b" in shown
    assert "two &amp; more" in shown
    assert "1,200" in shown
    assert "nan" not in shown


def test_html_shows_the_first_rows_and_says_how_many_are_left():
    shown = html_table([{"n": row} for row in range(MOST_HTML_ROWS + 5)])
    assert "and 5 more rows" in shown
    assert html_table([]) == "<p>nothing to show</p>"


def test_a_class_without_rows_says_which_it_is():
    class Empty(Tabular):
        pass

    with pytest.raises(TypeError, match="Empty does not define to_rows"):
        Empty().to_rows()
