"""The glossary in the documentation is the one in the code: written once, in `bandit.domain`."""

from pathlib import Path

from tests.docs.reference.glossary_page import entries, glossary_page

PAGE = Path(__file__).resolve().parents[2] / "docs" / "glossary.md"


def test_the_page_has_every_entry_of_the_docstring():
    assert PAGE.read_text(encoding="utf-8") == glossary_page()


def test_the_words_of_the_ledger_and_the_log_are_explained():
    needed = {"fold", "ledger", "step", "lease", "spool", "propensity", "eligible set", "updated outcome"}
    assert needed <= {term for term, _ in entries()}
