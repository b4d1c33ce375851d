"""VW's own contextual bandit behind the policy protocol: one example an offer, VW's exploration."""

from __future__ import annotations

import numpy as np

from bandit.catalogue import Catalogue
from bandit.domain import BoolArray, Contexts, FloatArray, Outcomes
from bandit.policies.vw.base import WARM_UP, VwPolicy
from bandit.policies.vw.text import context_lines, offer_lines

DEFAULT_ARGS = "--cb_type mtr --squarecb --gamma_scale 1000 --clip_p 1 -l 2 -q ca"
"""What earned most of those tried on simulated retail markets, on facts that are standardised.

Interactions of context with options, and none of options with each other, which cost more decisions to learn than
they earn; importance weights clipped at 1, without which the few explored decisions with small propensities drown
the rest; exploration that narrows fast; a large step.
"""

_MODE = "--cb_explore_adf"


class VowpalWabbit(VwPolicy):
    """VW's contextual bandit over one example an offer (`--cb_explore_adf`), with arguments of one's own.

    VW is handed costs (minus the reward, in units of the first rewards' root mean square) with the true propensities,
    and clean text: facts in the namespace `c`, an offer's options in `a`. Its own probabilities are float32 and may be
    zero; they are brought to float64, made to sum to 1 and mixed with a floor.

    Prefer it where you want VW's own exploration (`--cover`, `--regcb`, `--bag`) or bring arguments that you know from
    elsewhere, and outcomes are never corrected. Prefer `VowpalWabbitSlates` where no rule couples dimensions and an
    answer must be quick; prefer Thompson sampling where the first thousands of decisions matter, or returns do.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        args: str = DEFAULT_ARGS,
        *,
        floor: float = 0.01,
        warm_up: int = WARM_UP,
        name: str = "vowpal wabbit",
    ) -> None:
        """Start untrained; PolicyError where VW does not take the arguments."""
        super().__init__(catalogue, _MODE, args, name, floor, warm_up)
        self._offer_lines = offer_lines(self._encoder.offers.main_names, self._encoder.offers.main)

    @property
    def _kind(self) -> str:
        return "vw"

    def _choose(self, contexts: Contexts, eligible: BoolArray) -> FloatArray:
        chosen = np.zeros(eligible.shape)
        for row, context in enumerate(context_lines(self._encoder, contexts)):
            offers = np.flatnonzero(eligible[row])
            chosen[row, offers] = self._vw.ask([f"shared {context}", *self._lines(offers.tolist())])
        return chosen

    def _learn(self, outcomes: Outcomes) -> None:
        costs = -outcomes.reward / self._unit
        for row, context in enumerate(context_lines(self._encoder, outcomes.contexts)):
            offers = np.flatnonzero(outcomes.eligible[row])
            lines = [f"shared {context}", *self._lines(offers.tolist())]
            at = 1 + int(np.searchsorted(offers, outcomes.offer[row]))
            lines[at] = f"0:{costs[row]:.9g}:{outcomes.propensity[row]:.9g} {lines[at]}"
            self._vw.learn(lines)

    def _lines(self, offers: list[int]) -> list[str]:
        return [self._offer_lines[offer] for offer in offers]
