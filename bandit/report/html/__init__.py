"""The report of a log as one HTML file that needs no network: `write_report` writes it, `build_report` returns it.

`gather` runs the analyses, each of which may say why it cannot be done; `render_report` turns what they found into
HTML. Drawing and templates are of the extra "report" (jinja2 and matplotlib).
"""

from bandit.report.html.contents import Answer, ReportContents, ReportOptions, ReportSource
from bandit.report.html.document import build_report, render_report, write_report
from bandit.report.html.gather import gather

__all__ = [
    "Answer",
    "ReportContents",
    "ReportOptions",
    "ReportSource",
    "build_report",
    "gather",
    "render_report",
    "write_report",
]
