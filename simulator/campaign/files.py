"""The directory of a demo: files of an earlier demo are replaced, all others are kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import tomli_w

from bandit.errors import InputError
from simulator.campaign.plan import CampaignWorld

DATABASE_FILE, LIVE_FILE, KEY_FILE, CATALOGUE_FILE, RULES_FILE, RESULTS_FILE, TABLE_FILE, REPORT_FILE = (
    "offers.db",
    "live.db",
    "customer.key",
    "catalogue.toml",
    "rules.toml",
    "results.json",
    "table.md",
    "report.html",
)

DEMO_FILES = (DATABASE_FILE, LIVE_FILE, KEY_FILE, CATALOGUE_FILE, RULES_FILE, RESULTS_FILE, TABLE_FILE, REPORT_FILE)
"""The files that a demo writes."""

_REPLACED = (
    *DEMO_FILES,
    *(f"{name}-{log}" for name in (DATABASE_FILE, LIVE_FILE) for log in ("wal", "shm")),
)

_MARKER = ".offer-bandit-demo"
"""A file that marks a directory as a demo's, whose files the next demo may replace."""


def prepare(out: Path) -> None:
    """Make the directory and remove the files of an earlier demo.

    InputError where files of these names were not written by a demo, or the directory cannot be written.
    """
    existing = [name for name in _REPLACED if (out / name).exists()]
    if existing and not (out / _MARKER).exists():
        raise InputError(f"{out}: has {', '.join(existing)} that no demo made; choose another directory with --out")
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / _MARKER).write_text("The files of this directory are a demo's; the next demo replaces them.\n")
        for name in existing:
            (out / name).unlink()
    except OSError as fault:
        raise InputError(f"{out}: cannot be written: {fault.strerror}; choose another directory with --out") from fault


def write_world(out: Path, world: CampaignWorld) -> None:
    """Write the customer key, the catalogue and today's rules."""
    key = out / KEY_FILE
    key.touch(mode=0o600)
    key.write_text(world.plan.customer_key + "\n", encoding="utf-8")
    (out / CATALOGUE_FILE).write_text(tomli_w.dumps(world.catalogue.to_dict()), encoding="utf-8")
    (out / RULES_FILE).write_text(tomli_w.dumps(world.rules), encoding="utf-8")


def write_results(out: Path, found: Mapping[str, object], table: str) -> None:
    """Write the results as JSON and the table as Markdown."""
    (out / RESULTS_FILE).write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    (out / TABLE_FILE).write_text(table, encoding="utf-8")
