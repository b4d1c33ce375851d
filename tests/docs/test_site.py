"""The site: every page is in it, every link leads somewhere, and it needs no network."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).resolve().parents[2]
INDEX = ROOT / "docs" / "index.md"
LINK = re.compile(r"\]\(([^)\s]+)\)")
LOADED = {("script", "src"), ("img", "src"), ("link", "href"), ("iframe", "src"), ("source", "src")}
"""What a browser fetches by itself when it shows a page."""


def pages():
    """The Markdown files that people read, apart from what is built."""
    found = [ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")]
    found += [path for path in (ROOT / "docs").rglob("*.md") if "_build" not in path.parts]
    return [*found, *(ROOT / "examples").rglob("*.md")]


def toctree(page):
    """The pages that a page's tables of contents name."""
    for block in re.findall(r"```\{toctree\}\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL):
        for line in block.splitlines():
            if line and not line.startswith(":"):
                name = re.sub(r".*<(.*)>", r"\1", line).removesuffix(".md")
                yield (page.parent / f"{name}.md").resolve()


def anchors(page):
    """The anchors of a page's headings, as sites and Git hosts make them."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for heading in re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE):
        yield re.sub(r"[^\w\- ]", "", re.sub(r"\[(.*?)\]\(.*?\)", r"\1", heading).lower()).strip().replace(" ", "-")


def broken_links(page):
    """The links of a page to files or headings that are not there."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in LINK.findall(re.sub(r"`[^`\n]*`", "", text)):
        path, _, anchor = target.partition("#")
        if urlsplit(target).scheme:
            continue
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in set(anchors(file))):
            yield target


def test_every_page_is_in_the_table_of_contents_once():
    listed = [INDEX, *toctree(INDEX), *toctree(ROOT / "docs" / "reference" / "python.md")]
    missing = {path.relative_to(ROOT).as_posix() for path in set(pages()) - set(listed)}
    assert not missing, f"{missing} belong in a toctree of docs/index.md"
    assert sorted(listed) == sorted(set(pages()))


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_of_a_page_leads_somewhere(page):
    assert list(broken_links(page)) == []


def test_a_broken_link_is_found(tmp_path):
    """The negative control: a file and a heading that are not there; an address and an example in code are no links."""
    (tmp_path / "other.md").write_text("# One\n\n## Two `things`, [three](other.md)\n")
    page = tmp_path / "page.md"
    good = "[a](other.md) [b](other.md#two-things-three) [c](https://example.org) [d](#here) `[e](no.md)`"
    page.write_text(f"# Here\n\n{good}\n[f](nowhere.md) [g](other.md#four)\n")
    assert list(broken_links(page)) == ["nowhere.md", "other.md#four"]


class _Links(HTMLParser):
    """The links, the anchors and the resources of a page."""

    def __init__(self):
        super().__init__()
        self.links, self.anchors, self.loaded = [], set(), []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        self.loaded += [given[name] for kind, name in LOADED if kind == tag and given.get(name)]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site's folder, with warnings as errors."""
    if not all(map(find_spec, ("sphinx", "myst_parser", "furo"))):
        pytest.skip("the site needs the extra docs")
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", "-c", "docs"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    built = subprocess.run(  # noqa: S603 - the build of this checkout
        [*command, "-d", str(out / "doctrees"), ".", str(out / "html")],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    return out / "html"


def read(path):
    parser = _Links()
    parser.feed(path.read_text(encoding="utf-8"))
    return parser


@pytest.mark.slow
def test_the_site_has_every_page(site):
    built = {path.relative_to(site).with_suffix("").as_posix() for path in site.rglob("*.html")}
    assert {path.relative_to(ROOT).with_suffix("").as_posix() for path in pages()} <= built


@pytest.mark.slow
def test_every_link_of_the_site_leads_somewhere(site):
    files = {path: read(path) for path in site.rglob("*.html")}
    links = [(path, link) for path, parsed in files.items() for link in parsed.links if not urlsplit(link).scheme]
    assert len(links) > 1_000
    broken = set()
    for path, link in links:
        parts = urlsplit(link)
        target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        lost = parts.fragment and target in files and unquote(parts.fragment) not in files[target].anchors
        if not target.exists() or lost:
            broken.add((path.name, link))
    assert broken == set()


@pytest.mark.slow
def test_no_page_loads_anything_from_elsewhere(site):
    for path in site.rglob("*.html"):
        assert [each for each in read(path).loaded if urlsplit(each).netloc] == [], path
    for path in site.rglob("*.css"):
        assert not re.search(r"(?:@import|url\()\s*[\"']?(?:https?:)?//", path.read_text(encoding="utf-8")), path


@pytest.mark.slow
def test_the_python_pages_show_what_they_document(site):
    """Signature and sentences of a method, and those of a constant, are on the built pages."""
    page = (site / "docs/reference/python/bandit.html").read_text(encoding="utf-8")
    assert 'id="bandit.Engine.decide"' in page
    ope = (site / "docs/reference/python/ope.html").read_text(encoding="utf-8")
    assert 'id="bandit.ope.DEFAULT"' in ope
    assert "The estimators computed by default." in ope
