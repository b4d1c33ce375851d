"""The demo's report for people: one HTML file about the log of today's rules."""

from __future__ import annotations

from pathlib import Path

from bandit.cli.databases import catalogue_for
from bandit.domain import Progress
from bandit.errors import MissingExtraError
from bandit.report.html import ReportOptions, write_report
from bandit.report.html.database import database_source
from bandit.store import Store
from simulator.campaign.files import DATABASE_FILE, REPORT_FILE
from simulator.campaign.plan import CampaignWorld
from simulator.market.season import CALENDAR_START, DAY


def report_log(world: CampaignWorld, out: Path, progress: Progress | None = None) -> str:
    """Write the report beside the pilot's database; return its path, or what to install where the extra is missing."""
    plan, database = world.plan, out / DATABASE_FILE
    live_end = CALENDAR_START + round((plan.days + plan.live_days) * DAY)
    now = live_end + world.catalogue.objective.window + DAY
    options = ReportOptions(now=now, baseline=world.segment_rules(), seed=plan.seed, quick=True)
    target = out / REPORT_FILE
    try:
        with Store.open(database, customer_key=plan.customer_key.encode(), read_only=True) as store:
            source = database_source(store, catalogue_for(store, None), now=now, name=str(database))
            write_report(target, source, options, progress)
    except MissingExtraError as fault:
        return str(fault)
    return str(target)
