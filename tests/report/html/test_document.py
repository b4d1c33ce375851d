"""The page: one small file, no network, nothing of the data's that the browser would run, the same bytes each time."""

import re
import sys

import pytest

from bandit.errors import InputError, MissingExtraError
from bandit.report.html import build_report, write_report
from tests.report.html.campaign import PIPE, QUOTES, SCRIPT, draw, options, source
from tests.report.html.reading import read, sections

CHARTED = ("policies", "curve", "segments", "depth", "coverage", "calibration")
MOST_BYTES = 500_000


def test_the_verdict_comes_first_and_every_question_is_answered_or_says_why_not(page):
    found = sections(page)
    assert next(iter(found)) == "verdict"
    absent = {each.attributes["id"] for each in found["absent"].all("dt")}
    assert set(found) | absent >= {"policies", "groups", "curve", "waste", "exploration", "coverage", "health"}
    for each in found["absent"].all("dd"):
        assert len(each.text) > 20
        assert each.text.endswith(".")


@pytest.mark.parametrize("key", CHARTED)
def test_each_chart_is_described_and_has_its_numbers_in_a_table(page, key):
    """What a chart shows is said in its <desc> and given in a table of the same section."""
    section = sections(page)[key]
    charts, tables = list(section.all("svg")), list(section.all("table"))
    assert charts
    assert tables
    assert all(len(list(each.all("tr"))) > 1 for each in tables)
    for chart in charts:
        (description,) = chart.all("desc")
        assert chart.attributes["role"] == "img"
        assert description.text
        ids = chart.attributes["aria-labelledby"].split()
        assert ids == [each.attributes["id"] for each in chart.children[:2]]


def test_every_section_has_a_finding_in_one_sentence_and_says_what_it_cannot_tell(page):
    for key in CHARTED:
        section = sections(page)[key]
        (finding,) = [each for each in section.all("p") if each.attributes.get("class") == "finding"]
        assert finding.text.rstrip().endswith((".", ")"))
        assert any("cannot tell" in each.text for each in section.all("summary"))


def test_the_file_is_small_and_loads_nothing(page):
    assert len(page.encode()) < MOST_BYTES
    assert re.findall(r"https?://", page) == []
    assert re.findall(r"@import|url\((?!#)", page) == []
    assert {each.tag for each in read(page).all()} & {"link", "img", "iframe", "object", "embed", "base"} == set()
    assert [each for each in read(page).all() if "src" in each.attributes] == []


def test_names_from_the_data_are_text_and_never_markup(page):
    """One script, our own, by whose hash alone the page's policy lets anything run; no handlers; names as written."""
    root = read(page)
    (script,) = root.all("script")
    assert "alert" not in script.text
    handlers = [name for each in root.all() for name in each.attributes if name.startswith("on")]
    assert handlers == []
    assert PIPE.replace(" %", "\N{NO-BREAK SPACE}%") in root.text
    assert QUOTES in root.text
    assert f"best {SCRIPT}" in root.text
    assert SCRIPT not in page


def test_ids_are_unique_and_every_reference_inside_the_page_has_its_target(page):
    root = read(page)
    ids = [each.attributes["id"] for each in root.all() if "id" in each.attributes]
    assert len(ids) == len(set(ids))
    referred = re.findall(r'(?:href="#|url\(#)([^")]+)', page)
    assert set(referred) <= set(ids)


def test_colours_of_charts_are_the_pages_own(page):
    """Every colour of a chart is a variable, so that dark mode and print decide; each variable is defined thrice."""
    charts = "".join(re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL))
    assert re.findall(r"#[0-9a-fA-F]{6}\b", charts) == []
    used = set(re.findall(r"var\(--([\w-]+)\)", charts)) - {"sans"}
    style = page[: page.index("</style>")]
    for name in used:
        assert style.count(f"--{name}:") == 3, name


def test_the_same_log_gives_the_same_bytes_and_another_log_gives_others():
    """Nothing of the clock, of memory addresses or of the order of sets is in a report."""
    first, again, other = (build_report(source(draw(400, seed)), options(quick=True)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_a_report_replaces_a_report_and_nothing_else(tmp_path, contents):
    written = tmp_path / "report.html"
    for _ in range(2):
        write_report(written, source(draw(300)), options(quick=True))
    assert written.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert [each.name for each in tmp_path.iterdir()] == ["report.html"]
    other = tmp_path / "notes.html"
    other.write_text("my notes", encoding="utf-8")
    with pytest.raises(InputError, match="is not HTML; it is not replaced"):
        write_report(other, source(), options())
    with pytest.raises(InputError, match=r"ends in \.html"):
        write_report(tmp_path / "offers.db", source(), options())
    with pytest.raises(InputError, match="there is no folder"):
        write_report(tmp_path / "no" / "report.html", source(), options())
    assert other.read_text(encoding="utf-8") == "my notes"


@pytest.mark.parametrize("library", ["jinja2", "matplotlib"])
def test_without_its_extra_it_says_what_to_install_before_it_computes_anything(library, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtraError, match=r'pip install "offer-bandit\[report\]"'):
        build_report(source(), options(), lambda done, total: pytest.fail("it computes"))
