"""The methods of learning that a Thompson sampling policy uses: each can be left out, to measure what it gives."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

from bandit.errors import PolicyError


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningMethods:
    """Which methods of learning are in use.

    A policy that was stored without the names of its methods (up to version 0.8.0) has none of them: it goes on as it
    was, so that each of its decisions can be computed again.

    - `moving_draws`: the posterior draws take the same steps as the belief, instead of being drawn anew.
    - `shapes`: numeric facts are transformed as their distribution asks.
    - `crosses`: thresholds and combinations of facts are found in the data, and get weights of their own.
    - `joint`: each residual is shared between the population's and the customer's effects by their variances.
    - `predictive`: the variances of customers' effects are those with which histories predict best (with `joint`).
    - `memories`: the level is forgotten quickly and the contrasts slowly, at estimated rates.
    - `funnel`: a conversion with declared stages is learned stage by stage.
    - `blocks`: the covariance of very many weights is held in blocks, one a fact (`BlockGaussian`).
    - `robust`: amounts have the noise of Student's t, so that no single amount dominates.
    """

    moving_draws: bool = False
    shapes: bool = False
    crosses: bool = False
    joint: bool = False
    predictive: bool = False
    memories: bool = False
    funnel: bool = False
    blocks: bool = False
    robust: bool = False

    @staticmethod
    def of(names: Iterable[str] | None) -> LearningMethods:
        """Return the methods of these names; None names all that are in use by default.

        >>> LearningMethods.of(["joint", "robust"]).names
        ('joint', 'robust')
        """
        if names is None:
            return DEFAULT_METHODS
        if isinstance(names, str):
            raise PolicyError(f'methods are a list of names, such as ["{names}"]; seen the text "{names}"')
        wanted, known = list(names), [field.name for field in fields(LearningMethods)]
        unknown = [name for name in wanted if name not in known]
        if unknown:
            raise PolicyError(f"{unknown[0]!r} is not a method of learning; methods are {', '.join(known)}")
        return LearningMethods(**dict.fromkeys(wanted, True))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the methods in use, in alphabetical order."""
        return tuple(sorted(field.name for field in fields(self) if getattr(self, field.name)))


DEFAULT_METHODS = LearningMethods(
    moving_draws=True,
    shapes=True,
    crosses=True,
    joint=True,
    predictive=True,
    memories=True,
    funnel=True,
    blocks=True,
    robust=True,
)
"""What a new policy uses."""
