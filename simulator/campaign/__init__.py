"""A pilot campaign, from today's rules to a learning engine: the story of the demo in steps that can be taken alone."""

from simulator.campaign.evaluation import ALL, FACTS, RULES, THOMPSON, VW, Frozen, Truth, ceilings, judge, learn, truths
from simulator.campaign.history import Held, halves, write_history
from simulator.campaign.live import engine_learns, engine_live, live_values, more_than, policy_live
from simulator.campaign.plan import Plan, World, pilot_scenario
from simulator.campaign.results import Results, Row, results
from simulator.campaign.table import markdown, table

__all__ = [
    "ALL",
    "FACTS",
    "RULES",
    "THOMPSON",
    "VW",
    "Frozen",
    "Held",
    "Plan",
    "Results",
    "Row",
    "Truth",
    "World",
    "ceilings",
    "engine_learns",
    "engine_live",
    "halves",
    "judge",
    "learn",
    "live_values",
    "markdown",
    "more_than",
    "pilot_scenario",
    "policy_live",
    "results",
    "table",
    "truths",
    "write_history",
]
