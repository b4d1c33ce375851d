"""Renders a report: contents in, one HTML file out that needs no network and runs no foreign script."""

from __future__ import annotations

import base64
import hashlib
import os
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bandit._version import __version__
from bandit.errors import InputError, MissingExtraError
from bandit.printable import plain
from bandit.report.html.gather import gather
from bandit.report.html.numbers import RewardWords, percent
from bandit.report.html.section import TONE_SIGNS
from bandit.report.html.sections.audience import audience_section, surprise_words
from bandit.report.html.sections.calibration import calibration_section
from bandit.report.html.sections.coverage import coverage_section
from bandit.report.html.sections.depth import depth_section
from bandit.report.html.sections.exploration import exploration_section
from bandit.report.html.sections.health import health_section
from bandit.report.html.sections.learning_curve import learning_curve_section
from bandit.report.html.sections.live_groups import live_groups_section
from bandit.report.html.sections.options_by_segment import options_by_segment_section
from bandit.report.html.sections.policies import policies_section
from bandit.report.html.sections.waste import waste_section
from bandit.report.html.verdict_card import verdict_card
from bandit.report.numbers import count
from bandit.report.times import iso_minute

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jinja2 import Environment

    from bandit.domain import Progress
    from bandit.report.html.contents import ReportContents, ReportOptions, ReportSource
    from bandit.report.html.section import ReportSection

_SCRIPT = "addEventListener('beforeprint',()=>document.querySelectorAll('details').forEach(d=>d.open=true));"
"""The only script: printing opens the tables."""

_LONGEST = 2_000

_LONGEST_PATH = 200
"""Most characters of a path in a message."""


def build_report(source: ReportSource, options: ReportOptions, progress: Progress | None = None) -> str:
    """Return the report of a log as HTML text; InputError for an empty log, MissingExtraError without its extra."""
    _require_extra()
    return render_report(gather(source, options, progress))


def write_report(
    path: str | Path, source: ReportSource, options: ReportOptions, progress: Progress | None = None
) -> ReportContents:
    """Write the report of a log to an HTML file, and return what it shows.

    A report that is there is replaced, at once. InputError for a path that is no HTML file or has no folder.
    """
    target = check_report_path(path)
    _require_extra()
    beside = target.with_name(f".{os.getpid()}.part")
    with _writing(target):  # nothing is computed for a file that cannot be written
        beside.touch()
        beside.unlink()
    contents = gather(source, options, progress)
    text = render_report(contents)
    with _writing(target):
        try:
            beside.write_text(text, encoding="utf-8")
            beside.replace(target)
        finally:
            beside.unlink(missing_ok=True)
    return contents


@contextmanager
def _writing(target: Path) -> Iterator[None]:
    """Turn a fault of the file system into one sentence."""
    try:
        yield
    except OSError as fault:
        raise InputError(f"{_named(target)}: cannot be written ({fault.strerror}); give another path") from fault


def _named(target: Path) -> str:
    """Return a path as text that fits a sentence."""
    text = str(target)
    return text if len(text) <= _LONGEST_PATH else f"{text[:_LONGEST_PATH]}..."


def check_report_path(path: str | Path) -> Path:
    """Return where a report may be written; InputError for what is not an HTML file or has no folder.

    A report may be replaced, and nothing else: a file that is there must be HTML.
    """
    target = Path(path)
    with _writing(target):
        return _html_target(target)


def _html_target(target: Path) -> Path:
    if target.suffix.lower() not in {".html", ".htm"}:
        raise InputError(f"{target}: a report is an HTML file; give a name that ends in .html")
    if not target.parent.is_dir():
        raise InputError(f"{target}: there is no folder {target.parent}; create it, or give another path")
    if target.is_dir():
        raise InputError(f"{target}: is a folder; give the name of a file")
    if target.exists() and b"<html" not in target.read_bytes()[:1_000].lower() and target.stat().st_size:
        raise InputError(f"{target}: is there already and is not HTML; it is not replaced, give another path")
    return target


def render_report(contents: ReportContents) -> str:
    """Return the HTML of a report: the same bytes for the same contents."""
    environment = _require_extra()
    shown, absent = _split(_sections(contents))
    card = verdict_card(contents)
    if contents.audience.value is not None and contents.audience.value.surprises:
        unit = RewardWords.of(contents.source.catalogue)
        card = replace(card, also=surprise_words(contents.audience.value, unit))
    return environment.get_template("report.html.j2").render(
        title=contents.options.title or f"Report of {Path(contents.source.name).name}",
        card=card,
        sections=shown,
        absent=absent,
        signs=TONE_SIGNS,
        facts=_facts(contents),
        footer=_footer(contents),
        command=contents.options.command,
        script=_SCRIPT,
        script_hash=base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode(),
    )


def _require_extra() -> Environment:
    """Return the templates' environment; MissingExtraError where the extra is not installed."""
    try:
        import jinja2  # noqa: PLC0415 - an optional extra
        import matplotlib as mpl  # noqa: F401, PLC0415
    except ImportError as fault:
        raise MissingExtraError("a report", "report") from fault
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("bandit.report.html"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["code"] = lambda text: plain(text, _LONGEST)
    environment.filters["short"] = lambda text: plain(text, _LONGEST).replace(" %", "\N{NO-BREAK SPACE}%")
    return environment


def _sections(contents: ReportContents) -> list[ReportSection]:
    """Return all sections in order: the groups first where customers are served in groups."""
    groups, policies = live_groups_section(contents), policies_section(contents)
    first = [policies, groups] if groups.missing else [groups, policies]
    return [
        *first,
        learning_curve_section(contents),
        audience_section(contents),
        options_by_segment_section(contents),
        depth_section(contents),
        waste_section(contents),
        exploration_section(contents),
        coverage_section(contents),
        calibration_section(contents),
        health_section(contents),
    ]


def _split(sections: Sequence[ReportSection]) -> tuple[list[ReportSection], list[ReportSection]]:
    """Return the sections that can be shown, and those that cannot."""
    return [each for each in sections if not each.missing], [each for each in sections if each.missing]


def _facts(contents: ReportContents) -> list[tuple[str, str]]:
    """Return what the report is about, in pairs of a name and a value."""
    log, source = contents.log, contents.source
    days = iso_minute(log.first)[:10], iso_minute(log.last)[:10]
    facts = [("log", Path(source.name).name), ("decisions", count(log.n))]
    if log.customers is not None:
        facts.append(("customers", count(log.customers)))
    if contents.curve.value is None or contents.curve.value.times_known:
        facts.append(("from", days[0] if days[0] == days[1] else f"{days[0]} to {days[1]}"))
    facts.append(("offers", count(source.catalogue.n_offers)))
    return facts


def _footer(contents: ReportContents) -> list[str]:
    options, source = contents.options, contents.source
    objective = source.catalogue.objective
    made_with = (
        f"offer-bandit {__version__}; catalogue {source.catalogue.name or 'without a name'} "
        f"({source.catalogue.version}); objective {objective.kind}, event {objective.event}; seed {options.seed}; "
        f"intervals of {percent(options.level)}; as of {iso_minute(options.now)} UTC."
    )
    lines = [made_with]
    if source.written_by is not None:
        lines.append(f"What is estimated from the log rests on the decisions of policy {source.written_by}.")
    return lines
