"""Simulated customers whose true responses are known, for tests, demos and benchmarks of `bandit`."""

from simulator.market.ceilings import Clairvoyant, FactsClairvoyant, ValueScale
from simulator.market.market import Market
from simulator.market.population import Population
from simulator.market.responses import Noise, Responses
from simulator.market.segments import best_segment_rules, todays_rules
from simulator.market.spec import Scenario
from simulator.market.visits import Visits
from simulator.scenarios import SCENARIOS, scenario
from simulator.simulation.log import RunLog
from simulator.simulation.regret import ReferenceValues
from simulator.simulation.run import Run, RunOptions, run
from simulator.simulation.table import run_table, write_table

__all__ = [
    "SCENARIOS",
    "Clairvoyant",
    "FactsClairvoyant",
    "Market",
    "Noise",
    "Population",
    "ReferenceValues",
    "Responses",
    "Run",
    "RunLog",
    "RunOptions",
    "Scenario",
    "ValueScale",
    "Visits",
    "best_segment_rules",
    "run",
    "run_table",
    "scenario",
    "todays_rules",
    "write_table",
]
