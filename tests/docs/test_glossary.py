"""The glossary in the documentation is the one in the code: written once, in `bandit.domain`."""

import inspect
import re
from pathlib import Path

import bandit.domain

PAGE = Path(__file__).resolve().parents[2] / "docs" / "glossary.md"


def entries():
    """(term, meaning) of each entry of the docstring."""
    text = inspect.cleandoc(bandit.domain.__doc__).split("--------\n")[1]
    return re.findall(r"^(\S.*)\n    (.*)$", text, flags=re.MULTILINE)


def page():
    """The page that the docstring makes."""
    rows = "".join(
        f"| {term} | {meaning} |\n" for term, meaning in sorted(entries(), key=lambda entry: entry[0].lower())
    )
    head = "# Glossary\n\nOne word, one meaning; code, command line and documentation use these.\n\n"
    return f"{head}| word | meaning |\n|---|---|\n{rows}"


def test_the_page_has_every_entry_of_the_docstring():
    assert PAGE.read_text(encoding="utf-8") == page()


def test_the_words_of_the_ledger_and_the_log_are_explained():
    needed = {"fold", "ledger", "step", "lease", "spool", "propensity", "eligible set", "updated outcome"}
    assert needed <= {term for term, _ in entries()}
