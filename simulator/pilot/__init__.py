"""A pilot campaign, from today's rules to a learning engine: the story of the demo in steps that can be taken alone."""

from simulator.pilot.history import Held, halves, write_history
from simulator.pilot.judge import ALL, FACTS, RULES, THOMPSON, VW, Frozen, Truth, ceilings, judge, learn, truths
from simulator.pilot.live import engine_learns, engine_live, live_values, more_than, policy_live
from simulator.pilot.plan import Plan, World, pilot_scenario
from simulator.pilot.results import Results, Row, results
from simulator.pilot.table import markdown, table

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
