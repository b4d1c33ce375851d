"""What the translation of logged decisions into one catalogue reads of a log: a database's store has it, and others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from bandit.catalogue import Catalogue
    from bandit.catalogue.objective import Objective
    from bandit.domain import BoolArray, Contexts, IntArray
    from bandit.store.records import CatalogueRow


class LoggedCatalogues(Protocol):
    """The catalogue versions of a log, by their numbers."""

    def get(self, catalogue_id: int) -> Catalogue:
        """Return a version; StoreError for an unknown number."""
        ...

    def all(self) -> tuple[CatalogueRow, ...]:
        """Return all versions."""
        ...

    def unknown_policies(self) -> tuple[int, ...]:
        """Return the numbers of the policies that stand for unknown propensities."""
        ...


class LoggedSets(Protocol):
    """The eligible sets of a log."""

    def mask(self, set_id: int) -> BoolArray:
        """Return the (N,) mask of a set over the offers of its version."""
        ...


class LoggedStages(Protocol):
    """The stages of the objective that logged decisions have reached."""

    def stages(self, seqs: IntArray, objective: Objective) -> IntArray:
        """Return how many stages the decisions with these ascending numbers have reached, (n,)."""
        ...


class KnownContexts(Protocol):
    """Contexts of decisions made a moment ago, which need not be read."""

    def get(self, catalogue_id: int, text: str, customer: str) -> Contexts | None:
        """Return the context of a stored text, None where it is not known."""
        ...


class TranslatedLog(Protocol):
    """A log whose decisions can be translated."""

    @property
    def path(self) -> Path:
        """Where the log is, for messages."""
        ...

    @property
    def catalogues(self) -> LoggedCatalogues:
        """Its catalogue versions."""
        ...

    @property
    def eligible_sets(self) -> LoggedSets:
        """Its eligible sets."""
        ...

    @property
    def decisions(self) -> LoggedStages:
        """What its decisions have reached."""
        ...

    @property
    def recent_contexts(self) -> KnownContexts:
        """What is known of its newest decisions."""
        ...
