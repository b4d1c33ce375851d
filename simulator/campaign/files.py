"""The directory of a demo: it replaces what an earlier demo left, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import tomli_w

from bandit.errors import InputError
from simulator.campaign.plan import CampaignWorld

DATABASE_FILE, KEY_FILE, CATALOGUE_FILE, RULES_FILE, RESULTS_FILE, TABLE_FILE = (
    "offers.db",
    "customer.key",
    "catalogue.toml",
    "rules.toml",
    "results.json",
    "table.md",
)

DEMO_FILES = (DATABASE_FILE, KEY_FILE, CATALOGUE_FILE, RULES_FILE, RESULTS_FILE, TABLE_FILE)
"""What a demo leaves."""

_OWN = (*DEMO_FILES, f"{DATABASE_FILE}-wal", f"{DATABASE_FILE}-shm")

_MARK = ".offer-bandit-demo"
"""Says that the files beside it are a demo's, which the next one may replace."""


def prepare(out: Path) -> None:
    """Make the directory, without the files of an earlier demo; InputError where such files are not a demo's."""
    there = [name for name in _OWN if (out / name).exists()]
    if there and not (out / _MARK).exists():
        raise InputError(f"{out}: has {', '.join(there)} that no demo made; choose another directory with --out")
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / _MARK).write_text("The files of this directory are a demo's; the next demo replaces them.\n")
        for name in there:
            (out / name).unlink()
    except OSError as fault:
        raise InputError(f"{out}: cannot be written: {fault.strerror}; choose another directory with --out") from fault


def write_world(out: Path, world: CampaignWorld) -> None:
    """Write the key of the customers, the catalogue and today's rules."""
    key = out / KEY_FILE
    key.touch(mode=0o600)
    key.write_text(world.plan.customer_key + "\n", encoding="utf-8")
    (out / CATALOGUE_FILE).write_text(tomli_w.dumps(world.catalogue.to_dict()), encoding="utf-8")
    (out / RULES_FILE).write_text(tomli_w.dumps(world.rules), encoding="utf-8")


def write_results(out: Path, found: Mapping[str, object], table: str) -> None:
    """Write the results as JSON and the table as Markdown."""
    (out / RESULTS_FILE).write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    (out / TABLE_FILE).write_text(table, encoding="utf-8")
