"""VW's contextual bandit with one action an offer (`--cb_explore_adf`) as a policy."""

from __future__ import annotations

import numpy as np

from bandit.catalogue import Catalogue
from bandit.domain import BoolArray, Contexts, FloatArray, Outcomes
from bandit.policies.vw.base import VwPolicy
from bandit.policies.vw.text import context_lines, offer_lines
from bandit.policies.warmup import WARMUP_OUTCOMES

DEFAULT_ARGS = "--cb_type mtr --squarecb --gamma_scale 1000 --clip_p 1 -l 2 -q ca"
"""The arguments that earned most of those tried on simulated retail markets, with standardised facts.

Interactions of context with options, but not of options with each other, which cost more decisions to learn than they
earn; importance weights clipped at 1, since otherwise the few explored decisions with small propensities dominate;
exploration that narrows fast; a large step.
"""

_MODE = "--cb_explore_adf"


class VowpalWabbit(VwPolicy):
    """VW's contextual bandit over one action an offer (`--cb_explore_adf`), with VW arguments of your choice.

    VW receives costs (minus the reward, in units of the first rewards' root mean square) with the true propensities,
    and clean text: facts in the namespace `c`, an offer's options in `a`. Its own probabilities are float32 and may be
    zero; they are converted to float64, normalised to sum to 1 and mixed with a floor.

    Prefer it where you want VW's own exploration (`--cover`, `--regcb`, `--bag`) or have arguments that work for you,
    and outcomes are never corrected. Prefer `VowpalWabbitSlates` where no rule couples dimensions and decisions must
    be fast; prefer Thompson sampling where the first thousands of decisions matter, or returns do.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        args: str = DEFAULT_ARGS,
        *,
        floor: float = 0.01,
        warm_up: int = WARMUP_OUTCOMES,
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
            chosen[row, offers] = self._vw.predict([f"shared {context}", *self._lines(offers.tolist())])
        return chosen

    def _learn(self, outcomes: Outcomes) -> None:
        costs = self._costs(outcomes)
        for row, context in enumerate(context_lines(self._encoder, outcomes.contexts)):
            offers = np.flatnonzero(outcomes.eligible[row])
            lines = [f"shared {context}", *self._lines(offers.tolist())]
            at = 1 + int(np.searchsorted(offers, outcomes.offer[row]))
            lines[at] = f"0:{costs[row]:.9g}:{outcomes.propensity[row]:.9g} {lines[at]}"
            self._vw.learn(lines)

    def _lines(self, offers: list[int]) -> list[str]:
        return [self._offer_lines[offer] for offer in offers]
