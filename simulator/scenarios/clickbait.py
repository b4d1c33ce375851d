"""A newsletter in which some options bait clicks that do not buy.

Five contacts in a hundred lead to a purchase, some twenty to a click. A click means as much as in the scenario
"sparse", but for the options that are bait: these triple the clicks, and hardly more customers buy than anyway. Who
goes by clicks offers bait, who goes by purchases has few of them, and who sees that clicks on bait do not lead to
purchases can use both.
"""

from __future__ import annotations

from dataclasses import replace

from simulator.market.spec import Stage
from simulator.scenarios.sparse import SPARSE

CLICKBAIT = replace(
    SPARSE,
    name="clickbait",
    describes="A newsletter: 144 offers, five contacts in a hundred buy, and some offers bait clicks that do not buy.",
    base_rate=0.012,
    basket_median=30.0,
    stages=(Stage(name="click", rate=0.10, slope=0.5, effect=0.2, explained=0.15, bait_share=0.15, bait=1.2),),
)
