"""A pilot campaign in steps, from today's segment rules to a learning engine; the demo runs them all."""

from simulator.campaign.evaluation import (
    RULES_POLICY,
    THOMPSON_POLICY,
    VW_POLICY,
    FrozenPolicy,
    TrueValue,
    clairvoyant_policies,
    evaluate_offline,
    train,
    true_values,
)
from simulator.campaign.groups import groups_live
from simulator.campaign.history import split_halves, write_history
from simulator.campaign.live import engine_learns, engine_live, live_values, paired_difference, policy_live
from simulator.campaign.plan import CampaignPlan, CampaignWorld, pilot_scenario
from simulator.campaign.results import CampaignRow, Results, results
from simulator.campaign.table import markdown, table

__all__ = [
    "RULES_POLICY",
    "THOMPSON_POLICY",
    "VW_POLICY",
    "CampaignPlan",
    "CampaignRow",
    "CampaignWorld",
    "FrozenPolicy",
    "Results",
    "TrueValue",
    "clairvoyant_policies",
    "engine_learns",
    "engine_live",
    "evaluate_offline",
    "groups_live",
    "live_values",
    "markdown",
    "paired_difference",
    "pilot_scenario",
    "policy_live",
    "results",
    "split_halves",
    "table",
    "train",
    "true_values",
    "write_history",
]
