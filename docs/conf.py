"""Sphinx's configuration: `make docs` builds the site from the Markdown files of the repository, without a network.

The source directory is the root of the repository, so that links between the README, the pages and the examples lead to
the same places here as in a checkout.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bandit import __version__  # noqa: E402 - the package of this checkout is found once the path is set

project = "offer-bandit"
author = "The offer-bandit authors"
copyright = author  # noqa: A001 - Sphinx's name
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
root_doc = "docs/index"
include_patterns = ["docs/**.md", "examples/**/README.md", "README.md", "CHANGELOG.md", "CONTRIBUTING.md"]
exclude_patterns = [
    "docs/_build",
    "bandit",
    "simulator",
    "tests",
    "notebooks",
    "demo",
    "bench",
    "build",
    "dist",
    ".*",
    "*.egg-info",
]

# Pages are plain Markdown, with the anchors that Git hosts give to headings.
myst_heading_anchors = 4
suppress_warnings = ["myst.header"]  # some pages leave a level of headings out
smartquotes = False  # two hyphens begin an option

# Docstrings put code between single backticks.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 100

html_theme = "furo"
html_title = f"offer-bandit {__version__}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
html_show_sphinx = False
