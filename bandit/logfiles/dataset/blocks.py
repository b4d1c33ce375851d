"""Reads a dataset in pages of columns, with what a database's store gives for their translation into a catalogue."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from bandit.catalogue import Catalogue
from bandit.errors import StoreError
from bandit.logfiles.dataset.contexts import BlockContexts
from bandit.logfiles.dataset.outcomes import LoggedOutcomes, logged_outcomes
from bandit.logfiles.dataset.reader import BlockReader, codes_of, numbers_of
from bandit.logfiles.dataset.tables import ELIGIBLE
from bandit.store import Activation, CatalogueTranslation, DecisionColumns
from bandit.store.available_offers import AvailableOffers
from bandit.store.records import CatalogueRow, object_array

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bandit.catalogue.objective import Objective
    from bandit.domain import BoolArray, Contexts, IntArray
    from bandit.logfiles.dataset.folders import DatasetFolder
    from bandit.logfiles.dataset.manifest import DatasetManifest

_COLUMNS = ["row", "time", "customer", "group", "policy", "catalogue", "offer", "propensity", "weight", ELIGIBLE]
_FEW_COLUMNS = ["row", "time", "policy", "catalogue", "offer", "propensity"]
_GROUP_COLUMNS = [*_FEW_COLUMNS, "customer", "group", "weight"]

BlockColumns: TypeAlias = Literal["all", "groups", "few"]
"""What is read of decisions: all, all but facts and eligible sets, or these without customers, groups and weights."""


class DatasetBlocks:
    """Reads a dataset as pages of `DecisionColumns`, and translates them; one for each reading.

    It stands in the place of a database for `CatalogueTranslation`: see `bandit.store.translated`.
    """

    def __init__(self, folder: DatasetFolder, manifest: DatasetManifest, catalogue: Catalogue) -> None:
        self.path = Path(folder.address)
        self.catalogues = DatasetCatalogues(manifest, catalogue)
        self.eligible_sets = BlockSets(self.catalogues)
        self.decisions = BlockStages()
        self.recent_contexts = NoContexts()
        self._folder, self._manifest, self._catalogue = folder, manifest, catalogue
        self._contexts = BlockContexts(catalogue)
        self.offers = AvailableOffers(self, CatalogueTranslation(self, catalogue, contexts=self._contexts))

    def read(
        self, which: BlockColumns = "all", *, events: bool = True
    ) -> Iterator[tuple[DecisionColumns, LoggedOutcomes]]:
        """Yield the decisions in the order of the log with their outcomes; a page can be translated until the next.

        Without `events` they have no outcomes.
        """
        with closing(BlockReader(self._folder, self._manifest)) as reader:
            columns = _FEW_COLUMNS if which == "few" else _GROUP_COLUMNS
            if which == "all":
                columns = [*_COLUMNS, *self._contexts.columns(self._manifest)]
            for table in reader.blocks(columns):
                rows = table.column("row").to_numpy()
                found = reader.events(int(rows[0]), int(rows[-1])) if events else reader.events(1, 0)
                times = table.column("time").cast("int64").to_numpy()
                objective = self._catalogue.objective
                outcomes = logged_outcomes(rows, times, found, objective, Activation.of(objective))
                self.decisions.load(rows, outcomes.stage)
                yield self._columns(table, rows, times, outcomes, which), outcomes

    def _columns(
        self,
        table: Any,  # noqa: ANN401 - pyarrow has no types
        rows: IntArray,
        times: IntArray,
        outcomes: LoggedOutcomes,
        which: BlockColumns,
    ) -> DecisionColumns:
        n = len(rows)
        none: Any = np.broadcast_to(np.array(None, dtype=object), n)
        sets = zero = np.zeros(n, dtype=np.int64)
        catalogue_id = table.column("catalogue").cast("int64").to_numpy()
        customer, group, weight = none, none, np.ones(n)
        if which != "few":
            customer, group = _texts(table.column("customer")), _texts(table.column("group"))
            weight = numbers_of(table.column("weight"))
        if which == "all":
            sets = self.eligible_sets.load(catalogue_id, table.column(ELIGIBLE))
            self._contexts.load(table, customer, self._manifest)
        return DecisionColumns(
            seq=rows,
            decision_id=none,
            time=times,
            customer=customer,
            catalogue_id=catalogue_id,
            policy_id=table.column("policy").fill_null(-1).to_numpy(),
            policy_step=zero,
            context=np.arange(n).astype(object),
            eligible_set_id=sets,
            offer=table.column("offer").to_numpy(),
            propensity=numbers_of(table.column("propensity")),
            group=group,
            seed=none,
            batch=none,
            position=zero,
            fault=none,
            probabilities=none,
            converted=outcomes.converted,
            revenue=outcomes.revenue,
            value=outcomes.value,
            closed=outcomes.closed,
            n_events=outcomes.n_events,
            last_event_id=outcomes.last_event,
            weight=weight,
        )


def _texts(column: Any) -> Any:  # noqa: ANN401
    """Return a column of texts as Python objects, each distinct text once."""
    codes, distinct = codes_of(column)
    return object_array([*distinct, None])[codes]


class DatasetCatalogues:
    """The catalogue versions of a dataset; that of `loaded` is not built again."""

    def __init__(self, manifest: DatasetManifest, loaded: Catalogue) -> None:
        self._versions = {each.id: each for each in manifest.catalogues}
        self._loaded = {each.id: loaded for each in manifest.catalogues if each.version == loaded.version}

    def get(self, catalogue_id: int) -> Catalogue:
        """Return a version; StoreError for an unknown number."""
        found = self._loaded.get(catalogue_id)
        if found is None:
            version = self._versions.get(catalogue_id)
            if version is None:
                raise StoreError(f"the dataset has no catalogue {catalogue_id}; export the log anew")
            where = f"catalogue {catalogue_id} of the dataset"
            found = self._loaded[catalogue_id] = Catalogue.from_stored(version.content, where=where)
        return found

    def all(self) -> tuple[CatalogueRow, ...]:
        """Return all versions."""
        return tuple(CatalogueRow(e.id, e.version, self.get(e.id).name, e.extends) for e in self._versions.values())

    def unknown_policies(self) -> tuple[int, ...]:
        """Return nothing: unknown propensities are null in a dataset."""
        return ()


class BlockSets:
    """The eligible sets of a block of decisions; a set is numbered anew in each block."""

    def __init__(self, catalogues: DatasetCatalogues) -> None:
        self._catalogues = catalogues
        self._packed: list[tuple[int, bytes]] = []
        self._masks: dict[int, BoolArray] = {}

    def load(self, catalogue_id: IntArray, column: Any) -> IntArray:  # noqa: ANN401
        """Take the sets of a block and return the number of each decision's, (n,)."""
        codes, packed = codes_of(column)
        pairs, which = np.unique(np.stack([catalogue_id, codes]), axis=1, return_inverse=True)
        self._packed = [(number, packed[code]) for number, code in pairs.T.tolist()]
        self._masks.clear()
        return np.asarray(which.reshape(-1))

    def mask(self, set_id: int) -> BoolArray:
        """Return the (N,) mask of a set."""
        found = self._masks.get(set_id)
        if found is None:
            number, packed = self._packed[set_id]
            n_offers = self._catalogues.get(number).n_offers
            bits = np.unpackbits(np.frombuffer(packed, dtype=np.uint8))[:n_offers]
            found = self._masks[set_id] = bits.astype(np.bool_)
        return found


class BlockStages:
    """The stages that the decisions of a block have reached."""

    def __init__(self) -> None:
        self._rows = self._stage = np.zeros(0, dtype=np.int64)

    def load(self, rows: IntArray, stage: IntArray) -> None:
        """Take the stages of a block of decisions with these ascending numbers."""
        self._rows, self._stage = rows, stage

    def stages(self, seqs: IntArray, objective: Objective) -> IntArray:  # noqa: ARG002 - the block has those of one
        """Return how many stages the decisions with these ascending numbers have reached, (n,)."""
        return self._stage[np.searchsorted(self._rows, seqs)]


class NoContexts:
    """Knows no context: those of a dataset are read in columns."""

    def get(self, catalogue_id: int, text: str, customer: str) -> Contexts | None:  # noqa: ARG002 - as a store has it
        """Return None."""
        return None
