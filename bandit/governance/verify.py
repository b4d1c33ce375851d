"""The proof that a log is what it says: every decision computed again from its seed, context and policy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bandit.decide import choose, generator_for
from bandit.domain import IntArray, Policy, Progress
from bandit.errors import OfferBanditError
from bandit.learning.learner import PolicyLearner
from bandit.policies import build, close
from bandit.store import CatalogueTranslation, DecisionColumns, PolicyRow, Store, Where, state_hash

TOLERANCE = 1e-9
"""Largest difference between a logged and a recomputed propensity."""

DRIFTED = 0.05
"""The same where this machine's arithmetic is not that of the one that decided: a draw or two may be won by another."""

PAGE = 8_192
"""Decisions read at once."""

MAX_PROBLEMS = 100
"""Problems listed one by one; more are counted."""


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What was found: decisions in the log, how many were computed again, and each problem as a sentence.

    `notes` are sentences on what is no problem but good to know.
    """

    n_decisions: int
    n_recomputed: int
    problems: tuple[str, ...]
    notes: tuple[str, ...] = ()


class _Findings:
    def __init__(self) -> None:
        self.sentences: list[str] = []
        self.notes: list[str] = []
        self.more = 0

    def add(self, sentence: str) -> None:
        if len(self.sentences) < MAX_PROBLEMS:
            self.sentences.append(sentence)
        else:
            self.more += 1

    def all(self) -> tuple[str, ...]:
        more = [f"and {self.more:,} more problems"] if self.more else []
        return (*self.sentences, *more)


def verify(store: Store, progress: Progress | None = None) -> VerifyReport:
    """Check the database itself, then fold each policy's log again and recompute its decisions.

    Imported decisions, those that ended in the fallback for a policy's fault, and those of a policy that only its
    program can build, are checked as far as the store can, and not recomputed. On the machine that decided, states
    and propensities come out equal to the last bit. Another processor's arithmetic may differ in the last digits and
    so, rarely, in a draw's winner: where a state shows that it does, this is noted, the newest state must agree up to
    rounding, and propensities within 0.05.
    """
    findings = _Findings()
    for sentence in store.check():
        findings.add(sentence)
    total, done = store.counts().decisions, 0
    for row in store.catalogues.policies():
        try:
            auditor = _Auditor(store, row, findings)
        except OfferBanditError as fault:
            findings.add(f"policy {row.id} cannot be rebuilt, so its decisions were not recomputed: {fault}")
            continue
        for n in auditor.run():
            done += n
            if progress is not None:
                progress(done, total)
    return VerifyReport(total, done, findings.all(), tuple(findings.notes))


class _Auditor:
    """Recomputes the decisions of one policy, moving its state along the steps."""

    def __init__(self, store: Store, row: PolicyRow, findings: _Findings) -> None:
        self.store = store
        self.policy_id = row.id
        self.findings = findings
        # Others may decide and learn meanwhile: what is there by now was decided by steps that are there by now.
        self.through = store.decisions.last_seq()
        catalogue_id, spec = store.catalogues.policy_spec(row.id)
        self.catalogue = store.catalogues.get(catalogue_id)
        self.translation = CatalogueTranslation(store, self.catalogue)
        self.learner = PolicyLearner(store, self.catalogue, catalogue_id, build(self.catalogue, spec))
        self.hashes = {step.step: step.state_hash for step in store.ledger.steps(row.id)}
        self.policy: Policy = self.learner.first()
        self.base = self.step = self.learner.base
        self.decides_from = row.decides_from
        self.n_before = 0
        self.tolerance = TOLERANCE
        self.compared = self.base
        self.behind: tuple[Policy, int] | None = None

    def run(self) -> Iterator[int]:
        """Yield how many decisions each page had recomputed; then fold to the last step."""
        objective = self.catalogue.objective
        carried: DecisionColumns | None = None
        after = 0
        while True:
            page = self.store.decisions.page(
                objective.event,
                objective.window,
                after_seq=after,
                through_seq=self.through,
                limit=PAGE,
                where=Where(policy_id=self.policy_id),
            )
            if not len(page):
                break
            after = int(page.seq[-1])
            # A batch shares one generator, so the last of a page may go on in the next: it waits.
            columns = page if carried is None else _join(carried, page)
            starts = _starts(columns)
            cut = int(starts[-1]) if len(page) == PAGE and len(starts) else len(columns)
            carried = columns.take(np.arange(cut, len(columns))) if cut < len(columns) else None
            yield self._batches(columns.take(np.arange(cut)))
        if carried is not None:
            yield self._batches(carried)
        if self.n_before:
            self.findings.notes.append(
                f"policy {self.policy_id}: {self.n_before:,} decisions were made with states from before others were "
                "erased or retired, and so are not computed again"
            )
        self._move_to(max(self.hashes, default=0))

    def _batches(self, columns: DecisionColumns) -> int:
        starts = np.append(_starts(columns), len(columns))
        n = 0
        # Processes decide with states that are a few steps apart: from the oldest on, none is folded more than twice.
        for place in np.argsort(columns.policy_step[starts[:-1]], kind="stable").tolist():
            n += self._recompute(columns.take(np.arange(starts[place], starts[place + 1])))
        return n

    def _recompute(self, batch: DecisionColumns) -> int:
        if batch.seed[0] is None or batch.fault[0] is not None:
            return 0
        if batch.policy_step[0] < self.decides_from:
            self.n_before += len(batch)
            return 0
        self._move_to(int(batch.policy_step[0]))
        contexts = self.translation.decisions(batch, masks=False)[1].contexts
        rng = generator_for(str(batch.seed[0]), batch.decision_id.tolist())
        choice = choose(self.policy, self.catalogue, contexts, rng)
        eligible = self.store.eligible_sets.masks(batch.eligible_set_id, self.catalogue.n_offers)
        for wrong, what in (
            ((choice.eligible != eligible).any(axis=1), "other offers are eligible"),
            (choice.offer != batch.offer, "another offer is drawn"),
            (np.abs(choice.propensity - batch.propensity) > self.tolerance, "the propensity is another"),
        ):
            for row in np.flatnonzero(wrong).tolist():
                self.findings.add(f'decision "{batch.decision_id[row]}": computed again, {what} than the log has')
        return len(batch)

    def _move_to(self, step: int) -> None:
        behind, here = self.behind, (self.policy, self.step)
        if behind is not None and (self.step < behind[1] <= step or behind[1] <= step < self.step):
            (self.policy, self.step), self.behind = behind, here
        elif step < self.step:  # another process decided with an older state after this one had learned
            self.policy, self.step, self.behind = self.learner.first(), self.base, here
        while self.step < step:
            self.policy.update(self.learner.learned(self.step + 1))
            self.step += 1
            if self.step > self.compared:
                self.compared = self.step
                if self.hashes[self.step]:
                    self._compare(self.policy.dumps())

    def _compare(self, state: bytes) -> None:
        if state_hash(state) == self.hashes[self.step]:
            return
        if self.tolerance == TOLERANCE:
            self.tolerance = DRIFTED
            self.findings.notes.append(
                f"policy {self.policy_id}: from step {self.step} on, this machine folds to another state than the one "
                "logged, in the last digits at least; propensities are compared within 0.05"
            )
        newest = self.store.ledger.snapshot(self.policy_id, newest=True)
        if newest is not None and newest.step == self.step and not close(state, newest.state):
            self.findings.add(
                f"policy {self.policy_id}: folded again, its state after step {self.step} is not the one logged"
            )


def _starts(columns: DecisionColumns) -> IntArray:
    """Return the rows where a batch begins; one that lost its first decision has no seed, and no name."""
    if not len(columns):
        return np.zeros(0, dtype=np.int64)
    begins = columns.position == 0
    begins[0] = True
    begins[1:] |= columns.batch[1:] != columns.batch[:-1]
    begins |= np.array([seed is None for seed in columns.seed], dtype=np.bool_)
    return np.flatnonzero(begins).astype(np.int64)


def _join(first: DecisionColumns, second: DecisionColumns) -> DecisionColumns:
    names = DecisionColumns.__dataclass_fields__
    return DecisionColumns(**{name: np.concatenate([getattr(first, name), getattr(second, name)]) for name in names})
