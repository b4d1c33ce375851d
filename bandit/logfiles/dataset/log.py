"""A dataset as a log: read straight through in the order of the log, or partition by partition."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from bandit.catalogue import Catalogue
from bandit.domain import DecisionLabels, OutsideReason
from bandit.errors import InputError
from bandit.logfiles.dataset.blocks import DatasetBlocks
from bandit.logfiles.dataset.folders import folder_of
from bandit.logfiles.dataset.manifest import DECISIONS, MANIFEST_NAME, read_manifest
from bandit.printable import plain
from bandit.store import Activation
from bandit.store.available_offers import Reason, most_first
from bandit.store.log import decision_labels

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bandit.domain import BoolArray, IntArray, LoggedBatch
    from bandit.logfiles.dataset.folders import DatasetFolder
    from bandit.logfiles.dataset.manifest import DatasetManifest
    from bandit.logfiles.dataset.outcomes import LoggedOutcomes
    from bandit.store import DecisionColumns
    from bandit.store.available_offers import AvailableOffers


@dataclass(frozen=True, slots=True)
class _Tally:
    """Numbers of decisions: with an offer that the catalogue has, with another, still open, and not activated."""

    n: int
    left_out: int
    still_open: int
    not_activated: int
    unknown: int
    outside: tuple[OutsideReason, ...]


class DatasetLog:
    """A `bandit.domain.PartitionedLog` of a dataset; made by `open_log` and `DatasetPart.open`.

    Offers, facts and rewards are those of `catalogue`, as a database's log has them: see `StoreLog`. Decisions whose
    window was not over when the last export was made are left out, unless they are closed: `still_open` counts them.
    With `policy_id` the log has the decisions of that policy alone. Memory: a block of about 65,536 decisions, or a row
    group of each partition.
    """

    def __init__(
        self,
        folder: DatasetFolder,
        manifest: DatasetManifest,
        catalogue: Catalogue | None = None,
        *,
        policy_id: int | None = None,
    ) -> None:
        """Use the catalogue that the dataset was written with unless another is given. Nothing is read."""
        self._folder, self._manifest, self._policy_id = folder, manifest, policy_id
        self._catalogue = manifest.catalogue() if catalogue is None else catalogue
        self._activation = Activation.of(self._catalogue.objective)
        self._before = manifest.until - self._catalogue.objective.window
        policies = {int(number): label for number, label in manifest.policies.items()}
        if policy_id is not None and policy_id not in policies:
            known = ", ".join(str(number) for number in sorted(policies) if number >= 0) or "none"
            raise InputError(f"{folder.address}: no policy {policy_id} has decided in this log; known are {known}")
        self._labels = policies

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
    def n(self) -> int:
        """The number of decisions that `batches` yields."""
        return self._tally.n

    @property
    def left_out(self) -> int:
        """The number of decisions whose offer no policy of the catalogue can choose; `outside` yields them."""
        return self._tally.left_out

    @property
    def outside_reasons(self) -> tuple[OutsideReason, ...]:
        """Why no policy can choose the offers of the `left_out` decisions, with their numbers."""
        return self._tally.outside

    @property
    def still_open(self) -> int:
        """The number of decisions left out since their window was not over at the last export."""
        return self._tally.still_open

    @property
    def activation(self) -> str | None:
        """The event without which a decision is left out, None where none is."""
        return None if self._activation is None else self._activation.event

    @property
    def not_activated(self) -> int:
        """The number of decisions, not still open, that are left out since they were never activated."""
        return self._tally.not_activated

    @property
    def propensities_known(self) -> bool:
        """Whether all decisions that `batches` yields have a propensity."""
        return not any(file.unknown for run in self._manifest.runs for file in run.files) or not self._tally.unknown

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
            DatasetPart(self._folder, self._manifest.only(number), self._catalogue.to_dict(), self._policy_id, number)
            for number in numbers
        )
        return tuple(part for part in parts if part.manifest.rows)

    def batches(self, size: int = 65_536) -> Iterator[LoggedBatch]:
        """Yield the decisions in the order of the log, at most `size` at a time, never an empty batch.

        Raises InputError for a size below 1, LogFileError where the files are not those of the manifest.
        """
        for batch, _ in self.labelled(size):
            yield batch

    def labelled(self, size: int = 65_536) -> Iterator[tuple[LoggedBatch, DecisionLabels]]:
        """Yield the batches with the group of each customer, and the kind and number of each policy."""
        for offers, page in self._pages(size):
            rows, batch = offers.inside(page)
            if len(batch):
                kept = page if len(rows) == len(page) else page.take(rows)
                yield batch, decision_labels(kept, self._labels)

    def outside(self, size: int = 65_536) -> Iterator[LoggedBatch]:
        """Yield the `left_out` decisions, whose offer is -1, as a database's log does."""
        for batch, _ in self.labelled_outside(size):
            yield batch

    def labelled_outside(self, size: int = 65_536) -> Iterator[tuple[LoggedBatch, DecisionLabels]]:
        """Yield what `outside` yields, labelled as `labelled` does."""
        if not self.left_out:
            return
        for offers, page in self._pages(size):
            columns, batch = offers.outside(page)
            if len(batch):
                yield batch, decision_labels(columns, self._labels)

    def _pages(self, size: int) -> Iterator[tuple[AvailableOffers, DecisionColumns]]:
        """Yield the settled decisions in the order of the log, with what translates them."""
        if size < 1:
            raise InputError(f"a batch has at least one decision; seen size {size}")
        block = DatasetBlocks(self._folder, self._manifest, self._catalogue)
        for page, outcomes in block.read():
            kept = self._kept(page, outcomes)
            chosen = page if kept.all() else page.take(kept)
            for start in range(0, len(chosen), size):
                yield block.offers, chosen.take(slice(start, start + size))

    def _kept(self, page: DecisionColumns, outcomes: LoggedOutcomes) -> BoolArray:
        settled = (page.time < self._before) | outcomes.was_closed
        return self._of_policy(page.policy_id) & settled & outcomes.activated

    def _of_policy(self, policy: IntArray) -> BoolArray:
        return np.ones(len(policy), dtype=np.bool_) if self._policy_id is None else policy == self._policy_id

    @cached_property
    def _tally(self) -> _Tally:
        """Count by what the manifest says, by a few columns, or where rules read facts by all of them."""
        block = DatasetBlocks(self._folder, self._manifest, self._catalogue)
        used = {number for run in self._manifest.runs for file in run.files for number in file.catalogues}
        numbers = np.array(sorted(used), dtype=np.int64)
        every = [file for run in self._manifest.runs for file in run.files if file.kind == DECISIONS]
        settled = all(file.latest < self._before for file in every) and self._activation is None
        own = all(block.catalogues.get(number).version == self._catalogue.version for number in used)
        if own and settled and self._policy_id is None and not self._catalogue.stopped.any():
            rows = sum(file.rows for file in every)
            return _Tally(rows, 0, 0, 0, sum(file.unknown for file in every), ())
        full = block.offers.depend_on_facts(numbers)
        outside: Counter[Reason] = Counter()
        total = still_open = not_activated = unknown = 0
        for page, outcomes in block.read(facts=full, events=not settled):
            policy = self._of_policy(page.policy_id)
            is_settled = (page.time < self._before) | outcomes.was_closed
            kept = policy & is_settled & outcomes.activated
            total += int(kept.sum())
            still_open += int((policy & ~is_settled).sum())
            not_activated += int((policy & is_settled & ~outcomes.activated).sum())
            chosen = page.take(kept)
            unknown += int(np.isnan(chosen.propensity).sum())
            outside += block.offers.count(chosen) if full else _count(block.offers, chosen)
        left_out = outside.total()
        reasons = tuple(OutsideReason(plain(words), n, known) for (words, known), n in most_first(outside))
        return _Tally(total - left_out, left_out, still_open, not_activated, unknown, reasons)


@dataclass(frozen=True)
class DatasetPart:
    """One partition of a dataset: its address, its files and how to read them. Small, and can be pickled."""

    folder: DatasetFolder
    manifest: DatasetManifest
    content: dict[str, object]
    policy_id: int | None
    partition: int

    @cached_property
    def n(self) -> int:
        """The number of decisions that the opened part yields."""
        return self.open().n

    def open(self) -> DatasetLog:
        """Return the partition as a log."""
        return DatasetLog(self.folder, self.manifest, Catalogue.from_stored(self.content), policy_id=self.policy_id)


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
    return DatasetLog(folder, manifest, catalogue, policy_id=policy_id)


def _count(offers: AvailableOffers, page: DecisionColumns) -> Counter[Reason]:
    if not len(page):
        return Counter()
    pairs, numbers = np.unique(np.stack([page.catalogue_id, page.offer]), axis=1, return_counts=True)
    return offers.count_all(pairs[0], pairs[1], numbers)
