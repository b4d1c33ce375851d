"""A pilot campaign, from today's rules to a learning engine: the story of the demo in steps that can be taken alone."""

from simulator.campaign.evaluation import (
    CLAIRVOYANT,
    FACTS_CLAIRVOYANT,
    RULES_POLICY,
    THOMPSON_POLICY,
    VW_POLICY,
    FrozenPolicy,
    TrueValue,
    ceilings,
    evaluate_offline,
    train,
    true_values,
)
from simulator.campaign.history import MemoryLog, split_halves, write_history
from simulator.campaign.live import engine_learns, engine_live, live_values, paired_difference, policy_live
from simulator.campaign.plan import CampaignPlan, CampaignWorld, pilot_scenario
from simulator.campaign.results import PolicyRow, Results, results
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
