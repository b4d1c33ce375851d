"""Writes every generated page of the documentation: `python -m tests.docs.regenerate`, or `make reference`.

The pages of the reference are made from the code's own structures; the other pages are run, and what their blocks print
is put in where it is not what they show. The tests fail for a page that is out of date.
"""

import sys
from pathlib import Path

from bandit.report.database_page import database_page
from tests.docs.executed import EXECUTED
from tests.docs.pages import rewritten
from tests.docs.reference.cli_page import cli_page
from tests.docs.reference.conditions_page import conditions_page
from tests.docs.reference.file_pages import catalogue_page, mapping_page, rules_page
from tests.docs.reference.glossary_page import glossary_page
from tests.docs.reference.python_pages import python_pages

ROOT = Path(__file__).resolve().parents[2]

PAGES = {
    "docs/database.md": database_page,
    "docs/glossary.md": glossary_page,
    "docs/reference/catalogue.md": catalogue_page,
    "docs/reference/mapping.md": mapping_page,
    "docs/reference/rules.md": rules_page,
    "docs/reference/conditions.md": conditions_page,
    "docs/reference/cli.md": cli_page,
    **python_pages(),
}
"""The generated pages: the path from the root, and the function that makes the text."""


def out_of_date(path):
    """Whether the page is not what would be written now."""
    file = ROOT / path
    return not file.exists() or file.read_text(encoding="utf-8") != PAGES[path]()


def main():
    """Write the pages that are out of date, and name them."""
    changed = [path for path in PAGES if out_of_date(path)]
    for path in changed:
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(PAGES[path](), encoding="utf-8")
    for path, setting in EXECUTED.items():
        text = (ROOT / path).read_text(encoding="utf-8")
        found = rewritten(text, path, setting)
        if found != text:
            (ROOT / path).write_text(found, encoding="utf-8")
            changed.append(path)
    sys.stdout.write("".join(f"written: {path}\n" for path in changed) or "all generated pages are up to date\n")


if __name__ == "__main__":
    main()
