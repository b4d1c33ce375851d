"""VW's slates as a policy: every dimension is a slot; a combination has the product of its slots' probabilities."""

from __future__ import annotations

import numpy as np

from bandit.catalogue import Catalogue
from bandit.domain import BoolArray, Contexts, FloatArray, Outcomes
from bandit.errors import PolicyError
from bandit.policies.vw.base import VwPolicy
from bandit.policies.vw.text import context_lines, features, quoted
from bandit.policies.warmup import WARMUP_OUTCOMES

SLATES_ARGS = "--cb_type mtr --squarecb --gamma_scale 1000 --clip_p 1 -l 0.5 -q ca"
"""Interactions of context with options; a slot does not see the choices of the others, so pairs cannot be learned."""

_MODE = "--slates"


class VowpalWabbitSlates(VwPolicy):
    """VW chooses one option a dimension (`--slates`), each separately; a combination has the product's probability.

    It needs a catalogue in which no rule couples dimensions: a rule that forbids options of two dimensions together is
    a PolicyError. Where the eligible offers are not a product of options for another reason (a budget that is spent,
    say), the product is conditioned on them, and still exact.

    Each slot learns from the cost of the whole offer (in units of the first rewards' root mean square) with the
    propensity p^(1 / slots), p being the offer's propensity: the log has p only, and with `--clip_p 1` VW does not
    weight by it.

    VW's work grows with the sum of the options, not with their product: prefer it to `VowpalWabbit` where there are
    many combinations and the dimensions' effects are additive. It cannot learn interactions of options: the value of
    a discount is averaged over the gifts it was given with.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        args: str = SLATES_ARGS,
        *,
        floor: float = 0.01,
        warm_up: int = WARMUP_OUTCOMES,
        name: str = "vowpal wabbit slates",
    ) -> None:
        """Start untrained; PolicyError where a rule couples dimensions or VW does not take the arguments."""
        coupled = next((rule for rule in catalogue.file.rules if len(rule.forbid) > 1), None)
        if coupled is not None:
            raise PolicyError(
                f"slates choose each dimension by itself, but a rule couples {' and '.join(coupled.forbid)} "
                f"({coupled.words}); use vw or thompson"
            )
        super().__init__(catalogue, _MODE, args, name, floor, warm_up)
        self._members = [
            np.eye(len(dimension.options), dtype=np.bool_)[catalogue.options[:, place]]
            for place, dimension in enumerate(catalogue.dimensions)
        ]
        self._actions = [
            [
                f"slates action {place} |a " + features(quoted([f"{dimension.name}={option.name}"]), [1.0])
                for option in dimension.options
            ]
            for place, dimension in enumerate(catalogue.dimensions)
        ]

    @property
    def _kind(self) -> str:
        return "vw-slates"

    def _choose(self, contexts: Contexts, eligible: BoolArray) -> FloatArray:
        slots = [np.zeros((contexts.n, member.shape[1])) for member in self._members]
        open_options = self._open_options(eligible)
        slot_lines = [f"slates slot |s {place}" for place in range(len(slots))]
        for row, context in enumerate(context_lines(self._encoder, contexts)):
            options = [np.flatnonzero(left[row]) for left in open_options]
            lines = [f"slates shared {context}", *self._lines(options), *slot_lines]
            for slot, left, answer in zip(slots, options, self._vw.predict(lines), strict=True):
                for action, probability in answer:
                    slot[row, left[action]] = probability
        chosen = eligible.astype(np.float64)
        for place, slot in enumerate(slots):
            share = np.maximum(slot, 0.0)
            chosen *= (share / share.sum(axis=1, keepdims=True))[:, self.catalogue.options[:, place]]
        # Where the eligible set is a product this corrects rounding only.
        empty = chosen.sum(axis=1) <= 0.0
        chosen[empty] = eligible[empty]  # the float32 product may underflow over few eligible offers
        return np.asarray(chosen / chosen.sum(axis=1, keepdims=True))

    def _learn(self, outcomes: Outcomes) -> None:
        costs = self._costs(outcomes)
        each = outcomes.propensity ** (1.0 / len(self._members))
        open_options = self._open_options(outcomes.eligible)
        taken = self.catalogue.options[outcomes.offer]
        for row, context in enumerate(context_lines(self._encoder, outcomes.contexts)):
            options = [np.flatnonzero(left[row]) for left in open_options]
            at = [int(np.searchsorted(left, option)) for left, option in zip(options, taken[row], strict=True)]
            slot_lines = [f"slates slot {action}:{each[row]:.9g} |s {place}" for place, action in enumerate(at)]
            shared = f"slates shared {costs[row]:.9g} {context}"
            self._vw.learn([shared, *self._lines(options), *slot_lines])

    def _open_options(self, eligible: BoolArray) -> list[BoolArray]:
        """Return for each dimension which options (n, options) some eligible offer has."""
        return [np.asarray(eligible.astype(np.float32) @ member.astype(np.float32) > 0.0) for member in self._members]

    def _lines(self, options: list[np.ndarray]) -> list[str]:
        return [
            actions[option] for actions, left in zip(self._actions, options, strict=True) for option in left.tolist()
        ]
