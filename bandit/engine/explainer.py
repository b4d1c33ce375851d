"""What an engine gives each decision to explain itself by: a reference to the engine that is not pickled with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bandit.explain import DecisionExplanation


class DecisionExplainer:
    """Explains decisions of one engine; one object serves all its decisions, and is None in what is unpickled."""

    __slots__ = ("_explain",)

    def __init__(self, explain: Callable[[str], DecisionExplanation]) -> None:
        self._explain = explain

    def __call__(self, decision_id: str) -> DecisionExplanation:
        """Return why a decision was made."""
        return self._explain(decision_id)

    def __reduce__(self) -> tuple[Callable[[], None], tuple[()]]:
        """Become None in a copy: an engine belongs to its process."""
        return _no_explainer, ()


def _no_explainer() -> None:
    """Return the explainer of a decision that was pickled: none."""
