"""Synthetic customers whose truth is known."""

from simulator.ceilings import Clairvoyant, FactsClairvoyant, Scale
from simulator.live import Run, run
from simulator.log import RunLog
from simulator.market import Market
from simulator.population import Population
from simulator.responses import Noise, Responses
from simulator.scenarios import SCENARIOS, scenario
from simulator.segments import best_segment_rules, todays_rules
from simulator.spec import Scenario
from simulator.table import run_table, write_table
from simulator.visits import Visits
from simulator.yardstick import Yardstick

__all__ = [
    "SCENARIOS",
    "Clairvoyant",
    "FactsClairvoyant",
    "Market",
    "Noise",
    "Population",
    "Responses",
    "Run",
    "RunLog",
    "Scale",
    "Scenario",
    "Visits",
    "Yardstick",
    "best_segment_rules",
    "run",
    "run_table",
    "scenario",
    "todays_rules",
    "write_table",
]
