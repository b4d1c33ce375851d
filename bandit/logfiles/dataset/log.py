"""A dataset as a log: read straight through in the order of the log, or partition by partition."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from bandit.catalogue import Catalogue
from bandit.domain import OutsideReason
from bandit.errors import InputError
from bandit.logfiles.dataset.blocks import BlockColumns, DatasetBlocks, DatasetCatalogues
from bandit.logfiles.dataset.folders import folder_of
from bandit.logfiles.dataset.manifest import DECISIONS, MANIFEST_NAME, read_manifest
from bandit.printable import plain
from bandit.store import Activation, Where
from bandit.store.available_offers import Reason, most_first
from bandit.store.paged_log import GroupedLog, LogCounts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bandit.domain import BoolArray
    from bandit.logfiles.dataset.folders import DatasetFolder
    from bandit.logfiles.dataset.manifest import DatasetManifest
    from bandit.logfiles.dataset.outcomes import LoggedOutcomes
    from bandit.store import DecisionColumns
    from bandit.store.available_offers import AvailableOffers


class DatasetLog(GroupedLog):
    """A `bandit.domain.PartitionedLog` of a dataset; made by `open_log` and `DatasetPart.open`.

    Offers, facts and rewards are those of `catalogue`, as a database's log has them: see `StoreLog`. Decisions whose
    window was not over when the last export was made are left out, unless they are closed: `still_open` counts them.
    `where` is its filter: its policy, groups, catalogue versions and times. Memory: a block of about 65,536 decisions,
    or a row group of each partition.
    """

    def __init__(
        self,
        folder: DatasetFolder,
        manifest: DatasetManifest,
        catalogue: Catalogue | None = None,
        *,
        where: Where | None = None,
    ) -> None:
        """Use the catalogue that the dataset was written with unless another is given. Nothing is read."""
        self._folder, self._manifest = folder, manifest
        self._catalogue = manifest.catalogue() if catalogue is None else catalogue
        window, activation = self._catalogue.objective.window, Activation.of(self._catalogue.objective)
        given = Where() if where is None else where
        self.where = replace(given, settled_before=manifest.until - window, activation=activation)
        self._labels = {int(number): label for number, label in manifest.policies.items()}
        policy_id = given.policy_id
        if policy_id is not None and policy_id not in self._labels:
            known = ", ".join(str(number) for number in sorted(self._labels) if number >= 0) or "none"
            raise InputError(f"{folder.address}: no policy {policy_id} has decided in this log; known are {known}")

    def chosen(self, where: Where) -> DatasetLog:
        """Return the log of the decisions that a filter leaves; settled are those that are in this log."""
        return DatasetLog(self._folder, self._manifest, self._catalogue, where=where)

    @property
    def address(self) -> str:
        """The folder or address of the dataset."""
        return self._folder.address

    @property
    def folder(self) -> DatasetFolder:
        """The place of its files."""
        return self._folder

    @property
    def is_local(self) -> bool:
        """Whether its files are on a disk of this machine."""
        return self._folder.is_local

    @property
    def manifest(self) -> DatasetManifest:
        """The manifest as it was when the log was opened."""
        return self._manifest

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue that the offers are numbered by."""
        return self._catalogue

    @property
    def activation(self) -> str | None:
        """The event without which a decision is left out, None where none is."""
        return None if self.where.activation is None else self.where.activation.event

    @property
    def propensities_known(self) -> bool:
        """Whether all decisions that `batches` yields have a propensity."""
        return not any(file.unknown for run in self._manifest.runs for file in run.files) or not self.counts.unknown

    @property
    def notices(self) -> tuple[str, ...]:
        """What was noticed when the files of the log were imported, and facts that the dataset does not have."""
        missing = [name for name in self._catalogue.facts if name not in self._manifest.facts]
        own = [f'the dataset has no column for the fact "{plain(name)}": it is missing everywhere' for name in missing]
        return (*self._manifest.notices, *own)

    @property
    def times_known(self) -> bool:
        """Whether the times of the decisions are known."""
        return self._manifest.source.get("times", "known") == "known"

    @cached_property
    def parts(self) -> tuple[DatasetPart, ...]:
        """The partitions that have decisions, in their order."""
        numbers = sorted({file.partition for run in self._manifest.runs for file in run.files})
        parts = (
            DatasetPart(self._folder, self._manifest.only(number), self._catalogue.to_dict(), self.where, number)
            for number in numbers
        )
        return tuple(part for part in parts if part.manifest.rows)

    @property
    def catalogues(self) -> DatasetCatalogues:
        """The catalogue versions under which its decisions were made."""
        return DatasetCatalogues(self._manifest, self._catalogue)

    def policy_labels(self) -> dict[int, str]:
        """Return the label of each policy, by its number."""
        return self._labels

    def pages(self, size: int) -> Iterator[tuple[AvailableOffers, DecisionColumns]]:
        """Yield the decisions of the filter in the order of the log, whatever their offer.

        Raises InputError for a size below 1, LogFileError where the files are not those of the manifest.
        """
        if size < 1:
            raise InputError(f"a batch has at least one decision; seen size {size}")
        block = DatasetBlocks(self._folder, self._manifest, self._catalogue)
        for page, outcomes in block.read():
            kept = self._kept(page, outcomes)
            chosen = page if kept.all() else page.take(kept)
            for start in range(0, len(chosen), size):
                yield block.offers, chosen.take(slice(start, start + size))

    def read_few(self) -> Iterator[tuple[DecisionColumns, BoolArray, BoolArray]]:
        """Yield all decisions of the filter, with which are settled and which activated; customers, but no facts."""
        block = DatasetBlocks(self._folder, self._manifest, self._catalogue)
        for page, outcomes in block.read("groups"):
            kept = self._selected(page)
            yield page.take(kept), self._settled(page, outcomes)[kept], outcomes.activated[kept]

    def _kept(self, page: DecisionColumns, outcomes: LoggedOutcomes) -> BoolArray:
        return self._selected(page) & self._settled(page, outcomes) & outcomes.activated

    def _settled(self, page: DecisionColumns, outcomes: LoggedOutcomes) -> BoolArray:
        before = self.where.settled_before
        return np.asarray(outcomes.was_closed if before is None else (page.time < before) | outcomes.was_closed)

    def _selected(self, page: DecisionColumns) -> BoolArray:
        """Return which decisions the filter leaves by policy, group, catalogue and time, (n,)."""
        where, chosen = self.where, np.ones(len(page), dtype=np.bool_)
        if where.policy_id is not None:
            chosen &= page.policy_id == where.policy_id
        if where.after_time is not None:
            chosen &= page.time >= where.after_time
        if where.catalogue_ids is not None:
            chosen &= np.isin(page.catalogue_id, where.catalogue_ids)
        if where.groups is not None:
            chosen &= np.isin(page.group.astype(np.str_), where.groups)
        return chosen

    @cached_property
    def counts(self) -> LogCounts:
        """The numbers of decisions, by what the manifest says, by a few columns, or where rules read facts by all."""
        block = DatasetBlocks(self._folder, self._manifest, self._catalogue)
        used = {number for run in self._manifest.runs for file in run.files for number in file.catalogues}
        numbers = np.array(sorted(used), dtype=np.int64)
        every = [file for run in self._manifest.runs for file in run.files if file.kind == DECISIONS]
        where, before = self.where, self._manifest.until - self._catalogue.objective.window
        settled = all(file.latest < before for file in every) and where.activation is None
        own = all(block.catalogues.get(number).version == self._catalogue.version for number in used)
        unfiltered = where == Where(settled_before=where.settled_before, activation=where.activation)
        if own and settled and unfiltered and not self._catalogue.stopped.any():
            rows = sum(file.rows for file in every)
            return LogCounts(rows, 0, 0, 0, (), sum(file.unknown for file in every))
        full = block.offers.depend_on_facts(numbers)
        which: BlockColumns = "all" if full else "few" if where.groups is None else "groups"
        outside: Counter[Reason] = Counter()
        total = still_open = not_activated = unknown = 0
        for page, outcomes in block.read(which, events=not settled):
            selected, is_settled = self._selected(page), self._settled(page, outcomes)
            kept = selected & is_settled & outcomes.activated
            total += int(kept.sum())
            still_open += int((selected & ~is_settled).sum())
            not_activated += int((selected & is_settled & ~outcomes.activated).sum())
            chosen = page.take(kept)
            unknown += int(np.isnan(chosen.propensity).sum())
            outside += block.offers.count(chosen) if full else _count(block.offers, chosen)
        left_out = outside.total()
        reasons = tuple(OutsideReason(plain(words), n, known) for (words, known), n in most_first(outside))
        return LogCounts(total - left_out, left_out, still_open, not_activated, reasons, unknown)


@dataclass(frozen=True)
class DatasetPart:
    """One partition of a dataset: its address, its files and how to read them. Small, and can be pickled."""

    folder: DatasetFolder
    manifest: DatasetManifest
    content: dict[str, object]
    where: Where
    partition: int

    @cached_property
    def n(self) -> int:
        """The number of decisions that the opened part yields."""
        return self.open().n

    def open(self) -> DatasetLog:
        """Return the partition as a log."""
        return DatasetLog(self.folder, self.manifest, Catalogue.from_stored(self.content), where=self.where)


def open_dataset(
    address: str | Path, catalogue: Catalogue | None = None, *, policy_id: int | None = None
) -> DatasetLog:
    """Return the dataset in a folder or at an address as a log; LogFileError where there is none.

    Without `catalogue`, offers and rewards are those of the catalogue that it was written with.
    """
    folder = folder_of(address)
    manifest = read_manifest(folder)
    if manifest is None:
        raise InputError(
            f"{folder.address}: is no dataset: it has no {MANIFEST_NAME}; write one with `offer-bandit export DB DIR "
            "--partitions 64`"
        )
    return DatasetLog(folder, manifest, catalogue, where=Where(policy_id=policy_id))


def _count(offers: AvailableOffers, page: DecisionColumns) -> Counter[Reason]:
    if not len(page):
        return Counter()
    pairs, numbers = np.unique(np.stack([page.catalogue_id, page.offer]), axis=1, return_counts=True)
    return offers.count_all(pairs[0], pairs[1], numbers)
