"""Times as people write them, and which keys are named for a text that is none."""

import pytest

from bandit.logfiles.columns.time_styles import guess_time_style, time_cure


@pytest.mark.parametrize(
    ("texts", "time_format", "unit"),
    [
        (["2026-01-31", "2026-02-01T10:00:00Z"], "iso", "s"),
        (["20260131"], "iso", "s"),
        (["31.12.2026", "01.02.2026"], "%d.%m.%Y", "s"),
        (["31.12.2026 14:30"], "%d.%m.%Y %H:%M", "s"),
        (["12/31/2026"], "%m/%d/%Y", "s"),
        (["Jan 5, 2026"], "%b %d, %Y", "s"),
        (["1767225600"], "unix", "s"),
        (["1767225600000"], "unix", "ms"),
    ],
)
def test_the_format_of_a_column_is_found_from_all_its_texts(texts, time_format, unit):
    found = guess_time_style(texts)
    assert (found.time_format, found.unit, found.others[:0]) == (time_format, unit, ())


def test_a_day_and_a_month_that_may_change_places_are_told():
    """With no number above 12 the third of April and the fourth of March are written alike."""
    assert guess_time_style(["03/04/2026"]).others == ("%m/%d/%Y",)
    assert guess_time_style(["03/04/2026", "13/04/2026"]).others == ()


@pytest.mark.parametrize("texts", [["x"], ["12"], ["1999"], ["a-b"], ["31.13.2026"], [], ["2026-01-01", "x"]])
def test_other_texts_are_no_times(texts):
    assert guess_time_style(texts) is None


def test_the_key_that_cures_a_time_is_named():
    assert time_cure("31.12.2026") == '; put time_format = "%d.%m.%Y" under [columns] in the mapping'
    assert '(or "%m/%d/%Y")' in time_cure("03/04/2026")
    assert 'time_unit = "ms"' in time_cure("1767225600000")
    assert time_cure("soon") == ""
