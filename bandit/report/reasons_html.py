"""The explanation of a decision as one HTML file: no network, light and dark, for a screen, a phone or paper."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

from bandit.errors import InputError, MissingExtraError

if TYPE_CHECKING:
    from pathlib import Path

    from bandit.report.reasons import ReasonView

_TEMPLATE = "reasons.html.j2"


def reasons_html(view: ReasonView) -> str:
    """Return a whole HTML document with every text escaped; MissingExtraError without jinja2."""
    try:
        from jinja2 import Environment, StrictUndefined  # noqa: PLC0415 - an optional extra
    except ImportError as fault:
        raise MissingExtraError("an HTML page", "report") from fault
    source = resources.files("bandit.report").joinpath(_TEMPLATE).read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return environment.from_string(source).render(view=view)


def write_reasons_html(path: Path, view: ReasonView) -> None:
    """Write the document to a file; InputError where it cannot be written."""
    text = reasons_html(view)
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as fault:
        raise InputError(f"{path}: cannot be written ({fault.strerror}); give another file") from fault
