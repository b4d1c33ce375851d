"""The policy that gives everyone the same offer."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.random import Generator

from bandit.catalogue import Catalogue
from bandit.domain import BoolArray, Contexts, FloatArray
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

    def __init__(self, catalogue: Catalogue, offer: Mapping[str, str] | int, name: str | None = None) -> None:
        """Take the offer as its number or as one option a dimension (OfferError where it is not legal)."""
        self.catalogue = catalogue
        if isinstance(offer, int) and not 0 <= offer < catalogue.n_offers:
            raise OfferError(f"there is no offer {offer}; offers have the numbers 0 to {catalogue.n_offers - 1}")
        self.offer = offer if isinstance(offer, int) else catalogue.offer_index(offer)
        self.name = name or f"everyone: {catalogue.label(self.offer)}"

    def probabilities(self, contexts: Contexts, eligible: BoolArray, rng: Generator) -> FloatArray:  # noqa: ARG002
        """Return 1 for the offer where it is eligible, (n, N)."""
        chosen = one_hot(np.full(len(eligible), self.offer), eligible.shape[1])
        barred = ~eligible[:, self.offer]
        if barred.any():
            chosen[barred] = uniform_over(eligible[barred])
            fallback = self.catalogue.fallback
            if fallback is not None:
                served = barred & eligible[:, fallback]
                chosen[served] = one_hot(np.full(int(served.sum()), fallback), eligible.shape[1])
        return chosen

    def spec(self) -> Mapping[str, object]:
        """Return the offer and the name."""
        return {"kind": "constant", "offer": self.catalogue.offer(self.offer), "name": self.name}
