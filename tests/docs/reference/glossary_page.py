"""The glossary's page, from the docstring of `bandit.domain`."""

import inspect
import re

import bandit.domain


def entries():
    """(term, meaning) of each entry of the docstring."""
    text = inspect.cleandoc(bandit.domain.__doc__).split("--------\n")[1]
    return re.findall(r"^(\S.*)\n    (.*)$", text, flags=re.MULTILINE)


def glossary_page():
    rows = "".join(
        f"| {term} | {meaning} |\n" for term, meaning in sorted(entries(), key=lambda entry: entry[0].lower())
    )
    head = "# Glossary\n\nOne word, one meaning; code, command line and documentation use these.\n\n"
    return f"{head}| word | meaning |\n|---|---|\n{rows}"
