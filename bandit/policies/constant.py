"""The policy that gives everyone the same offer."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.random import Generator

from bandit.catalogue import Catalogue
from bandit.catalogue.segments import IsEligible
from bandit.domain import BoolArray, Contexts, FloatArray, IntArray
from bandit.errors import OfferError
from bandit.policies.probabilities import one_hot, uniform_over
from bandit.policies.stateless import Stateless


class ConstantOffer(Stateless):
    """One offer for everyone; where it is not eligible, the fallback, or else any eligible offer at random.

    >>> import numpy as np
    >>> from bandit import Catalogue
    >>> catalogue = Catalogue.from_dict(
    ...     {"dimensions": [{"name": "channel", "options": [{"name": "email"}, {"name": "sms"}]}]}
    ... )
    >>> policy = ConstantOffer(catalogue, {"channel": "sms"})
    >>> contexts = catalogue.contexts([{}])
    >>> policy.probabilities(contexts, catalogue.eligible(contexts), np.random.default_rng(1)).tolist()
    [[0.0, 1.0]]
    """

    exploration = 0.0
    draw_sets = 1

    def __init__(self, catalogue: Catalogue, offer: Mapping[str, str] | int, name: str | None = None) -> None:
        """Take the offer as its number or as one option a dimension (OfferError where it is not legal)."""
        self.catalogue = catalogue
        if isinstance(offer, int) and not 0 <= offer < catalogue.n_offers:
            raise OfferError(f"there is no offer {offer}; offers have the numbers 0 to {catalogue.n_offers - 1}")
        self.offer = offer if isinstance(offer, int) else catalogue.offer_index(offer)
        self.name = name or f"everyone: {catalogue.label(self.offer)}"

    def named(self, contexts: Contexts, is_eligible: IsEligible) -> IntArray:  # noqa: ARG002
        """Return the (n,) offers that are served; -1 where every eligible offer is as probable."""
        offer = np.where(is_eligible(self.offer), self.offer, -1)
        fallback = self.catalogue.fallback
        if fallback is not None and (offer < 0).any():
            offer = np.where((offer < 0) & is_eligible(fallback), fallback, offer)
        return offer

    def probabilities(self, contexts: Contexts, eligible: BoolArray, rng: Generator) -> FloatArray:  # noqa: ARG002
        """Return 1 for the offer where it is eligible, (n, N)."""
        offer = self.named(contexts, lambda one: eligible[:, one])
        chosen = one_hot(np.maximum(offer, 0), eligible.shape[1])
        barred = offer < 0
        if barred.any():
            chosen[barred] = uniform_over(eligible[barred])
        return chosen

    def spec(self) -> Mapping[str, object]:
        """Return the offer and the name."""
        return {"kind": "constant", "offer": self.catalogue.offer(self.offer), "name": self.name}
